"""A trained model on new recordings, from the shell and from Python.

    python -m projects.speech_ctc.predict spoken.wav folder/     # files, and all recordings inside folders
    python -m projects.speech_ctc.predict folder/ --json         # one JSON object a line, with the time of each word
    arecord -t raw -f S16_LE -r 8000 | python -m projects.speech_ctc.predict -   # raw samples, as they arrive

    from projects.speech_ctc.predict import load_predictor
    for found in load_predictor()(["spoken.wav"]):
        print(found["text"], found["words"])

What is longer than prepare.max_seconds is heard in windows that overlap, and the most probable path is read; shorter
recordings are decoded as evaluate decodes them. Raw samples are mono, 16 bits, little-endian, at the rate that the
model was trained for (rate_hz in results/train/model.json); their words are printed with their times, at most
prepare.max_seconds after they have ended. Recordings that cannot be read are named at the end; the others are
transcribed, and the exit code is 2.
"""

from pathlib import Path
from typing import Any

from shared.audio.read import SOUNDS, sound_predictor
from shared.core.paths import Project
from shared.core.predict import Predict, predict_main, printable


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from paths of recordings to dicts: text, and words, each with text, start_s, end_s and confidence, the
    geometric mean of the probabilities of its symbols; or error. A pipe gives words as they end.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # these take seconds: --help must not wait for them
    import torch

    from shared.audio.files import to_int16

    from .decode import make_spell
    from .listening import Listener, align, timed
    from .model import load_model

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    spell, rate_hz = make_spell(config), config["rate_hz"]

    @torch.inference_mode()
    def hear(samples: np.ndarray) -> np.ndarray:
        kept = to_int16(samples).astype(np.float32) / 32768  # as prepare keeps them
        outputs: np.ndarray = model(*model.features.alone(kept))[0][0].numpy()
        return outputs

    def listener() -> Listener:
        return Listener(hear, config, model.frame_samples)

    def whole(samples: np.ndarray) -> dict[str, Any]:
        if len(samples) > config["max_seconds"] * rate_hz:
            long = listener()
            words = [*long.feed(samples), *long.close()]
        else:
            outputs = hear(samples)
            aligned = align(outputs, spell(outputs), config["alphabet"])
            words = [timed(word, 0, model.frame_samples / rate_hz) for word in aligned]
        return {"text": " ".join(word.text for word in words), "words": [word._asdict() for word in words]}

    pipe = listener()

    def piped(samples: np.ndarray) -> dict[str, Any]:
        words = list(pipe.feed(samples) if len(samples) else pipe.close())
        return {"words": [word._asdict() for word in words]} if words else {}

    return sound_predictor(rate_hz, whole, piped)


def text_line(found: dict[str, Any]) -> str:
    """A prediction for a terminal: the text of a recording, or the words of a pipe that have ended with their times."""
    if "text" in found:
        return printable(found["text"]) or "(nothing)"
    return "  ".join(f"{word['start_s']:.2f} s {printable(word['text'])}" for word in found["words"])


if __name__ == "__main__":
    predict_main(load_predictor, SOUNDS, __file__, __doc__, line=text_line)
