"""Raw text and its normalised form: where each character of the one is in the other."""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import regex

from shared.text.tokens import CONTROL, normalise

# Characters that may compose with those before them, or change places; the last three decompose into such ones
_JOINS = r"[\p{NFC_QC=M}\P{ccc=0}\u0f73\u0f75\u0f81]"
_PIECE = regex.compile(rf"[\p{{NFC_QC=Y}}&&\p{{ccc=0}}]+(?!{_JOINS})|\s|.{_JOINS}*", flags=regex.V1 | regex.DOTALL)


class Aligned(NamedTuple):
    """A normalised text, and where each of its n characters comes from in the raw one: start and end, (n,) int64.

    Characters that were composed, or put into another order, come from the whole of what they were made of.
    """

    text: str
    start: np.ndarray
    end: np.ndarray

    def inside(self, start: int, end: int) -> tuple[int, int]:
        """Positions in the raw text -> positions in the normalised one."""
        return int(np.searchsorted(self.end, start, side="right")), int(np.searchsorted(self.start, end))

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Positions in the normalised text, start < end -> positions in the raw one.

        The raw text there normalises to text[start:end], unless one of its letters reaches across a border of these.
        """
        return int(self.start[start]), int(self.end[end - 1])


def align(raw: str) -> Aligned:
    r"""Normalises a text, with one map for all its characters.

    >>> align("Jose\u0301\r\n").raw(0, 4)
    (0, 5)
    """
    place = np.arange(len(raw))
    if normalise(raw) == raw:
        return Aligned(raw, place, place + 1)
    clean, start = _without_controls(raw)
    end = start + 1 + np.array([raw[at : at + 2] == "\r\n" for at in start.tolist()], np.int64)
    parts: list[str] = []
    firsts: list[int] = []
    lasts: list[int] = []
    at = 0
    for piece in _pieces(clean):
        part, after = unicodedata.normalize("NFC", piece), at + len(piece)
        same = part == piece
        parts.append(part)
        firsts += range(at, after) if same else [at] * len(part)
        lasts += range(at, after) if same else [after - 1] * len(part)
        at = after
    return Aligned("".join(parts), start[np.array(firsts, np.int64)], end[np.array(lasts, np.int64)])


def _without_controls(raw: str) -> tuple[str, np.ndarray]:
    """The text with `\\n` at line ends and without control characters, and where each character begins, (n,) int64."""
    kept = np.ones(len(raw), bool)
    for found in regex.finditer(r"(?<=\r)\n", raw):
        kept[found.start()] = False
    for found in CONTROL.finditer(raw):
        kept[found.start()] = False
    start = np.flatnonzero(kept)
    return CONTROL.sub("", raw.replace("\r\n", "\n").replace("\r", "\n")), start


def _pieces(text: str) -> Iterator[str]:
    """Cuts a text where nothing composes: the composed form of each piece does not depend on the others."""
    for found in _PIECE.finditer(text):
        piece = ""
        if len(found[0]) < 2 or unicodedata.is_normalized("NFC", found[0]):
            yield found[0]
            continue
        for character in found[0]:
            longer = piece + character
            alone = piece and not unicodedata.combining(unicodedata.normalize("NFD", character)[0])
            if alone and unicodedata.normalize("NFC", longer) == unicodedata.normalize("NFC", piece) + character:
                yield piece
                longer = character
            piece = longer
        yield piece
