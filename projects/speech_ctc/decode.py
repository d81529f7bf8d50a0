"""Connectionist temporal classification: symbols, how many outputs they need, and outputs of the network -> texts.

Graves et al. 2006; prefix beam search with a model of words as in Hannun et al. 2014 (arXiv:1408.2873). T outputs
(frames), K symbols, of which 0 is the blank.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from math import exp, inf, log
from typing import Any, NamedTuple

import numpy as np

BLANK = 0
Prefix = tuple[int, ...]
Bonus = Callable[[Prefix], float]  # a prefix -> what its last symbol adds to its log score, such as a finished word
Spell = Callable[[np.ndarray], str]  # (T, K) log probabilities -> the text
LEAST = -12.0  # log probability below which beam search does not follow a symbol


def alphabet_of(transcripts: Sequence[str]) -> list[str]:
    """The characters of normalised transcripts, the space first, the others in the order of their code points."""
    return [" ", *sorted({char for text in transcripts for char in text} - {" "})]


def encode(text: str, alphabet: Sequence[str]) -> list[int]:
    """Symbols of a normalised transcript: 0 is the blank, so the first character of the alphabet is 1.

    Raises:
        KeyError: of a character that is not in the alphabet.
    """
    number = {char: place for place, char in enumerate(alphabet, 1)}
    return [number[char] for char in text]


def spelt(symbols: Sequence[int], alphabet: Sequence[str]) -> str:
    """The text of symbols, without spaces at its ends and with one between words."""
    return " ".join("".join(alphabet[symbol - 1] for symbol in symbols).split())


def frame_samples(rate_hz: int, frame_ms: float) -> int:
    """Samples from one output of the network to the next: an even number, two frames of the spectrogram."""
    return 2 * max(1, round(frame_ms * rate_hz / 2000))


def num_frames(samples: int, rate_hz: int, frame_ms: float) -> int:
    """Outputs that the network gives for so many samples."""
    return -(-samples // frame_samples(rate_hz, frame_ms))


def frames_needed(target: Sequence[Any]) -> int:
    """Outputs that a target takes at least: one a symbol, and a blank between two equal neighbours. With fewer the loss
    is infinite.

    >>> frames_needed([1, 2, 2, 3]), frames_needed("too")
    (5, 4)
    """
    return len(target) + sum(bool(one == other) for one, other in pairwise(target))


class Spoken(NamedTuple):
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


def greedy_text(log_probs: np.ndarray, alphabet: Sequence[str]) -> str:
    """What the most probable path says."""
    return spelt([one.symbol for one in greedy(log_probs)], alphabet)


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
        followed = [symbol for symbol in range(1, len(frame)) if frame[symbol] > least]
        for prefix, (blank, other) in beam.items():
            both, same = add_logs(blank, other), after[prefix]
            same[0] = add_logs(same[0], both + frame[BLANK])
            if prefix:
                same[1] = add_logs(same[1], other + frame[prefix[-1]])
            for symbol in followed:
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


def make_spell(config: Mapping[str, Any]) -> Spell:
    """The decoder that was chosen in training.

    Args:
        config: alphabet, beam, word_weight and words: what model.json holds.
    """
    alphabet, beam, weight = config["alphabet"], int(config["beam"]), float(config["word_weight"])
    if beam == 1:
        return lambda log_probs: greedy_text(log_probs, alphabet)
    words, space = WordModel.from_plain(config["words"]), alphabet.index(" ") + 1

    def finished(prefix: Prefix) -> float:
        """What the last word of a prefix adds, "" where two spaces follow each other."""
        before, word = ["", *"".join(alphabet[symbol - 1] for symbol in prefix).split(" ")][-2:]
        return weight * words.log_probability(before, word)

    def bonus(prefix: Prefix) -> float:
        return finished(prefix[:-1]) if weight and prefix[-1] == space else 0.0

    def finish(prefix: Prefix) -> float:
        if not weight:
            return 0.0
        last = "".join(alphabet[symbol - 1] for symbol in prefix).split(" ")[-1]
        return finished(prefix) + weight * words.log_probability(last, "")

    return lambda log_probs: spelt(prefix_beam(log_probs, beam, bonus, finish, LEAST)[0][0], alphabet)
