"""Tags of words in the schemes that people use, and the entities that tags mean.

IOB1    I-X in an entity; B-X only where it follows another of its type at once (CoNLL-2003)
BIO     B-X begins, I-X goes on (IOB2): what everything after `formats.py` works with
BIOES   BIO, with E-X at the end and S-X for a single word (IOBES; L and U in BILOU; M for I in BMES)
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities

OUTSIDE = "O"
EXPECTED = "O, or B-, I-, E-, S- and a type, such as B-PER"
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_SAME = {"L": "E", "U": "S", "M": "I"}  # the letters of BILOU and BMES


class Entity(NamedTuple):
    """Words [start, end) and their type."""

    start: int
    end: int
    label: str


def read_tag(text: str) -> str | None:
    """A tag of any scheme, the letters of BILOU and BMES as those of BIOES; None for anything else.

    >>> read_tag("U-PER"), read_tag("O"), read_tag("PER")
    ('S-PER', 'O', None)
    """
    return _SAME.get(text[0], text[0]) + text[1:] if _TAG.fullmatch(text) else None


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence tagged in any scheme, as seqeval's default mode finds them.

    That mode is lenient, as the CoNLL-2003 script was: an I-X that continues nothing begins an entity.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [Entity(start=0, end=2, label='PER'), Entity(start=3, end=4, label='LOC'), Entity(start=4, end=5, label='LOC')]
    """
    return [Entity(start, end + 1, label) for label, start, end in get_entities(list(tags))]


def confidence_of(one: Entity, probability: np.ndarray) -> float:
    """The lowest of the probabilities (L,) that the tags of an entity's words have."""
    return float(probability[one.start : one.end].min().clip(0, 1))


def write_tags(found: Sequence[Entity], length: int, scheme: str = "BIO") -> list[str]:
    """The tags of a sentence of `length` words, from its entities in order.

    >>> write_tags([Entity(0, 2, "PER"), Entity(2, 3, "PER")], 3, "IOB1")
    ['I-PER', 'I-PER', 'B-PER']
    """
    tags, before = [OUTSIDE] * length, (0, "")
    for start, end, label in found:
        if scheme == "BIOES":
            letters = "S" if end - start == 1 else "B" + "I" * (end - start - 2) + "E"
        else:
            begins = scheme == "BIO" or before == (start, label)
            letters = "BI"[not begins] + "I" * (end - start - 1)
        tags[start:end] = [f"{letter}-{label}" for letter in letters]
        before = end, label
    return tags


def recognise(sentences: Sequence[Sequence[str]]) -> str | None:
    """The scheme that these sentences break least often; None where they hold no entity."""
    letters = {tag[0] for tags in sentences for tag in tags} - {OUTSIDE}
    if not letters:
        return None
    if letters & {"E", "S"}:
        return "BIOES"
    return min(("BIO", "IOB1"), key=lambda scheme: sum(len(faults(tags, scheme)) for tags in sentences))


def faults(tags: Sequence[str], scheme: str) -> list[tuple[int, str]]:
    """Places of tags that a scheme writes in another way, and how it does.

    >>> faults(["O", "I-PER", "I-PER"], "BIO")
    [(1, 'B-PER')]
    """
    right = write_tags(entities(tags), len(tags), scheme)
    return [(place, tag) for place, tag in enumerate(right) if tag != tags[place]]


def tag_names(types: Sequence[str]) -> list[str]:
    """Every BIO tag of these types by its id: O is 0, B-X odd, and I-X the one after it.

    >>> tag_names(["LOC", "PER"])
    ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    return [OUTSIDE, *(f"{prefix}-{label}" for label in types for prefix in "BI")]
