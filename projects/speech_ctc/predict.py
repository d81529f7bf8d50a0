"""A trained model on new recordings, from the shell and from Python.

    python -m projects.speech_ctc.predict spoken.wav folder/     # files, and all recordings inside folders
    python -m projects.speech_ctc.predict folder/ --json         # one JSON object a line, with the time of each word
    arecord -t raw -f S16_LE -r 8000 | python -m projects.speech_ctc.predict -   # raw samples, as they arrive

    from projects.speech_ctc.predict import load_predictor
    for found in load_predictor()(["spoken.wav"]):
        print(found["text"], found["words"])

What is longer than prepare.max_seconds is heard in windows that overlap, and the most probable path is read; shorter
recordings are decoded as evaluate decodes them. Raw samples are mono, 16 bits, little-endian, at the rate that the
model was trained for (rate_hz in results/train/model.json). Recordings that cannot be read are named at the end; the
others are transcribed, and the exit code is 2.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared.audio.read import SOUNDS, Piece
from shared.core.paths import Project
from shared.core.predict import Predict, predict_main, printable


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from paths of recordings to dicts: text, and words, each with text, start_s, end_s and confidence, the
    geometric mean of the probabilities of its symbols; or error.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # these take seconds: --help must not wait for them
    import torch

    from shared.audio.files import read_sound, to_int16
    from shared.core.errors import UserError

    from .listening import Heard, Listener, timed
    from .model import load_model
    from .spell import align, make_spell

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    spell, rate_hz = make_spell(config), config["rate_hz"]

    @torch.inference_mode()
    def hear(samples: np.ndarray) -> np.ndarray:
        one = torch.from_numpy(to_int16(samples).astype(np.float32) / 32768)[None]  # as prepare keeps them
        outputs: np.ndarray = model(*model.features(one, torch.ones_like(one, dtype=torch.bool)))[0][0].numpy()
        return outputs

    def listener() -> Listener:
        return Listener(hear, config, model.frame_samples)

    def said(words: Iterable[Heard]) -> dict[str, Any]:
        found = [word._asdict() for word in words]
        return {"text": " ".join(word["text"] for word in found), "words": found}

    pipe = listener()

    def one(given: Any) -> dict[str, Any]:
        piece = given if isinstance(given, Piece) else Piece(Path(given), np.zeros(0, np.float32))
        if (path := piece.path) is None:
            return said(pipe.feed(piece.samples) if len(piece.samples) else pipe.close())
        try:
            samples = read_sound(path, rate_hz).samples
        except UserError as error:
            expected = f" (expected {error.expected})" if error.expected else ""
            return {"error": error.what.removeprefix(f"{path}: ") + expected}
        if len(samples) > config["max_seconds"] * rate_hz:
            long = listener()
            return said([*long.feed(samples), *long.close()])
        outputs = hear(samples)
        aligned = align(outputs, spell(outputs), config["alphabet"])
        return said(timed(word, 0, model.frame_samples / rate_hz) for word in aligned)

    return lambda items: [one(item) for item in items]


def text_line(found: dict[str, Any]) -> str:
    """A prediction for a terminal."""
    return printable(found["text"]) or "(nothing)"


if __name__ == "__main__":
    predict_main(load_predictor, SOUNDS, __file__, __doc__, line=text_line)
