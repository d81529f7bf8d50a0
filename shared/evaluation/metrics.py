"""Classification metrics, computed from records: what was true and what was predicted, one row a sample.

N samples, K classes. From records and not from running sums, because an interval, a calibration curve and the list of
the worst errors cannot be made from sums, and because records from several processes are counted once each.
scikit-learn and scipy and not torchmetrics, which takes longer to import than the stage to run.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support, roc_auc_score

from shared.evaluation.intervals import DIGITS, wilson

BINS = 15  # of the calibration error, as in Guo et al. 2017


class Reliability(NamedTuple):
    """Bins of the confidence that hold samples: (B,) means of confidence and of accuracy, and numbers of samples."""

    confidence: np.ndarray
    accuracy: np.ndarray
    num_samples: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over the samples (Guo et al. 2017)."""
        if not len(self.num_samples):
            return float("nan")
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.num_samples))


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Confidence against accuracy in 15 bins of equal width.

    Args:
        confidence: (N,) float in [0, 1], of the predicted class.
        correct: (N,) bool.

    >>> reliability(np.array([0.75, 0.75]), np.array([True, False])).calibration_error
    0.25
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, weights=values, minlength=BINS) for values in (confidence, correct)]
    filled = count > 0
    confidences, accuracies = (total[filled] / count[filled] for total in sums)
    return Reliability(confidences, accuracies, count[filled])


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(N, K) logits -> (N, K) float64 that sum to one."""
    probability: np.ndarray = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    return probability


def cross_entropy_loss(logits: np.ndarray, actual: np.ndarray) -> float:
    """Mean negative log likelihood in nats; from logits, so that a probability of 0 stays finite."""
    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(actual)), actual].mean())


def by_class(actual: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1 and num_samples of each class; None where a figure would be 0 / 0."""
    columns = precision_recall_fscore_support(
        actual, predicted, labels=np.arange(len(classes)), average=None, zero_division=np.nan
    )
    rows = zip(classes, *(column.tolist() for column in columns), strict=True)
    return {
        name: {"precision": _known(p), "recall": _known(r), "f1": _known(f), "num_samples": int(num)}
        for name, p, r, f, num in rows
    }


def classification(logits: np.ndarray, actual: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """All figures of a classifier, as metrics.json holds them.

    Args:
        logits: (N, K) float.
        actual: (N,) int in [0, K).
        classes: K names.

    Returns:
        accuracy with accuracy_low and accuracy_high (Wilson), num_samples, cross_entropy_loss, macro_f1 (over the
        classes that occur or are predicted), roc_auc_score and average_precision_score (of the last of two classes, or
        the mean over more, each against the others), calibration_error, by_class.
    """
    predicted, confidence = top(logits)
    correct = predicted == actual
    low, high = wilson(int(correct.sum()), len(correct))
    figures = {
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "cross_entropy_loss": cross_entropy_loss(logits, actual),
        "macro_f1": float(f1_score(actual, predicted, average="macro", zero_division=0.0)),
        "calibration_error": reliability(confidence, correct).calibration_error,
        **areas(probabilities(logits), actual),
    }
    rounded = {name: round(value, DIGITS) for name, value in figures.items()}
    return rounded | {"num_samples": len(actual), "by_class": by_class(actual, predicted, classes)}


def areas(probability: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Areas under the ROC and the precision-recall curve: of the last of two classes, or the mean over more.

    A class that no sample, or every one, belongs to has no curve.

    Args:
        probability: (N, K) float.
        actual: (N,) int.

    >>> areas(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), np.array([0, 1, 1]))
    {'roc_auc_score': 1.0, 'average_precision_score': 1.0}
    """
    num_classes = probability.shape[1]
    labels = [1] if num_classes == 2 else range(num_classes)
    pairs = [(actual == k, probability[:, k]) for k in labels if 0 < (actual == k).sum() < len(actual)]
    scores = {"roc_auc_score": roc_auc_score, "average_precision_score": average_precision_score}
    return {name: float(np.mean([score(*pair) for pair in pairs])) for name, score in scores.items() if pairs}


def top(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) logits -> predicted class (N,) int64 and its probability (N,) float64."""
    predicted = logits.argmax(axis=1)
    return predicted, probabilities(logits)[np.arange(len(predicted)), predicted]


def _known(number: float) -> float | None:
    return None if np.isnan(number) else round(number, DIGITS)
