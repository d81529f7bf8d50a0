"""What predicted entities are worth: the figures of the field, computed from tags, and which kinds of errors there are.

An entity is right if its first word, its last word and its type are. Figures are seqeval's in its default mode, where
an I-X that continues nothing begins an entity; the CRF forbids such tags, so seqeval's strict mode gives the same.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shared.evaluation.metrics import DIGITS, LEVEL, RESAMPLES

from .tags import Entity, entities, split_tag

Tags = Sequence[Sequence[str]]
MISSED = "(none)"  # predicted: nothing here
BOUNDARY = "(other words)"  # predicted: an entity of some of these words, or of more
CHUNK = 64  # resamples at once


class Counts(NamedTuple):
    """Entities: found and right, predicted, and there in truth."""

    right: int
    predicted: int
    actual: int


def counts(actual: Sequence[str], predicted: Sequence[str]) -> Counts:
    """Of one sentence."""
    true, found = set(entities(actual)), set(entities(predicted))
    return Counts(len(true & found), len(found), len(true))


def figures(right: float, predicted: float, actual: float) -> tuple[float, float, float]:
    """precision, recall, F1; 0 where one would be nought by nought, as seqeval has it.

    >>> figures(2, 4, 2)
    (0.5, 1.0, 0.6666666666666666)
    """
    precision, recall = right / predicted if predicted else 0.0, right / actual if actual else 0.0
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def micro(actual: Tags, predicted: Tags) -> tuple[float, float, float]:
    """precision, recall and F1 over all entities of all sentences."""
    rows = [counts(*pair) for pair in zip(actual, predicted, strict=True)]
    return figures(*np.array(rows, dtype=np.int64).reshape(-1, 3).sum(axis=0).tolist())


def interval(rows: Sequence[Counts], seed: int) -> tuple[float, float]:
    """95 percent interval of F1 from a bootstrap over sentences (percentiles).

    Args:
        rows: one a sentence.
    """
    table, rng = np.array(rows, dtype=np.float64), np.random.default_rng(seed)
    drawn = []
    for start in range(0, RESAMPLES, CHUNK):
        picked = rng.integers(0, len(table), (min(CHUNK, RESAMPLES - start), len(table)))
        drawn += [figures(*total)[2] for total in table[picked].sum(axis=1)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def summary(actual: Tags, predicted: Tags, classes: Sequence[str], seed: int) -> dict[str, Any]:
    """f1 with f1_low and f1_high, precision, recall, num_samples (sentences), num_entities, by_class."""
    rows = [counts(*pair) for pair in zip(actual, predicted, strict=True)]
    low, high = interval(rows, seed)
    precision, recall, f1 = micro(actual, predicted)
    return {
        "f1": round(f1, DIGITS),
        "f1_low": low,
        "f1_high": high,
        "precision": round(precision, DIGITS),
        "recall": round(recall, DIGITS),
        "num_samples": len(rows),
        "num_entities": sum(row.actual for row in rows),
        "by_class": by_class(actual, predicted, classes),
    }


def by_class(actual: Tags, predicted: Tags, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1 and num_samples (entities) of each type; None where a figure would be nought by nought."""
    found = {}
    for name in classes:
        true, said = ([_only(tags, name) for tags in of_all] for of_all in (actual, predicted))
        rows = np.array([counts(*pair) for pair in zip(true, said, strict=True)])
        right, num_said, num_true = rows.sum(axis=0).tolist()
        precision, recall, f1 = figures(right, num_said, num_true)
        found[name] = {
            "precision": round(precision, DIGITS) if num_said else None,
            "recall": round(recall, DIGITS) if num_true else None,
            "f1": round(f1, DIGITS) if num_said or num_true else None,
            "num_samples": num_true,
        }
    return found


def _only(tags: Sequence[str], name: str) -> list[str]:
    return [tag if split_tag(tag)[1] == name else "O" for tag in tags]


class Match(NamedTuple):
    """An entity that is there or is predicted, with what became of it.

    sentence: its number; entity: of the truth, or the predicted one where there is none; actual and predicted: types,
    or what stands for none; kind: right, type (same words), boundary (other words), missed, spurious.
    """

    sentence: int
    entity: Entity
    actual: str
    predicted: str
    kind: str


def matches(actual: Tags, predicted: Tags) -> list[Match]:
    """Every entity of the truth, and every predicted one that shares no word with any of these."""
    found = []
    for sentence, (true, said) in enumerate(zip(map(entities, actual), map(entities, predicted), strict=True)):
        exact = {(one.start, one.end): one.label for one in said}
        for one in true:
            label = exact.get((one.start, one.end))
            if label is not None:
                found.append(Match(sentence, one, one.label, label, "right" if label == one.label else "type"))
            elif any(_overlap(one, other) for other in said):
                found.append(Match(sentence, one, one.label, BOUNDARY, "boundary"))
            else:
                found.append(Match(sentence, one, one.label, MISSED, "missed"))
        free = (one for one in said if not any(_overlap(one, other) for other in true))
        found += [Match(sentence, one, MISSED, one.label, "spurious") for one in free]
    return found


def _overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


def kinds(found: Sequence[Match]) -> dict[str, int]:
    """How many matches are of each kind."""
    counted = Counter(one.kind for one in found)
    return {kind: counted[kind] for kind in ("right", "type", "boundary", "missed", "spurious")}


Names = dict[tuple[str, ...], Counter[str]]  # the words of a name -> how often it has each type


def names_of(words: Sequence[Sequence[str]], tags: Tags) -> Names:
    """All names of some sentences."""
    found: Names = {}
    for text, of_text in zip(words, tags, strict=True):
        for start, end, label in entities(of_text):
            found.setdefault(tuple(text[start:end]), Counter())[label] += 1
    return found


def recall_by_seen(found: Sequence[Match], words: Sequence[Sequence[str]], names: Names) -> dict[str, tuple[int, int]]:
    """right and all entities of the truth, by whether train has the same words with the same type."""
    split = {"seen": [0, 0], "unseen": [0, 0]}
    for one in found:
        if one.kind != "spurious":
            known = names.get(tuple(words[one.sentence][one.entity.start : one.entity.end]), Counter())
            row = split["seen" if one.actual in known else "unseen"]
            row[0] += one.kind == "right"
            row[1] += 1
    return {key: (row[0], row[1]) for key, row in split.items()}


def gazetteer(words: Sequence[Sequence[str]], names: Names) -> list[list[str]]:
    """The baseline that knows names and no context: the longest name of train that begins here, of its usual type."""
    longest = max(map(len, names), default=0)
    return [_looked_up(text, names, longest) for text in words]


def _looked_up(text: Sequence[str], names: Names, longest: int) -> list[str]:
    tags, place = ["O"] * len(text), 0
    while place < len(text):
        sizes = range(min(longest, len(text) - place), 0, -1)
        size = next((size for size in sizes if tuple(text[place : place + size]) in names), 0)
        if size:
            types = names[tuple(text[place : place + size])]
            label = min(types, key=lambda name: (-types[name], name))
            tags[place : place + size] = [f"B-{label}"] + [f"I-{label}"] * (size - 1)
        place += size or 1
    return tags
