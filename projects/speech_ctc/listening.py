"""When words are said, and recordings of any length -> words with times, as the samples arrive.

A recording that is longer than what the network learned from is heard in windows that overlap: of each, the outputs
near its ends, which lack what comes before or after, are left to its neighbours. What arrives in pieces gives exactly
the words of the whole.

L samples, T outputs, K symbols.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torchaudio.functional import forced_align

from shared.audio.stream import Windows

from .decode import BLANK, encode, greedy, greedy_text

MARGIN_S = 0.5  # of a window that is left to its neighbours
PAUSE_S = 0.5  # of quiet after which a word is complete: the network may have learned from shorter pauses alone
Hear = Callable[[np.ndarray], np.ndarray]  # (L,) float32 samples -> (T, K) log probabilities


class Word(NamedTuple):
    """A word of a text, the first and last output that say it, and the geometric mean of the probabilities of its
    symbols, each at the first output that says it."""

    text: str
    first: int
    last: int
    confidence: float

    @property
    def middle(self) -> float:
        """Of the outputs that say it, in outputs since the beginning of number 0."""
        return (self.first + self.last + 1) / 2


class Heard(NamedTuple):
    """A word, when it begins and ends in seconds, and the geometric mean of the probabilities of its symbols."""

    text: str
    start_s: float
    end_s: float
    confidence: float


def align(log_probs: np.ndarray, text: str, alphabet: Sequence[str]) -> list[Word]:
    """When each word of a text is said, by the most probable path that says it (Viterbi; torchaudio's forced_align).

    A text of the network's own, so that it fits: [] where it is empty.
    """
    if not text:
        return []
    target = torch.tensor([encode(text, alphabet)])
    path, scores = forced_align(torch.from_numpy(log_probs)[None], target, blank=BLANK)
    symbols, chances = path[0].tolist(), scores[0].tolist()
    starts = [place for place, symbol in enumerate(symbols) if symbol and (place == 0 or symbols[place - 1] != symbol)]
    found, at = list[Word](), 0
    for word in text.split():
        own = starts[at : at + len(word)]
        last = own[-1]
        while last + 1 < len(symbols) and symbols[last + 1] == symbols[own[-1]]:
            last += 1
        confidence = float(np.exp(np.mean([chances[place] for place in own])))
        found.append(Word(word, own[0], last, confidence))
        at += len(word) + 1  # and the space
    return found


def timed(word: Word, first: int, frame_s: float) -> Heard:
    """A word of outputs that begin with number `first`."""
    start, end = (first + word.first) * frame_s, (first + word.last + 1) * frame_s
    return Heard(word.text, round(start, 3), round(end, 3), round(word.confidence, 6))


class Listener:
    """`feed` samples, as many at a time as there are, and `close`: both give the words that are complete.

    Args:
        hear: the network, on one window.
        config: alphabet, rate_hz, max_seconds: what model.json holds.
        frame_samples: from one output to the next.
    """

    def __init__(self, hear: Hear, config: Mapping[str, Any], frame_samples: int) -> None:
        self.hear, self.alphabet, self.rate_hz, self.frame = hear, config["alphabet"], config["rate_hz"], frame_samples
        self.size = max(4, int(config["max_seconds"] * self.rate_hz / frame_samples))  # outputs of a window
        self.margin = min(self.size // 4, round(MARGIN_S * self.rate_hz / frame_samples))
        self._reset()

    def _reset(self) -> None:
        self.windows = Windows(self.size * self.frame, (self.size - 2 * self.margin) * self.frame)
        self._first = 0
        self._outputs = np.zeros((0, 1 + len(self.alphabet)), np.float32)  # from output _first on, not yet spelt

    def feed(self, samples: np.ndarray) -> Iterator[Heard]:
        """(L,) more samples -> the words that are complete now."""
        for start, window in self.windows.feed(samples):
            self._add(start, self.hear(window)[: self.size - self.margin])
            yield from self._spell(last=False)

    def close(self) -> Iterator[Heard]:
        """The words of what is left; a new recording may begin then."""
        if len(self.windows.rest):
            self._add(self.windows.start, self.hear(self.windows.rest))
        yield from self._spell(last=True)
        self._reset()

    def _add(self, start: int, outputs: np.ndarray) -> None:
        """The outputs of a window, without those that are there already."""
        done = self._first + len(self._outputs) - start // self.frame
        self._outputs = np.concatenate([self._outputs, outputs[done:]])

    def _spell(self, last: bool) -> Iterator[Heard]:
        """The words before the last space, or all where it has been quiet since; their outputs are forgotten."""
        space, pause = self.alphabet.index(" ") + 1, PAUSE_S * self.rate_hz / self.frame
        found, end = greedy(self._outputs), len(self._outputs)
        if not last and found and end - found[-1].last <= pause:
            end = max((one.first for one in found if one.symbol == space), default=0)
        outputs, self._outputs = self._outputs[:end], self._outputs[end:]
        first, self._first = self._first, self._first + end
        pauses = [other.first for one, other in pairwise(found) if other.first - one.last > pause and other.first < end]
        for start, stop in pairwise([0, *pauses, end]):
            part = outputs[start:stop]
            for word in align(part, greedy_text(part, self.alphabet), self.alphabet):
                yield timed(word, first + start, self.frame / self.rate_hz)
