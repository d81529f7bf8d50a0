"""95 percent intervals: known values, and as often right as they say."""

import numpy as np
import pytest

from shared.evaluation.intervals import bootstrap, percentile_interval, wilson


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Wilson 1927 with z = 1.959964: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    [(5, 10, 0.236593, 0.763407), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (950, 1000, 0.934686, 0.961870)],
)
def test_wilsons_interval_has_known_values(right, total, low, high):
    assert wilson(right, total) == pytest.approx((low, high), abs=2e-6)


def test_wilsons_interval_has_a_width_where_the_bootstraps_has_none():
    assert bootstrap(np.ones(20, bool), 0) == (1.0, 1.0)
    assert wilson(20, 20)[0] < 0.85


def test_the_bootstraps_interval_covers_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(0)
    intervals = [bootstrap(draws.random(200) < 0.8, seed) for seed in range(60)]
    assert np.mean([low <= 0.8 <= high for low, high in intervals]) >= 0.85
    assert all(high - low < 0.15 for low, high in intervals)


def test_percentiles_of_resampled_means_are_the_bootstraps_interval():
    rng = np.random.default_rng(0)
    values = rng.random(100)
    means = rng.multinomial(100, np.full(100, 1 / 100), 4000) @ values / 100
    assert percentile_interval(means) == pytest.approx(bootstrap(values, 0), abs=0.01)


def test_it_is_a_function_of_values_and_seed():
    values = np.random.default_rng(0).random(50)
    assert bootstrap(values, 1) == bootstrap(values, 1) != bootstrap(values, 2)
    assert bootstrap(np.array([True]), 0) == (1.0, 1.0)
