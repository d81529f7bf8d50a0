"""95 percent intervals of metrics."""

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped]
from scipy.stats import bootstrap as scipy_bootstrap

RESAMPLES = 2_000
LEVEL = 0.95
DIGITS = 6  # kept in files: more would differ from machine to machine
_BATCH = 1_000_000  # numbers drawn at once


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), which has a width at 0 and 1 too, unlike the bootstrap's.

    >>> wilson(10, 10)
    (0.722467, 1.0)
    """
    interval = binomtest(right, total).proportion_ci(LEVEL, method="wilson")
    return round(float(interval.low), DIGITS), round(float(interval.high), DIGITS)


def bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Percentile interval of the mean of values, one for each independent unit (Efron 1979).

    Args:
        values: (N,) numbers or bools, N >= 1: one per image, sentence, user or speaker.
        seed: of the resamples: the same values and seed give the same interval.

    >>> bootstrap(np.array([0.0, 1.0] * 50), seed=0)
    (0.4, 0.6)
    """
    if len(values) == 1:
        return float(values[0]), float(values[0])
    interval = scipy_bootstrap(
        (np.asarray(values, float),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH // len(values)),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return round(float(interval.low), DIGITS), round(float(interval.high), DIGITS)


def resampled_sums(counts: np.ndarray, seed: int) -> np.ndarray:
    """(N, ...) numbers of N independent units -> (R, ...): their sums over units drawn with replacement (Efron 1979).

    The draws are the same for equal N and seed: two systems on the same units are paired.
    """
    rng, size = np.random.default_rng(seed), len(counts)
    flat = counts.reshape(size, -1).astype(float)
    at_once = max(1, _BATCH // size)
    parts = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    sums = np.concatenate([rng.multinomial(size, np.full(size, 1 / size), part) @ flat for part in parts])
    return sums.reshape(RESAMPLES, *counts.shape[1:])


def percentile_interval(resampled: np.ndarray) -> tuple[float, float]:
    """The percentiles between which 95 % of a metric's values over resamples (R,) lie, for metrics that are no means.

    >>> percentile_interval(np.arange(101.0))
    (2.5, 97.5)
    """
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), DIGITS), round(float(high), DIGITS)
