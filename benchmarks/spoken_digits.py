"""speech_commands on Free Spoken Digit recordings of speakers it never heard, beside PocketSphinx.

The preset fsdd-new-speaker learns from five of the six speakers and is tested on the sixth, each in turn, one seed.
PocketSphinx has an acoustic model of its own, learned from other speech, and a grammar of one digit; it hears the
official test recordings at 16 kHz with a fifth of a second of silence around: the best of nine settings that were tried
on them. From $DATASET_MIRROR.
"""

import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.preset import Elsewhere, load, train
from benchmarks.table import report
from projects.speech_commands.digits import bring_digits
from projects.speech_commands.params import Params
from projects.speech_commands.train import describe, logits
from shared.audio import classes
from shared.audio.files import read_sound, resample, to_int16
from shared.audio.fsdd import find_spoken_digits
from shared.data.batches import gather
from shared.data.prepared import Prepared
from shared.training.distributed import World, join

NAME, PRESET = "speech_commands", "fsdd-new-speaker"
LEAST_MEAN, LEAST = 0.90, 0.82
WORDS = "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"
RATE_HZ, SILENCE_S = 16000, 0.2
CHUNK = 200


def of_speaker(speaker: str, world: World) -> dict[str, Any]:
    """Accuracy on one speaker after a training on the others."""
    params = load(NAME, Params, PRESET, {"fetch.test_speakers": [speaker]})
    assert params.fetch
    with tempfile.TemporaryDirectory() as folder:
        project = Elsewhere(NAME, Path(folder))
        project.raw.mkdir()
        bring_digits(project.raw, params.fetch)
        classes.prepare(project, params.prepare)
        run = train(describe, params, project.prepared, world, Path(folder))
        test = Prepared(project.prepared).table("test")
        read = gather(test, "sound", "label", device=world.device)
        right = 0
        with torch.inference_mode():
            for index in torch.arange(len(test)).split(CHUNK):  # type: ignore[no-untyped-call]
                batch = read(index)
                right += int((logits(run.model.eval(), batch).argmax(1) == batch["label"]).sum())
        num = len(test)
    print(f"{speaker}: {right / num:.4f}", flush=True)
    return {"what": f"speech_commands, {speaker} held out", "test recordings": num, "accuracy": round(right / num, 4),
            "seconds in fit()": round(run.progress.seconds)}  # fmt: skip


def pocketsphinx() -> dict[str, Any]:
    """Its accuracy on the official test recordings."""
    with tempfile.TemporaryDirectory() as folder:
        from pocketsphinx import Decoder

        grammar = Path(folder) / "digit.gram"
        grammar.write_text(f"#JSGF V1.0;\ngrammar digit;\npublic <digit> = {' | '.join(WORDS)};\n")
        decoder = Decoder(jsgf=str(grammar), samprate=RATE_HZ, loglevel="FATAL")
        found = [one for one in find_spoken_digits(Path(folder), []) if one.split([]) == "test"]
        right = sum(hear(decoder, one.path) == WORDS[int(one.digit)] for one in found)
    return {"what": "PocketSphinx, a grammar of one digit", "test recordings": len(found),
            "accuracy": round(right / len(found), 4), "seconds in fit()": ""}  # fmt: skip


def hear(decoder: Any, path: Path) -> str:
    """What PocketSphinx understands, "" where it hears nothing."""
    sound = read_sound(path, 8000)
    silence = np.zeros(round(SILENCE_S * RATE_HZ), np.float32)
    samples = np.concatenate([silence, resample(sound.samples, sound.rate_hz, RATE_HZ), silence])
    decoder.start_utt()
    decoder.process_raw(to_int16(samples).tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


def main() -> bool:
    """Measures and reports. Returns whether the mean and the worst speaker are good enough."""
    with join(load(NAME, Params, PRESET).runtime) as world, tempfile.TemporaryDirectory() as folder:
        speakers = sorted({one.speaker for one in find_spoken_digits(Path(folder), [])})
        rows = [of_speaker(speaker, world) for speaker in speakers]
    found = [row["accuracy"] for row in rows]
    num = sum(row["test recordings"] for row in rows)
    rows.append({"what": "speech_commands, mean of the speakers", "test recordings": num,
                 "accuracy": round(mean(found), 4), "seconds in fit()": ""})  # fmt: skip
    report("spoken_digits", [*rows, pocketsphinx()], ("torch", "torchaudio", "pocketsphinx"), preset=PRESET, seeds=1)
    return mean(found) >= LEAST_MEAN and min(found) >= LEAST
