"""A metric beside those of baselines."""

import numpy as np
import pytest

from shared.core.errors import UserError
from shared.evaluation.comparison import against_baselines, baseline_blocks, mean_metric


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
