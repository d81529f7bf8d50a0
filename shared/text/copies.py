"""Texts that occur more than once: copies, copies under several labels, and near copies in two splits.

N texts.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import regex

LIKENESS = 0.8  # of near copies: the share of their phrases that both have
PHRASE_WORDS = 3
_SKETCH = 4  # smallest hashes of a text's phrases: near copies have at least one of them in common, but for 1 in 100
_TRIED = 20  # candidates for each of these
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+")


def equal_texts(texts: Sequence[str]) -> list[int]:
    """For each text the place of the first that is the same but for case and white space, often its own.

    >>> equal_texts(["Good film", "A pity", "good  film\\n"])
    [0, 1, 0]
    """
    first: dict[str, int] = {}
    return [first.setdefault(" ".join(text.casefold().split()), place) for place, text in enumerate(texts)]


def find_contradictions(texts: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """The places of copies (`equal_texts`) with more than one label, a list for each such text.

    >>> find_contradictions(["Good film", "A pity", "good film"], ["good", "bad", "bad"])
    [[0, 2]]
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for place, first in enumerate(equal_texts(texts)):
        groups[first].append(place)
    return [places for places in groups.values() if len({labels[place] for place in places}) > 1]


def find_near_copies(texts: Sequence[str], splits: Sequence[str]) -> list[tuple[int, int]]:
    """Texts that are nearly the same as one before them in another split.

    Near copies share LIKENESS of their phrases of three words, whatever their case and punctuation: the resemblance of
    Broder 1997, "On the resemblance and containment of documents", here looked for by the smallest hashes of each.

    Args:
        texts: N texts; those of train first, so that what is found in test is a copy of what was trained on.
        splits: (N,) their splits.

    Returns:
        Places (one, other) with one < other, the first found for each other.
    """
    numbers: dict[str, int] = {}
    known: dict[int, list[int]] = defaultdict(list)
    phrases: list[np.ndarray] = []
    pairs = []
    for place, text in enumerate(texts):
        phrases.append(_phrases(text, numbers))
        sketch = phrases[place][:_SKETCH].tolist()
        candidates = dict.fromkeys(
            other for one in sketch for other in known[one][:_TRIED] if splits[other] != splits[place]
        )
        found = next((one for one in candidates if _likeness(phrases[one], phrases[place]) >= LIKENESS), None)
        pairs += [] if found is None else [(found, place)]
        for one in sketch:
            known[one].append(place)
    return pairs


def _phrases(text: str, numbers: dict[str, int]) -> np.ndarray:
    """The different hashes of a text's phrases, ascending; that of all its words if they are fewer; none without."""
    words = [numbers.setdefault(word, len(numbers) + 1) for word in _WORD.findall(text.casefold())]
    if not words:
        return np.zeros(0, np.uint64)
    words += [0] * (PHRASE_WORDS - len(words))
    of = np.array(words, np.uint64)
    found = np.zeros(len(of) - PHRASE_WORDS + 1, np.uint64)
    for place in range(PHRASE_WORDS):
        found = _mix(found + of[place : place + len(found)])
    return np.unique(found)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
