"""Spectrograms in batches beside clip by clip, and how much faster than real time both sound projects hear a stream.

Features: log-mel of clips at 8 kHz by shared/audio/features.py in batches of 64, padding included, and torchaudio's
MelSpectrogram one clip after the other, with the same steps up to log-mel behind it. Streams: untrained
networks of the samples' sizes, one thread, with the window, hop and search of the projects' predict.py.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.preset import load
from benchmarks.table import report
from projects.speech_commands import conditions
from projects.speech_commands.model import SoundNet
from projects.speech_commands.params import Params as CommandsParams
from projects.speech_ctc.listening import Listener
from projects.speech_ctc.model import build_model
from projects.speech_ctc.params import Params as CtcParams
from shared.audio.features import LogMel
from shared.audio.stream import Detector
from shared.data.batches import Padded
from shared.data.table import Ragged

CLIPS, BATCH, ROUNDS, RATE_HZ = 512, 64, 7, 8000
STREAM_S, BLOCK = 120.0, 8192  # and samples that arrive at once
WINDOW_S = 1.2  # of speech_commands on its sample
LEAST_RATIO, LEAST_REAL_TIME = 3.0, 50.0
ALPHABET = list(" adeinopstuw")


def log_mel(powers: Tensor) -> Tensor:
    """The steps behind the powers (F, T) of one clip, plainly."""
    logs = (powers + 1e-12).log()
    logs = torch.maximum(logs, logs.max() - 6 * np.log(10))
    return logs - logs.mean()


def features(shortest: int) -> list[dict[str, Any]]:
    """Clips a second of both ways, for clips of so many samples up to a second."""
    rng, mel = np.random.default_rng(0), load("speech_commands", CommandsParams, "fsdd").train.mel
    clips = [rng.normal(0, 0.1, rng.integers(shortest, RATE_HZ + 1)).astype(np.float32) for _ in range(CLIPS)]
    made, pad = LogMel(mel, RATE_HZ), Padded(Ragged.of(clips, np.float32))
    batches = [pad(index) for index in torch.arange(CLIPS).split(BATCH)]  # type: ignore[no-untyped-call]
    waves = [torch.from_numpy(clip) for clip in clips]
    ways: dict[str, Callable[[], Sequence[Tensor]]] = {
        "in batches": lambda: [made(sound, mask)[0] for sound, mask in batches],
        "by torchaudio, clip by clip": lambda: [log_mel(made.power(wave)) for wave in waves],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    speed = {name: CLIPS / statistics.median(of) for name, of in seconds.items()}
    slow, length = min(speed.values()), "1 s" if shortest == RATE_HZ else f"{shortest / RATE_HZ:g} to 1 s"
    return [{"what": f"log-mel {name}, clips of {length}", "clips/s": round(of),
             "ratio": round(of / slow, 2)} for name, of in speed.items()]  # fmt: skip


def commands() -> Callable[[np.ndarray], Any]:
    """A detector of speech_commands."""
    chosen = load("speech_commands", CommandsParams, "fsdd", {"train.model.width": 12, "train.mel.hop_ms": 12.5}).train
    model = SoundNet(chosen.model, chosen.mel, RATE_HZ, 11).eval()
    detector = Detector(conditions.make_score(model), RATE_HZ, WINDOW_S, conditions.HOP_S, 0.8, conditions.REFRACTORY_S)
    return lambda block: list(detector.feed(block))


def ctc() -> Callable[[np.ndarray], Any]:
    """A listener of speech_ctc."""
    params = load("speech_ctc", CtcParams, "digits", {"train.model.width": 12, "train.model.hidden_size": 64})
    config = {"model": params.train.model.model_dump(), "bands": params.train.bands.model_dump(), "alphabet": ALPHABET,
              "rate_hz": RATE_HZ, "frame_ms": params.prepare.frame_ms, "max_seconds": 5.0}  # fmt: skip
    model = build_model(config).eval()

    @torch.inference_mode()
    def hear(samples: np.ndarray) -> np.ndarray:
        one = torch.from_numpy(samples)[None]
        found: np.ndarray = model(*model.features(one, torch.ones_like(one, dtype=torch.bool)))[0][0].numpy()
        return found

    listener = Listener(hear, config, model.frame_samples)
    return lambda block: list(listener.feed(block))


def stream(make: Callable[[], Callable[[np.ndarray], Any]]) -> float:
    """Seconds of sound that are heard in a second of one thread."""
    samples = np.random.default_rng(0).normal(0, 0.05, round(STREAM_S * RATE_HZ)).astype(np.float32)
    found = []
    for _ in range(3):
        feed = make()
        start = time.perf_counter()
        for at in range(0, len(samples), BLOCK):
            feed(samples[at : at + BLOCK])
        found.append(STREAM_S / (time.perf_counter() - start))
    return statistics.median(found)


def main() -> bool:
    """Measures and reports. Returns whether both are as fast as they should be."""
    torch.manual_seed(0)
    rows = [*features(RATE_HZ), *features(6 * RATE_HZ // 10)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    speeds = {"speech_commands": stream(commands), "speech_ctc": stream(ctc)}
    torch.set_num_threads(threads)
    rows += [{"what": f"{name}, a stream on one thread, seconds a second", "clips/s": "", "ratio": round(speed, 1)}
             for name, speed in speeds.items()]  # fmt: skip
    report("sound", rows, ("torch", "torchaudio"), clips=CLIPS, batch=BATCH, rounds=ROUNDS, threads=threads)
    return min(row["ratio"] for row in rows[:4:2]) >= LEAST_RATIO and min(speeds.values()) >= LEAST_REAL_TIME
