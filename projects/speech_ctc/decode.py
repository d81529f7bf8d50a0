"""Connectionist temporal classification: what a target needs, and how outputs are decoded.

Graves et al. 2006; prefix beam search with a model of words as in Hannun et al. 2014 (arXiv:1408.2873). T frames, K
symbols, of which 0 is the blank.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from math import exp, inf, log
from typing import Any

import numpy as np

BLANK = 0
Prefix = tuple[int, ...]
Bonus = Callable[[Prefix], float]  # a prefix -> what its last symbol adds to its log score, such as a finished word


def frames_needed(target: Sequence[int]) -> int:
    """Frames that a target takes at least: one a symbol, and a blank between two equal neighbours. With fewer the loss
    is infinite.

    >>> frames_needed([1, 2, 2, 3])
    5
    """
    return len(target) + sum(one == other for one, other in pairwise(target))


def collapse(path: Sequence[int]) -> list[int]:
    """A path of symbols -> what it says: repeats are one, blanks are none.

    >>> collapse([0, 1, 1, 0, 1, 2])
    [1, 1, 2]
    """
    return [symbol for symbol, _ in groupby(path) if symbol != BLANK]


@dataclass(frozen=True)
class Spoken:
    """A symbol and the frames, first and last, that say it."""

    symbol: int
    first: int
    last: int


def greedy(log_probs: np.ndarray) -> list[Spoken]:
    """The most probable path of (T, K) log probabilities, collapsed, with the frames of each symbol."""
    found, frame = list[Spoken](), 0
    for symbol, run in groupby(log_probs.argmax(axis=1).tolist()):
        length = len(list(run))
        if symbol != BLANK:
            found.append(Spoken(symbol, frame, frame + length - 1))
        frame += length
    return found


def blank_rate(log_probs: np.ndarray) -> float:
    """Share of the frames whose most probable symbol is the blank: near 1, the model says nothing at all."""
    return float((log_probs.argmax(axis=1) == BLANK).mean())


def prefix_beam(
    log_probs: np.ndarray, width: int, bonus: Bonus | None = None, finish: Bonus | None = None, least: float = -inf
) -> list[tuple[Prefix, float]]:
    """The most probable targets of (T, K) log probabilities, summed over the paths that say them.

    Args:
        width: prefixes that are kept after each frame.
        bonus: added once to the log score of each prefix that a symbol extends.
        finish: added at the end, for the last word.
        least: log probability below which a symbol is not followed in a frame.

    Returns:
        At most `width` targets and their log scores, the best first. Without bonuses and with a width that keeps all
        prefixes the scores are exact log probabilities.
    """
    beam: dict[Prefix, tuple[float, float]] = {(): (0.0, -inf)}  # log sums of the paths that end blank, and not
    gained: dict[Prefix, float] = {(): 0.0}
    for frame in log_probs.tolist():
        after: dict[Prefix, list[float]] = defaultdict(lambda: [-inf, -inf])
        for prefix, (blank, other) in beam.items():
            both, same = add_logs(blank, other), after[prefix]
            same[0] = add_logs(same[0], both + frame[BLANK])
            if prefix:
                same[1] = add_logs(same[1], other + frame[prefix[-1]])
            for symbol in [number for number in range(1, len(frame)) if frame[number] > least]:
                longer = (*prefix, symbol)
                if longer not in gained:
                    gained[longer] = gained[prefix] + (bonus(longer) if bonus else 0.0)
                start = blank if prefix and symbol == prefix[-1] else both
                after[longer][1] = add_logs(after[longer][1], start + frame[symbol])
        ranked = sorted(after, key=lambda one: (-add_logs(*after[one]) - gained[one], one))[:width]
        beam = {prefix: (after[prefix][0], after[prefix][1]) for prefix in ranked}
    totals = {
        prefix: add_logs(*sums) + gained[prefix] + (finish(prefix) if finish else 0.0) for prefix, sums in beam.items()
    }
    return sorted(totals.items(), key=lambda one: (-one[1], one[0]))


def add_logs(one: float, other: float) -> float:
    """log(exp(one) + exp(other)), also where one or both are -infinity."""
    high, low = (one, other) if one > other else (other, one)
    return high if low == -inf else high + log(1 + exp(low - high))


@dataclass(frozen=True)
class WordModel:
    """A bigram model of words with add-k smoothing, of transcripts of the training split.

    Args:
        pairs: how often a word follows another; "" begins and ends a transcript.
        vocabulary: of all words.
    """

    pairs: dict[tuple[str, str], int]
    vocabulary: frozenset[str]
    add: float = 0.1

    @classmethod
    def of(cls, transcripts: Sequence[str]) -> "WordModel":
        """Counts the words of transcripts, which spaces separate."""
        pairs: dict[tuple[str, str], int] = defaultdict(int)
        for transcript in transcripts:
            for pair in pairwise(["", *transcript.split(), ""]):
                pairs[pair] += 1
        return cls(dict(pairs), frozenset(word for text in transcripts for word in text.split()))

    @cached_property
    def totals(self) -> dict[str, int]:
        """How often each word is followed by any."""
        found: dict[str, int] = defaultdict(int)
        for (first, _), count in self.pairs.items():
            found[first] += count
        return found

    def log_probability(self, before: str, word: str) -> float:
        """Of a word after another, in nats; of an unknown word, that of one that was never seen there."""
        size = len(self.vocabulary) + 2  # the end, and one unknown word
        return log((self.pairs.get((before, word), 0) + self.add) / (self.totals.get(before, 0) + self.add * size))

    def plain(self) -> list[list[Any]]:
        """What JSON can hold: before, word, how often."""
        return [[before, word, count] for (before, word), count in sorted(self.pairs.items())]

    @classmethod
    def from_plain(cls, rows: Sequence[Sequence[Any]]) -> "WordModel":
        """The same again."""
        pairs = {(str(before), str(word)): int(count) for before, word, count in rows}
        return cls(pairs, frozenset(word for pair in pairs for word in pair if word))
