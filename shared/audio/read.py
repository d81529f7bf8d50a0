"""Recordings for a project's predict.py: files, folders, long recordings and a pipe of raw samples."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.errors import Problems
from shared.core.find import find_named, listed_in
from shared.core.predict import Adapter, Item, Predict, printable

RAW_BYTES = 1 << 12  # of a pipe that are heard at once: 2048 samples, a quarter of a second at 8 kHz
Listen = Callable[[np.ndarray], dict[str, Any]]  # samples (L,) float32 -> what is heard in them


def sound_predictor(rate_hz: int, whole: Listen, piped: Listen) -> Predict:
    """A function from paths of recordings, and from parts of a pipe, to what is heard, or why one cannot be read.

    Args:
        rate_hz: of the samples.
        whole: all samples of a recording -> its prediction.
        piped: the samples that have arrived, none of them at the end of the pipe -> what is complete now; {}: nothing.
    """
    from shared.audio.files import try_sound  # with scipy, for which --help must not wait

    def one(given: str | Path | np.ndarray) -> dict[str, Any]:
        if isinstance(given, np.ndarray):
            return piped(given)
        sound = try_sound(Path(given), rate_hz)
        return {"error": sound} if isinstance(sound, str) else whole(sound.samples)

    return lambda items: [one(item) for item in items]


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    from shared.audio.files import SOUND_SUFFIXES  # with scipy, for which --help must not wait

    named = [word for word in words if word != "-"]
    for path in find_named([*named, *listed_in(files, problems)], SOUND_SUFFIXES, "recordings", problems):
        yield [Item({"file": str(path)}, path)]
    if "-" in words:
        while block := sys.stdin.buffer.read(RAW_BYTES):  # a multiple of 2, but for the end
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / 32768
            if len(samples):
                yield [Item({"file": "-"}, samples)]
        yield [Item({"file": "-"}, np.zeros(0, np.float32))]


SOUNDS = Adapter(_read, "recordings, and folders searched for them; -: raw samples, 16 bits little-endian, mono")


def sound_line(found: dict[str, Any]) -> str:
    """A prediction for a terminal: the class, or the events of a long recording or of a pipe with their times."""
    if "label" in found:
        return f"{found['probability']:6.1%} {printable(found['label'])}"
    events = (f"{one['time_s']:.2f} s {printable(one['label'])} {one['probability']:.1%}" for one in found["events"])
    return "  ".join(events) or "nothing heard"
