"""95 percent intervals of metrics."""

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped]
from scipy.stats import bootstrap as scipy_bootstrap

RESAMPLES = 2_000
LEVEL = 0.95
DIGITS = 6  # kept in files: more would differ from machine to machine
_BATCH = 1_000_000  # numbers drawn at once


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927): right where the bootstrap's would have no width.

    >>> wilson(10, 10)
    (0.722467, 1.0)
    """
    interval = binomtest(right, total).proportion_ci(LEVEL, method="wilson")
    return round(float(interval.low), DIGITS), round(float(interval.high), DIGITS)


def bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Percentile interval of the mean of values, one for each independent unit (Efron 1979).

    Args:
        values: (N,) numbers or bools, N >= 1: of an image, a sentence, a user, a speaker.
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
