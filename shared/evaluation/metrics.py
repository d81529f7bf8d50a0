"""Classification metrics, computed from records: what was true and what was predicted, one row a sample.

N samples, K classes. From records and not from running sums, because an interval, a calibration curve and the list of
the worst errors cannot be made from sums, and because records from several processes are counted once each.
scikit-learn and scipy and not torchmetrics, which takes longer to import than the stage to run.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax  # type: ignore[import-untyped]
from scipy.stats import bootstrap as scipy_bootstrap  # type: ignore[import-untyped]
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

BINS = 15  # of the calibration error, as in Guo et al. 2017
RESAMPLES = 2_000
LEVEL = 0.95  # of the intervals
DIGITS = 6  # kept in files: more would differ from machine to machine
_BATCH = 1_000_000  # numbers drawn at once


class Bin(NamedTuple):
    """A bin of the reliability diagram: samples whose confidence lies in (low, high]; means are nan where empty."""

    low: float
    high: float
    num_samples: int
    confidence: float
    accuracy: float


def bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Percentile interval, 95 percent, of the mean of per-sample values (Efron 1979).

    It knows only the variation it sees: where all values are equal its width is nought, and the honest reading is
    the rule of three (the true rate is within 3/N of it).

    Args:
        values: (N,) numbers or bools, N >= 1.
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


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(N, K) logits -> (N, K) float64 that sum to one."""
    probability: np.ndarray = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    return probability


def cross_entropy(logits: np.ndarray, actual: np.ndarray) -> float:
    """Mean negative log likelihood in nats; from logits, so that a probability of nought stays finite."""
    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(actual)), actual].mean())


def reliability(confidence: np.ndarray, correct: np.ndarray) -> list[Bin]:
    """Confidence against accuracy in 15 bins of equal width.

    Args:
        confidence: (N,) float in [0, 1], of the predicted class.
        correct: (N,) bool.
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, weights=values, minlength=BINS) for values in (confidence, correct)]
    means = [np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0) for total in sums]
    edges = np.linspace(0, 1, BINS + 1)
    rows = zip(edges[:-1], edges[1:], count, *means, strict=True)
    return [Bin(float(low), float(high), int(num), float(mean), float(right)) for low, high, num, mean, right in rows]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over the samples (Guo et al. 2017).

    >>> calibration_error([Bin(0.0, 0.5, 0, np.nan, np.nan), Bin(0.5, 1.0, 4, 0.75, 0.5)])
    0.25
    """
    total = sum(one.num_samples for one in bins)
    return sum(one.num_samples * abs(one.confidence - one.accuracy) for one in bins if one.num_samples) / total


def confusion(actual: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(K, K) int64: row the actual class, column the predicted one."""
    counts: np.ndarray = confusion_matrix(actual, predicted, labels=np.arange(num_classes))
    return counts


def by_class(actual: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1 and num_samples of each class; None where a figure would be nought by nought."""
    columns = precision_recall_fscore_support(
        actual, predicted, labels=np.arange(len(classes)), average=None, zero_division=np.nan
    )
    rows = zip(classes, *(column.tolist() for column in columns), strict=True)
    return {
        name: {"precision": _known(p), "recall": _known(r), "f1": _known(f), "num_samples": int(num)}
        for name, p, r, f, num in rows
    }


def classification(logits: np.ndarray, actual: np.ndarray, classes: list[str], seed: int) -> dict[str, Any]:
    """All figures of a classifier, as metrics.json holds them.

    Args:
        logits: (N, K) float.
        actual: (N,) int in [0, K).
        classes: K names.
        seed: of the interval.

    Returns:
        accuracy with accuracy_low and accuracy_high, num_samples, cross_entropy_loss, macro_f1 (over the classes that
        occur or are predicted), calibration_error, by_class.
    """
    predicted, confidence = top(logits)
    correct = predicted == actual
    low, high = bootstrap(correct, seed)
    return {
        "accuracy": round(float(correct.mean()), DIGITS),
        "accuracy_low": low,
        "accuracy_high": high,
        "num_samples": len(actual),
        "cross_entropy_loss": round(cross_entropy(logits, actual), DIGITS),
        "macro_f1": round(float(f1_score(actual, predicted, average="macro", zero_division=0.0)), DIGITS),
        "calibration_error": round(calibration_error(reliability(confidence, correct)), DIGITS),
        "by_class": by_class(actual, predicted, classes),
    }


def top(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) logits -> predicted class (N,) int64 and its probability (N,) float64."""
    predicted = logits.argmax(axis=1)
    return predicted, probabilities(logits)[np.arange(len(predicted)), predicted]


def _known(number: float) -> float | None:
    return None if np.isnan(number) else round(number, DIGITS)
