"""Metrics have known values on records made by hand, and agree with torchmetrics."""

import numpy as np
import pytest

from shared.evaluation.metrics import (
    bootstrap,
    by_class,
    calibration_error,
    classification,
    confusion,
    cross_entropy,
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
    assert calibration_error(reliability(confidence, correct)) == pytest.approx(0, abs=1e-12)


def test_always_sure_and_half_right_is_off_by_a_half() -> None:
    assert calibration_error(reliability(np.ones(8), np.arange(8) < 4)) == 0.5


def test_bins_hold_every_sample_once_and_the_edges_too() -> None:
    confidence = np.concatenate([np.linspace(0, 1, 16), np.random.default_rng(1).random(84)])
    bins = reliability(confidence, confidence > 0.5)
    assert sum(one.num_samples for one in bins) == 100
    assert all(one.low - 1e-9 <= one.confidence <= one.high + 1e-9 for one in bins if one.num_samples)


def test_calibration_error_is_that_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, actual = some_logits()
    predicted, confidence = top(logits)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities(logits)), torch.from_numpy(actual), num_classes=4, n_bins=15
    )
    assert calibration_error(reliability(confidence, predicted == actual)) == pytest.approx(theirs.item(), abs=1e-6)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    intervals = [bootstrap(draws.random(200) < 0.8, seed) for seed in range(60)]
    covered = np.mean([low <= 0.8 <= high for low, high in intervals])
    assert covered >= 0.85
    assert all(high - low < 0.15 for low, high in intervals)


def test_the_interval_is_a_function_of_values_and_seed() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap(values, 1) == bootstrap(values, 1) != bootstrap(values, 2)
    assert bootstrap(np.ones(20, bool), 0) == (1.0, 1.0)
    assert bootstrap(np.array([True]), 0) == (1.0, 1.0)


def test_confusion_sums_to_the_records_and_its_rows_to_the_classes() -> None:
    logits, actual = some_logits()
    counts = confusion(actual, top(logits)[0], num_classes=5)
    assert counts.shape == (5, 5)
    assert counts.sum() == len(actual)
    assert counts.sum(axis=1).tolist() == [*np.bincount(actual).tolist(), 0]
    assert np.trace(counts) == (top(logits)[0] == actual).sum()


def test_a_class_that_never_occurs_has_no_figures_rather_than_noughts() -> None:
    rows = by_class(np.array([0, 0, 1]), np.array([0, 1, 1]), ["a", "b", "never"])
    assert rows["a"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(0.666667), "num_samples": 2}
    assert rows["never"] == {"precision": None, "recall": None, "f1": None, "num_samples": 0}


def test_cross_entropy_survives_a_probability_of_nought() -> None:
    assert cross_entropy(np.array([[0.0, 2000.0]]), np.array([0])) == pytest.approx(2000)
    assert cross_entropy(np.zeros((3, 7)), np.array([0, 3, 6])) == pytest.approx(np.log(7))


def test_a_perfect_classifier_has_perfect_figures() -> None:
    actual = np.arange(30) % 3
    figures = classification(np.eye(3)[actual] * 50, actual, ["a", "b", "c"], seed=0)
    assert (figures["accuracy"], figures["macro_f1"], figures["num_samples"]) == (1.0, 1.0, 30)
    assert figures["calibration_error"] == figures["cross_entropy_loss"] == pytest.approx(0, abs=1e-6)
