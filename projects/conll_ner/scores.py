"""Figures of predicted entities beyond seqeval's: intervals, kinds of errors, names of train.

An entity is right if its first word, its last word and its type are.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shared.evaluation.intervals import DIGITS

from .tags import Entity, confidence_of, entities

Tags = Sequence[Sequence[str]]  # of each sentence, one a word
Words = Sequence[Sequence[str]]
Names = dict[tuple[str, ...], Counter[str]]  # the words of a name -> how often it has each type
MISSED = "(none)"  # predicted: nothing here
BOUNDARY = "(other words)"  # predicted: an entity of some of these words, or of more
KINDS = {
    "right": "same words, same type",
    "type": "same words, another type",
    "boundary": "some of its words, or more",
    "missed": "no word of it found",
    "spurious": "predicted where no entity is",
}


def count(actual: Sequence[Any], predicted: Sequence[Any]) -> np.ndarray:
    """(N, 3) int64: how many entities of each sentence are right, predicted, and actual.

    Args:
        actual, predicted: the entities of each of N sentences, as anything hashable.
    """
    pairs = [(set(true), set(guess)) for true, guess in zip(actual, predicted, strict=True)]
    return np.array([(len(true & guess), len(guess), len(true)) for true, guess in pairs], np.int64).reshape(-1, 3)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """(..., 3) sums of counts -> (...) F1; 0 where there is nothing.

    >>> f1_of(np.array([[2, 4, 2], [0, 0, 0]]))
    array([0.66666667, 0.        ])
    """
    right, total = 2 * counts[..., 0], counts[..., 1] + counts[..., 2]
    f1: np.ndarray = right / np.maximum(total, 1)
    return f1


class Match(NamedTuple):
    """A true entity and what was predicted there, or a predicted one where there is none.

    sentence: its number; entity: the true one, or a spurious one; actual, predicted: a type, MISSED or BOUNDARY; kind:
    one of KINDS; confidence: of the tags that were predicted for its words.
    """

    sentence: int
    entity: Entity
    actual: str
    predicted: str
    kind: str
    confidence: float


def matches(actual: Tags, predicted: Tags, probability: Sequence[np.ndarray]) -> list[Match]:
    """Every true entity, and every predicted one that shares no word with any of these.

    Args:
        probability: of each sentence (L,), of the predicted tags.
    """
    found = []
    for sentence, (true, guess) in enumerate(zip(map(entities, actual), map(entities, predicted), strict=True)):
        exact = {(one.start, one.end): one.label for one in guess}
        rows = []
        for one in true:
            label = exact.get((one.start, one.end))
            if label is not None:
                rows.append((one, one.label, label, "right" if label == one.label else "type"))
            elif any(_overlap(one, other) for other in guess):
                rows.append((one, one.label, BOUNDARY, "boundary"))
            else:
                rows.append((one, one.label, MISSED, "missed"))
        free = (one for one in guess if not any(_overlap(one, other) for other in true))
        rows += [(one, MISSED, one.label, "spurious") for one in free]
        found += [Match(sentence, *row, confidence_of(row[0], probability[sentence])) for row in rows]
    return found


def _overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


def names_of(words: Words, tags: Tags) -> Names:
    """All names of some sentences."""
    found: Names = {}
    for text, of_text in zip(words, tags, strict=True):
        for start, end, label in entities(of_text):
            found.setdefault(tuple(text[start:end]), Counter())[label] += 1
    return found


def count_kinds(found: Sequence[Match], words: Words, names: Names) -> dict[str, Any]:
    """num_<kind> of all; num_ and recall_ of true entities, `seen` where train has the same words with the same type,
    else `unseen`. Without such entities there is no recall."""
    counted: dict[str, Any] = {f"num_{kind}": sum(one.kind == kind for one in found) for kind in KINDS}
    rights: dict[str, list[bool]] = {"seen": [], "unseen": []}
    for one in found:
        if one.kind != "spurious":
            known = names.get(tuple(words[one.sentence][one.entity.start : one.entity.end]), ())
            rights["seen" if one.actual in known else "unseen"].append(one.kind == "right")
    for key, right in rights.items():
        counted[f"num_{key}"] = len(right)
        if right:
            counted[f"recall_{key}"] = round(sum(right) / len(right), DIGITS)
    return counted
