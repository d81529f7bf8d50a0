"""Scores of segmentation from one confusion matrix an image, so that intervals over images need no second pass.

N images, K classes, H, W height and width of an image.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt  # type: ignore[import-untyped]

from shared.evaluation.comparison import corpus_metric
from shared.evaluation.intervals import DIGITS
from shared.image.masks import IGNORED

BOUNDARY_SHARE = 0.0075  # of the image's diagonal: how far a boundary may lie off (Csurka et al. 2013)


def confusion(actual: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(K, K) int64 pixels of actual (rows) and predicted classes, without those that are ignored.

    Args:
        actual, predicted: of one shape, class indices; actual may be IGNORED.

    >>> confusion(np.array([0, 0, 1, 255]), np.array([0, 1, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    counted = actual != IGNORED
    places = actual[counted].astype(np.int64) * num_classes + predicted[counted]
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def parts(confusions: np.ndarray) -> np.ndarray:
    """(..., K, K) -> (..., 3, K): pixels that are right, that are of the class, that were predicted as it."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1)
    return np.stack([right, confusions.sum(-1), confusions.sum(-2)], axis=-2)


def iou(counts: np.ndarray) -> np.ndarray:
    """(..., 3, K) -> (..., K): intersection over union (Jaccard's index); NaN where a class neither is nor was
    predicted."""
    right, actual, predicted = np.moveaxis(counts.astype(float), -2, 0)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = right / (actual + predicted - right)
    return found


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """(..., 3, K) -> (...): mean over the classes that are or were predicted; 0 where there is none."""
    each = iou(counts)
    there = ~np.isnan(each)
    found: np.ndarray = np.where(there, each, 0).sum(-1) / np.maximum(1, there.sum(-1))
    return found


def measure(counts: np.ndarray, others: Mapping[str, np.ndarray], classes: list[str], seed: int) -> dict[str, Any]:
    """The figures of metrics.json.

    Args:
        counts: (N, 3, K), see `parts`, of this model; others: baseline -> the same of it.

    Returns:
        mean_iou_score with its interval over images, mean_dice_score (of the same classes), pixel_accuracy, by_class
        (iou_score, dice_score, precision, recall, num_pixels; None for a class that neither is nor was predicted),
        baseline, difference with its paired interval.
    """
    total = counts.sum(axis=0)
    each = iou(total)
    right, actual, predicted = total.astype(float)
    with np.errstate(invalid="ignore"):
        columns = {
            "iou_score": each,
            "dice_score": 2 * right / (actual + predicted),
            "precision": right / predicted,
            "recall": right / actual,
        }
    by_class = {
        name: {key: known(of[number]) for key, of in columns.items()} | {"num_pixels": int(actual[number])}
        for number, name in enumerate(classes)
    }
    dice = float(np.nanmean(columns["dice_score"])) if (actual + predicted).any() else 0.0
    accuracy = float(right.sum() / max(1.0, actual.sum()))
    return {
        **corpus_metric("mean_iou_score", counts, others, mean_iou, seed),
        "mean_dice_score": round(dice, DIGITS),
        "pixel_accuracy": round(accuracy, DIGITS),
        "by_class": by_class,
    }


def known(number: float) -> float | None:
    return None if np.isnan(number) else round(float(number), DIGITS)


# --- boundaries -------------------------------------------------------------------------------------------------------


def tolerance_px(height: int, width: int) -> int:
    """At least a pixel.

    >>> tolerance_px(360, 480)
    5
    """
    return max(1, round(BOUNDARY_SHARE * float(np.hypot(height, width))))


def boundary_f1(actual: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(K,): F1 of the boundaries of each class in one image (Csurka et al. 2013); NaN where it has none in either.

    A boundary pixel is right where the other boundary is within `tolerance_px`. Boundaries of an image's edge, and
    beside ignored pixels, do not count.

    Args:
        actual, predicted: (H, W) class indices; actual may be IGNORED.
    """
    counted = actual != IGNORED
    far = tolerance_px(*actual.shape)
    found = np.full(num_classes, np.nan)
    for label in np.union1d(np.unique(actual[counted]), np.unique(predicted[counted])).tolist():
        edges = [boundary(mask == label, counted) for mask in (actual, predicted)]
        numbers = [int(edge.sum()) for edge in edges]
        if not any(numbers):
            continue
        if not all(numbers):
            found[label] = 0.0
            continue
        recall, precision = (
            (distance_transform_edt(~other)[edge] <= far).mean() for edge, other in (edges, edges[::-1])
        )
        found[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return found


def boundary(inside: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels inside that have a neighbour (above, below, left, right) outside, both counted."""
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        one, other = (np.moveaxis(array, axis, 0) for array in (inside, counted))
        differ = (one[1:] != one[:-1]) & other[1:] & other[:-1]
        along = np.moveaxis(edge, axis, 0)
        along[1:] |= differ & one[1:]
        along[:-1] |= differ & one[:-1]
    return edge
