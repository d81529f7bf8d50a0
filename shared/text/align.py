"""Words of raw text: normalised, with their places in the text as it came."""

from typing import NamedTuple

import numpy as np
import regex

from shared.text.tokens import normalise, words


class Aligned(NamedTuple):
    """A normalised text, and where each of its n characters comes from in the raw one: start and end, (n,) int64."""

    text: str
    start: np.ndarray
    end: np.ndarray

    def inside(self, start: int, end: int) -> tuple[int, int]:
        """Places in the raw text -> places in the normalised one."""
        return int(np.searchsorted(self.end, start, side="right")), int(np.searchsorted(self.start, end))

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Places in the normalised text, start < end -> places in the raw one."""
        return int(self.start[start]), int(self.end[end - 1])


def align(raw: str) -> Aligned:
    r"""Normalises a text, one grapheme cluster after another: nothing composes across their borders.

    >>> align("e\u0301t\r\n").raw(0, 2)
    (0, 3)
    """
    if normalise(raw) == raw:
        place = np.arange(len(raw))
        return Aligned(raw, place, place + 1)
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for cluster in regex.findall(r"\X", raw):
        part, after = normalise(cluster), at + len(cluster)
        same = part == cluster
        parts.append(part)
        starts += range(at, after) if same else [at] * len(part)
        ends += range(at + 1, after + 1) if same else [after] * len(part)
        at = after
    return Aligned("".join(parts), np.array(starts, np.int64), np.array(ends, np.int64))


def cut_words(raw: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The normalised words of a text of any form, and the (start, end) of each in it."""
    aligned = align(raw)
    found = words(aligned.text)
    return [token.text for token in found], [aligned.raw(token.start, token.end) for token in found]
