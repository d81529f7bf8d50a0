"""Recordings for a project's predict.py: files, folders, long recordings and a pipe of raw samples."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.core.errors import Problems
from shared.core.find import find_named
from shared.core.predict import Adapter, Item, printable

RAW_BYTES = 1 << 14  # that a line is printed for: 8192 samples, half a second at 16 kHz


class Piece(NamedTuple):
    """What is predicted: a file, or raw samples that go on where the last piece ended; none of them: the end."""

    path: Path | None
    samples: np.ndarray


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    from shared.audio.files import SOUND_SUFFIXES  # with scipy, for which --help must not wait

    listed = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    named = [word for word in words if word != "-"]
    for path in find_named([*named, *listed], SOUND_SUFFIXES, "recordings", problems):
        yield [Item({"file": str(path)}, Piece(path, np.zeros(0, np.float32)))]
    if "-" in words:
        while block := sys.stdin.buffer.read(RAW_BYTES):  # a multiple of 2, but for the end
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / 32768
            yield [Item({"file": "-"}, Piece(None, samples))]
        yield [Item({"file": "-"}, Piece(None, np.zeros(0, np.float32)))]


SOUNDS = Adapter(_read, "recordings, and folders searched for them; -: raw samples, 16 bits little-endian, mono")


def sound_line(found: dict[str, Any]) -> str:
    """A prediction for a terminal: the class, or the events of a long recording with their times."""
    if "events" in found:
        events = (
            f"{one['time_s']:.2f} s {printable(one['label'])} {one['probability']:.1%}" for one in found["events"]
        )
        return "  ".join(events) or "nothing heard"
    return f"{found['probability']:6.1%} {printable(found['label'])}"
