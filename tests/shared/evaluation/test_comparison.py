"""A metric beside those of baselines."""

import numpy as np
import pytest

from shared.core.errors import UserError
from shared.evaluation import intervals
from shared.evaluation.comparison import against_baselines, baseline_blocks, corpus_metric, mean_metric


def test_the_difference_is_paired() -> None:
    """Two models that are wrong on the same half: the difference is 0 without any doubt."""
    half = np.arange(100) >= 50
    found = against_baselines("accuracy", half, {"same": half, "other": ~half}, seed=0)
    assert found["baseline"] == {"same_accuracy": 0.5, "other_accuracy": 0.5}
    assert [found["difference"][f"same{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert found["difference"]["other_low"] < 0 < found["difference"]["other_high"]


def test_the_name_says_which_way_is_better() -> None:
    values = np.linspace(0, 1, 50)
    for name, good in (("absolute_error", True), ("overlap_score", False)):
        found = against_baselines(name, values, {"worse" if good else "better": values + 1}, seed=0)
        metrics = mean_metric(name, values, seed=0) | found
        assert baseline_blocks(metrics)[-1]["rows"][0][-1]["good"] is good
    with pytest.raises(UserError, match="tallness"):
        against_baselines("tallness", values, {}, seed=0)


def error_rate(counts: np.ndarray) -> np.ndarray:
    rate: np.ndarray = counts[..., 0] / counts[..., 1]
    return rate


def test_a_metric_of_sums_has_an_interval_over_units_and_is_paired_with_baselines() -> None:
    half = np.array([[1, 1], [0, 1]] * 50)
    found = corpus_metric("word_error_rate", half, {"same": half, "worse": half + np.array([1, 0])}, error_rate, seed=0)
    low, high = found["word_error_rate_low"], found["word_error_rate_high"]
    assert (found["word_error_rate"], low, high) == pytest.approx((0.5, 0.4, 0.6), abs=0.02)
    assert found["baseline"] == {"same_word_error_rate": 0.5, "worse_word_error_rate": 1.5}
    assert [found["difference"][f"{name}{end}"] for name in ("same", "worse") for end in ("", "_low", "_high")] == [
        0, 0, 0, 1, 1, 1,
    ]  # fmt: skip
    crowded = np.array([[10, 10], [0, 10]] * 5)  # as many words in a tenth of the utterances
    wide = corpus_metric("word_error_rate", crowded, {}, error_rate, seed=0)
    width = wide["word_error_rate_high"] - wide["word_error_rate_low"]
    assert width / (high - low) == pytest.approx(10**0.5, rel=0.15)


def test_resamples_of_many_units_are_drawn_in_parts_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.arange(30).reshape(10, 3)
    whole = intervals.resampled_sums(counts, seed=1)
    monkeypatch.setattr(intervals, "_BATCH", 70)
    np.testing.assert_array_equal(intervals.resampled_sums(counts, seed=1), whole)
