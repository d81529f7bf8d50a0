"""Metrics have known values on records made by hand, and agree with the libraries of the field."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from shared.evaluation.intervals import wilson
from shared.evaluation.metrics import (
    areas,
    by_class,
    classification,
    cross_entropy_loss,
    probabilities,
    reliability,
    top,
)


def some_logits(num: int = 300, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    actual = draws.integers(0, num_classes, num)
    return draws.normal(size=(num, num_classes)) * 2 + np.eye(num_classes)[actual] * 2, actual


def test_a_perfectly_calibrated_model_has_no_calibration_error() -> None:
    confidence = np.repeat([0.1, 0.5, 0.9], 10)
    correct = np.concatenate([np.arange(10) < num for num in (1, 5, 9)])
    assert reliability(confidence, correct).calibration_error == pytest.approx(0, abs=1e-12)
    assert reliability(np.ones(8), np.arange(8) < 4).calibration_error == 0.5


def test_bins_hold_every_sample_once_and_the_edges_too() -> None:
    confidence = np.concatenate([np.linspace(0, 1, 16), np.random.default_rng(1).random(84)])
    bins = reliability(confidence, confidence > 0.5)
    assert bins.num_samples.sum() == 100
    assert (np.diff(bins.confidence) > 0).all()


def test_calibration_error_is_that_of_torchmetrics() -> None:
    logits, actual = some_logits()
    predicted, confidence = top(logits)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities(logits)), torch.from_numpy(actual), num_classes=4, n_bins=15
    )
    ours = reliability(confidence, predicted == actual).calibration_error
    assert ours == pytest.approx(theirs.item(), abs=1e-6)


def test_a_class_that_never_occurs_has_no_figures_rather_than_zeros() -> None:
    rows = by_class(np.array([0, 0, 1]), np.array([0, 1, 1]), ["a", "b", "never"])
    assert rows["a"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(0.666667), "num_samples": 2}
    assert rows["never"] == {"precision": None, "recall": None, "f1": None, "num_samples": 0}


def test_cross_entropy_survives_a_probability_of_zero() -> None:
    assert cross_entropy_loss(np.array([[0.0, 2000.0]]), np.array([0])) == pytest.approx(2000)
    assert cross_entropy_loss(np.zeros((3, 7)), np.array([0, 3, 6])) == pytest.approx(np.log(7))


def test_areas_are_those_of_scikit_learn_and_a_single_class_has_none() -> None:
    logits, actual = some_logits(num_classes=3)
    probability = probabilities(logits)
    expected = roc_auc_score(actual, probability, multi_class="ovr")
    assert areas(probability, actual)["roc_auc_score"] == pytest.approx(expected, abs=1e-6)
    assert areas(probability, np.zeros(300, int)) == {}


def test_a_perfect_classifier_has_perfect_figures_and_wilsons_interval() -> None:
    actual = np.arange(30) % 3
    figures = classification(np.eye(3)[actual] * 50, actual, ["a", "b", "c"])
    assert (figures["accuracy"], figures["macro_f1"], figures["num_samples"]) == (1.0, 1.0, 30)
    assert (figures["accuracy_low"], figures["accuracy_high"]) == wilson(30, 30)
    assert figures["calibration_error"] == figures["cross_entropy_loss"] == pytest.approx(0, abs=1e-6)
