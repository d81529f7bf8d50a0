"""Detection in long recordings and streams: a window slides, and scores above a threshold become events.

L samples, W windows, K classes, E events.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]  # (window,) float32 -> (K,) probabilities


class Event(NamedTuple):
    """A class that was heard: index, probability, and the window's middle in seconds."""

    label: int
    score: float
    time_s: float


class Windows:
    """Cuts what arrives into windows of `size` samples, `hop` apart. How it is chunked makes no difference."""

    def __init__(self, size: int, hop: int) -> None:
        assert 0 < hop <= size
        self.size, self.hop, self.start = size, hop, 0
        self.rest = np.zeros(0, np.float32)  # from `start` on: what no window has had whole

    def feed(self, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(L,) more samples -> where each window that is complete now begins, and its samples."""
        rest, at = np.concatenate([self.rest, samples.astype(np.float32)]), 0
        while at + self.size <= len(rest):
            yield self.start, rest[at : at + self.size]
            at, self.start = at + self.hop, self.start + self.hop
        self.rest = rest[at:].copy()


class Detector:
    """`feed` samples, as many at a time as there are, and `close`: both give events. A window is scored alone, so its
    score depends on nothing else.

    An event is a window whose most probable class is none of the `ignored` and at least as probable as the threshold;
    the same class is not reported again before `refractory_s` without it have passed.
    """

    def __init__(
        self, score: Score, rate_hz: int, window_s: float, hop_s: float, threshold: float, refractory_s: float,
        ignored: Iterable[int] = (),
    ) -> None:  # fmt: skip
        self.score, self.rate_hz, self.threshold = score, rate_hz, threshold
        self.windows = Windows(round(window_s * rate_hz), round(hop_s * rate_hz))
        self.refractory_s, self.ignored = refractory_s, set(ignored)
        self._last: dict[int, float] = {}

    def feed(self, samples: np.ndarray) -> Iterator[Event]:
        """(L,) more samples -> the events in the windows that are complete now."""
        for start, window in self.windows.feed(samples):
            yield from self._heard(start, window)

    def close(self) -> Iterator[Event]:
        """The event of a recording that has ended before it filled a window."""
        if self.windows.start == 0:
            yield from self._heard(0, self.windows.rest)

    def _heard(self, start: int, window: np.ndarray) -> Iterator[Event]:
        """None in digital silence, of which a network that has never learned it may say anything."""
        if window.any():
            yield from self.judge((start + len(window) / 2) / self.rate_hz, self.score(window))

    def judge(self, time_s: float, scores: np.ndarray) -> Iterator[Event]:
        """The event of a window's (K,) probabilities, if it is one."""
        label = int(scores.argmax())
        if label in self.ignored or scores[label] < self.threshold:
            return
        known = self._last.get(label)
        self._last[label] = time_s
        if known is None or time_s - known > self.refractory_s:
            yield Event(label, float(scores[label]), time_s)


class Found(NamedTuple):
    """What a threshold leads to: share of the true events that are found, false alarms an hour."""

    threshold: float
    recall: float
    alarms_an_hour: float


def count_found(
    events: Sequence[Event],
    truth: Sequence[tuple[int, float, float]],
    hours: float,
    threshold: float,
    tolerance_s: float,
) -> Found:
    """Compares events with what truly sounds: (label, start, end in s). Each truth is found once; a second detection of
    it is a false alarm, as one of another class is."""
    open_ = list(truth)
    alarms = 0
    for event in events:
        fits = [one for one in open_ if one[0] == event.label
                and one[1] - tolerance_s <= event.time_s <= one[2] + tolerance_s]  # fmt: skip
        if fits:
            open_.remove(fits[0])
        else:
            alarms += 1
    return Found(threshold, 1 - len(open_) / max(1, len(truth)), alarms / hours)


def make_stream(
    sounds: Sequence[np.ndarray], seconds: float, bed: np.ndarray, rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Puts recordings at random times into one bed of noise, faded in and out, so that no silence tells where they end.

    Args:
        sounds: (L,) float32 each, in this order, as many as there is room for: one in about four seconds.
        bed: (M,) float noise, repeated.

    Returns:
        (seconds * rate_hz,) float32, and of each recording that is in it its number and where it begins.
    """
    size, fade = round(seconds * rate_hz), round(0.04 * rate_hz)
    made = np.resize(bed, size).astype(np.float32)
    at, placed = rate_hz, list[tuple[int, int]]()
    for number, sound in enumerate(sounds):
        if at + len(sound) + rate_hz > size:
            break
        weight = np.minimum(1, np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / fade)
        part = made[at : at + len(sound)]
        part[:] = part * (1 - weight) + sound * weight
        placed.append((number, at))
        at += len(sound) + round(rng.uniform(1.5, 4.0) * rate_hz)
    return made, placed
