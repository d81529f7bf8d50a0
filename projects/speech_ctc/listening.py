"""Recordings of any length -> words with times, as the samples arrive.

A recording that is longer than what the network learned from is heard in windows that overlap: of each, the outputs
near its ends, which lack what comes before or after, are left to its neighbours. What arrives in pieces gives exactly
the words of the whole.

L samples, T outputs, K symbols.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from shared.audio.stream import Windows

from .decode import greedy
from .spell import Word, align, greedy_text

MARGIN_S = 0.5  # of a window that is left to its neighbours
PAUSE_S = 0.5  # of quiet after which a word is complete: the network may have learned from shorter pauses alone
Hear = Callable[[np.ndarray], np.ndarray]  # (L,) float32 samples -> (T, K) log probabilities


class Heard(NamedTuple):
    """A word, when it begins and ends in seconds, and the geometric mean of the probabilities of its symbols."""

    text: str
    start_s: float
    end_s: float
    confidence: float


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
        self._done = 0  # outputs that are there

    def feed(self, samples: np.ndarray) -> Iterator[Heard]:
        """(L,) more samples -> the words that are complete now."""
        for start, window in self.windows.feed(samples):
            at = start // self.frame
            self._add(self.hear(window)[self._done - at : self.size - self.margin])
            yield from self._spell(last=False)

    def close(self) -> Iterator[Heard]:
        """The words of what is left; a new recording may begin then."""
        rest = self.windows.rest
        at = self.windows.start // self.frame
        if len(rest) > (self._done - at) * self.frame:
            self._add(self.hear(rest)[self._done - at :])
        yield from self._spell(last=True)
        self._reset()

    def _add(self, outputs: np.ndarray) -> None:
        self._outputs = np.concatenate([self._outputs, outputs])
        self._done += len(outputs)

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


def timed(word: Word, first: int, frame_s: float) -> Heard:
    """A word of outputs that begin with number `first`."""
    start, end = (first + word.first) * frame_s, (first + word.last + 1) * frame_s
    return Heard(word.text, round(start, 3), round(end, 3), round(word.confidence, 6))
