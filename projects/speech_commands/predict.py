"""A trained model on new recordings, from the shell and from Python.

    python -m projects.speech_commands.predict word.wav folder/    # files, and all recordings inside folders
    python -m projects.speech_commands.predict meeting.flac        # a long one: a window slides, events with times
    python -m projects.speech_commands.predict folder/ --json      # one JSON object a line, for programs
    arecord -t raw -f S16_LE -r 8000 | python -m projects.speech_commands.predict -   # raw samples, as they arrive

    from projects.speech_commands.predict import load_predictor
    for found in load_predictor()(["word.wav"]):
        print(found["label"], found["probability"])

Raw samples are mono, 16 bits, little-endian, at the rate that the model was trained for (rate_hz in
results/train/model.json); a line is printed when something is heard. Recordings that cannot be read are named at the
end; the others are predicted, and the exit code is 2.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared.audio.read import SOUNDS, sound_line, sound_predictor
from shared.core.paths import Project
from shared.core.predict import Predict, predict_main, ranked

LONG = 1.5  # times prepare.max_seconds: longer recordings are searched by a sliding window
THRESHOLD = 0.8  # probability of an event


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from paths of recordings to dicts: label, probability, top (all classes); of long ones events, each
    with label, probability and time_s; or error. A pipe gives events as they come.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # these take seconds: --help must not wait for them

    from shared.audio.files import loudest, to_int16
    from shared.audio.stream import Detector, Event

    from .conditions import REFRACTORY_S, background_labels, hop_seconds, make_score
    from .model import load_model

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    classes, rate_hz, window_s, score = config["classes"], config["rate_hz"], config["window_s"], make_score(model)
    most = round(config["max_seconds"] * rate_hz)

    def detector() -> Detector:
        ignored = background_labels(classes)
        return Detector(score, rate_hz, window_s, hop_seconds(window_s), THRESHOLD, REFRACTORY_S, ignored)

    def listed(events: Iterable[Event]) -> list[dict[str, Any]]:
        return [
            {"label": classes[one.label], "probability": round(one.score, 6), "time_s": round(one.time_s, 3)}
            for one in events
        ]

    def whole(samples: np.ndarray) -> dict[str, Any]:
        if len(samples) > LONG * most:
            return {"events": listed(detector().feed(samples))}
        start = loudest(samples, most)
        kept = to_int16(samples[start : start + most]).astype(np.float32) / 32768  # as prepare keeps them
        return ranked(score(kept).tolist(), classes)

    pipe = detector()

    def piped(samples: np.ndarray) -> dict[str, Any]:
        events = listed(pipe.feed(samples) if len(samples) else pipe.close())
        return {"events": events} if events else {}

    return sound_predictor(rate_hz, whole, piped)


if __name__ == "__main__":
    predict_main(load_predictor, SOUNDS, __file__, __doc__, line=sound_line)
