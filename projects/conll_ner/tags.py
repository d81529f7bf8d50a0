"""Tags of words in the schemes that people use, and the entities that tags mean.

IOB1    I-X in an entity; B-X only where it follows another of its type at once (CoNLL-2003)
BIO     B-X begins, I-X goes on (IOB2): the one that everything behind `to_bio` works with
BIOES   BIO, with E-X at the end and S-X for a single word (IOBES; L and U in BILOU)
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

OUTSIDE = "O"
SCHEMES = ("BIO", "IOB1", "BIOES")
EXPECTED = "O, or B-, I-, E-, S- and a type, such as B-PER"
_TAG = re.compile(r"O|[BIESLU]-\S+")
_SAME = {"L": "E", "U": "S"}  # BILOU's letters


class Entity(NamedTuple):
    """Words [start, end) and their type."""

    start: int
    end: int
    label: str


def is_tag(text: str) -> bool:
    """Whether this is a tag of any scheme."""
    return _TAG.fullmatch(text) is not None


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type; L and U read as E and S.

    >>> split_tag("U-PER"), split_tag("O")
    (('S', 'PER'), ('O', ''))
    """
    prefix, _, label = tag.partition("-")
    return _SAME.get(prefix, prefix), label


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence tagged in BIO or IOB1, as seqeval's default mode finds them.

    That mode is lenient, as the CoNLL-2003 script was: an I-X that continues nothing begins an entity.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [Entity(start=0, end=2, label='PER'), Entity(start=3, end=4, label='LOC'), Entity(start=4, end=5, label='LOC')]
    """
    found: list[Entity] = []
    open_ = ("", 0)  # type and start of the entity that the last word is in
    for place, (prefix, label) in enumerate([*map(split_tag, tags), (OUTSIDE, "")]):
        if open_[0] and (prefix != "I" or label != open_[0]):
            found.append(Entity(open_[1], place, open_[0]))
            open_ = ("", 0)
        if label and not open_[0]:
            open_ = (label, place)
    return found


def tags_of(found: Sequence[Entity], length: int) -> list[str]:
    """BIO tags of a sentence of `length` words."""
    tags = [OUTSIDE] * length
    for start, end, label in found:
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags


def tag_names(types: Sequence[str]) -> list[str]:
    """Every BIO tag of these types, in the order of their ids; O is 0.

    >>> tag_names(["LOC", "PER"])
    ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    return [OUTSIDE, *(f"{prefix}-{label}" for label in types for prefix in "BI")]


def faults(tags: Sequence[str], scheme: str) -> list[int]:
    """Places of tags that a scheme does not allow there, in one sentence."""
    pairs = [(OUTSIDE, ""), *map(split_tag, tags)]
    allowed = _ALLOWED[scheme]
    wrong = [place for place, (before, now) in enumerate(pairwise(pairs)) if not allowed(before, now)]
    if scheme == "BIOES" and tags and pairs[-1][0] in "BI" and len(tags) - 1 not in wrong:
        wrong.append(len(tags) - 1)
    return wrong


_Pair = tuple[str, str]


def _allowed_bio(before: _Pair, now: _Pair) -> bool:
    return now[0] in "OB" or (now[0] == "I" and before[1] == now[1])


def _allowed_iob1(before: _Pair, now: _Pair) -> bool:
    return now[0] in "OI" or (now[0] == "B" and before[1] == now[1])


def _allowed_bioes(before: _Pair, now: _Pair) -> bool:
    if before[0] in "BI":
        return now[0] in "IE" and before[1] == now[1]
    return now[0] in "OBS"


_ALLOWED = {"BIO": _allowed_bio, "IOB1": _allowed_iob1, "BIOES": _allowed_bioes}


def recognise(sentences: Sequence[Sequence[str]]) -> str | None:
    """The scheme that these sentences break least often; None where they hold no entity."""
    prefixes = {split_tag(tag)[0] for tags in sentences for tag in tags} - {OUTSIDE}
    if not prefixes:
        return None
    if prefixes & {"E", "S"}:
        return "BIOES"
    return min(("BIO", "IOB1"), key=lambda scheme: sum(len(faults(tags, scheme)) for tags in sentences))


def to_bio(tags: Sequence[str], scheme: str) -> list[str]:
    """A sentence without faults, in BIO.

    >>> to_bio(["I-PER", "I-PER", "B-PER"], "IOB1"), to_bio(["S-LOC", "B-PER", "E-PER"], "BIOES")
    (['B-PER', 'I-PER', 'B-PER'], ['B-LOC', 'B-PER', 'I-PER'])
    """
    if scheme == "BIOES":
        other = {"E": "I", "S": "B"}
        pairs = map(split_tag, tags)
        tags = [f"{other.get(prefix, prefix)}-{label}" if label else OUTSIDE for prefix, label in pairs]
    return tags_of(entities(tags), len(tags))
