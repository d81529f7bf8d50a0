"""The headline: which metric it is, which way is better, and how it compares with baselines."""

import pytest

from shared.core.errors import UserError
from shared.core.headline import direction, find_headline, headline_of

METRICS = {"f1": 0.9, "f1_low": 0.8, "f1_high": 0.95, "loss": 0.1}


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "bleu_score", "recall_at_10", "valid_accuracy"])
def test_higher_is_better(name: str) -> None:
    assert direction(name) == "higher"


@pytest.mark.parametrize("name", ["loss", "word_error_rate", "calibration_error", "frechet_distance", "valid_loss"])
def test_lower_is_better(name: str) -> None:
    assert direction(name) == "lower"


@pytest.mark.parametrize("name", ["seconds", "inaccuracy", "perplexity", "copied_share"])
def test_a_name_that_does_not_say_is_refused_unless_declared(name: str) -> None:
    with pytest.raises(UserError, match=name):
        direction(name)
    assert direction(name, {name: "lower"}) == "lower"
    with pytest.raises(UserError, match=name):
        direction(name, {name: "down"})


def test_the_first_metric_with_an_interval_unless_one_is_named() -> None:
    both = METRICS | {"a_score": 0.5, "a_score_low": 0.4, "a_score_high": 0.6}
    assert headline_of(both).name == "f1"
    assert headline_of(both | {"headline": "a_score"}).name == "a_score"
    assert find_headline({"loss": 0.1, "f1_low": 0.2, "f1_high": 0.4}) is None


def test_a_paired_difference_decides_where_there_is_one() -> None:
    """A baseline inside the interval may be worse all the same, where both are wrong on the same samples."""
    difference = {"a": 0.05, "a_low": 0.01, "a_high": 0.1, "b": -0.05, "b_low": -0.1, "b_high": -0.01}
    found = headline_of(METRICS | {"baseline": dict.fromkeys(["a_f1", "b_f1", "c_f1"], 0.85), "difference": difference})
    assert found.gains == {"a": (0.01, 0.1), "b": (-0.1, -0.01)}
    assert found.against(0.85) == ""
    assert [found.against_baseline(name) for name in "abc"] == ["better", "worse", ""]


def test_the_best_baseline_depends_on_the_direction() -> None:
    baseline = {"a_gap": 5.0, "b_gap": 7.0, "c_f1": 0.3}
    gap = {"gap": 6.0, "gap_low": 5.5, "gap_high": 6.5, "baseline": baseline}
    found = headline_of(gap | {"direction": {"gap": "lower"}})
    assert found.best_baseline == ("a", 5.0)
    assert [found.against(value) for value in (5.0, 6.0, 7.0)] == ["worse", "", "better"]
    assert headline_of(gap | {"direction": {"gap": "higher"}}).best_baseline == ("b", 7.0)
