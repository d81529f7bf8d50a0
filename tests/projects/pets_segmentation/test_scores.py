"""Scores are those of the libraries that the field trusts; intervals come from images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from sklearn.metrics import f1_score, jaccard_score
from torchmetrics.functional.classification import multiclass_jaccard_index

from projects.pets_segmentation.scores import (
    boundary_f1,
    confusion,
    iou,
    mean_iou,
    measure,
    parts,
    tolerance_px,
)
from shared.image.masks import IGNORED

CLASSES = ["a", "b", "c"]


def masks(number: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 3, (number, 10, 12)).astype(np.uint8)
    predicted = np.where(rng.random(actual.shape) < 0.7, actual, rng.integers(0, 3, actual.shape)).astype(np.uint8)
    actual[:, :2] = IGNORED
    return actual, predicted


def counts_of(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return parts(np.stack([confusion(*pair, 3) for pair in zip(actual, predicted, strict=True)]))


def test_iou_and_dice_are_those_of_scikit_learn_and_torchmetrics() -> None:
    actual, predicted = masks()
    counted = actual != IGNORED
    found = measure(counts_of(actual, predicted), {}, CLASSES, seed=0)
    one, other = actual[counted], predicted[counted]
    expected = jaccard_score(one, other, average=None)
    assert [found["by_class"][name]["iou_score"] for name in CLASSES] == pytest.approx(expected, abs=1e-6)
    dice = f1_score(one, other, average=None)
    assert [found["by_class"][name]["dice_score"] for name in CLASSES] == pytest.approx(dice, abs=1e-6)
    reference = multiclass_jaccard_index(torch.from_numpy(predicted), torch.from_numpy(actual), 3, ignore_index=IGNORED)
    assert found["mean_iou_score"] == pytest.approx(reference.item(), abs=1e-6)
    assert found["pixel_accuracy"] == pytest.approx((one == other).mean(), abs=1e-6)
    assert found["mean_iou_score_low"] < found["mean_iou_score"] < found["mean_iou_score_high"]


def test_a_class_that_neither_is_nor_was_predicted_does_not_count() -> None:
    actual = np.zeros((1, 4, 4), np.uint8)
    counts = counts_of(actual, actual)
    assert np.isnan(iou(counts[0])[1:]).all()
    assert mean_iou(counts[0]) == 1.0
    found = measure(counts, {}, CLASSES, seed=0)
    assert found["by_class"]["b"]["iou_score"] is None
    missed = counts_of(actual, np.ones_like(actual))
    assert measure(missed, {}, CLASSES, seed=0)["mean_iou_score"] == 0.0


def test_images_without_a_labelled_pixel_are_no_error() -> None:
    actual = np.full((2, 4, 4), IGNORED, np.uint8)
    found = measure(counts_of(actual, np.zeros_like(actual)), {}, CLASSES, seed=0)
    assert (found["mean_iou_score"], found["mean_dice_score"], found["pixel_accuracy"]) == (0, 0, 0)


def test_the_interval_of_a_difference_is_paired() -> None:
    """The same model against itself differs by nothing, whatever the images."""
    counts = counts_of(*masks(20))
    found = measure(counts, {"itself": counts}, CLASSES, seed=0)["difference"]
    assert found == {"itself": 0.0, "itself_low": 0.0, "itself_high": 0.0}


def test_a_boundary_may_lie_off_by_the_tolerance_and_no_more() -> None:
    actual = np.zeros((80, 60), np.uint8)
    actual[20:50, 20:50] = 1
    assert tolerance_px(80, 60) == 1
    assert boundary_f1(actual, actual, 3)[:2].tolist() == [1.0, 1.0]
    assert np.isnan(boundary_f1(actual, actual, 3)[2])
    for shift, least, most in ((1, 0.99, 1.0), (4, 0.0, 0.6)):
        moved = np.roll(actual, (shift, shift), axis=(0, 1))
        assert least <= boundary_f1(actual, moved, 3)[1] <= most
    assert boundary_f1(actual, np.zeros_like(actual), 3)[1] == 0.0


def test_boundaries_beside_ignored_pixels_do_not_count() -> None:
    actual = np.zeros((40, 40), np.uint8)
    actual[10:30, 10:30] = 1
    inside = actual == 1
    actual[inside & ~binary_erosion(inside, iterations=2)] = IGNORED
    assert np.isnan(boundary_f1(actual, np.where(actual == 1, 1, 0).astype(np.uint8), 3)).all()
