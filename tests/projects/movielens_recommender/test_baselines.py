"""Closed forms: what they minimise, both ways to invert, and reasons that add up."""

import numpy as np
import pytest

from projects.movielens_recommender.baselines import ImplicitALS, best_of, ease, gram, knn, matrix, popularity
from shared.data.table import Ragged


def histories(num_users: int, num_items: int, seed: int = 0) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.of([rng.permutation(num_items)[: rng.integers(2, 9)] for _ in range(num_users)], np.int64)


def test_gram_counts_users_of_both_items():
    both = gram(Ragged.of([[0, 1], [1, 2], [1]], np.int64), 3)
    np.testing.assert_array_equal(both, [[1, 1, 0], [1, 3, 1], [0, 1, 1]])


@pytest.mark.parametrize("num_users", [12, 80])  # fewer than items, and more
def test_ease_is_the_least_squares_solution(num_users):
    """Its column j minimises |x_j - X b|^2 + penalty |b|^2 with b_j = 0."""
    train, penalty = histories(num_users, 30), 7.0
    weights, x = ease(train, gram(train, 30), penalty).weights, matrix(train, 30).toarray()
    assert (np.diag(weights) == 0).all()
    for item in range(30):
        others = np.delete(np.arange(30), item)
        some = x[:, others]
        expected = np.linalg.solve(some.T @ some + penalty * np.eye(29), some.T @ x[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-10)


def test_neighbours_are_cosines():
    train = histories(60, 20)
    x = matrix(train, 20).toarray()
    norms = np.linalg.norm(x, axis=0)
    expected = x.T @ x / np.outer(norms, norms)
    np.fill_diagonal(expected, 0)
    both = gram(train, 20)
    np.testing.assert_allclose(knn(both, 0.0).weights, expected, atol=1e-6)
    few = knn(both, 0.0, neighbours=3).weights
    assert ((few > 0).sum(1) >= np.minimum(3, (expected > 0).sum(1))).all()
    assert (few > 0).sum() < (expected > 0).sum()


def test_als_falls_to_a_minimum_and_ranks_what_goes_together():
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(10) + 10 * (user % 2), 5, replace=False) for user in range(60)]
    train = Ragged.of(rows, np.int64)
    model = ImplicitALS.fit(train, 20, size=4, alpha=10.0, penalty=1.0, seed=0)
    scores = model(Ragged.of([[0, 1], [10, 11]], np.int64)).numpy()
    assert scores[0, :10].mean() > scores[0, 10:].mean() + 0.5
    assert scores[1, 10:].mean() > scores[1, :10].mean() + 0.5
    user = model.solve(Ragged.of([[0, 1]], np.int64))[0]

    def cost(vector: np.ndarray) -> float:
        wanted, weight = np.zeros(20), np.ones(20)
        wanted[[0, 1]], weight[[0, 1]] = 1, 1 + model.alpha
        return float((weight * (wanted - model.vectors @ vector) ** 2).sum() + model.penalty * vector @ vector)

    assert all(cost(user) < cost(user + 1e-3 * rng.normal(size=4)) for _ in range(20))


@pytest.mark.parametrize("name", ["ease", "knn", "als"])
def test_contributions_add_up_to_the_score(name):
    train = histories(50, 25)
    model = {
        "ease": lambda: ease(train, gram(train, 25), 5.0),
        "knn": lambda: knn(gram(train, 25), 1.0),
        "als": lambda: ImplicitALS.fit(train, 25, size=6, alpha=10.0, penalty=2.0, seed=0),
    }[name]()
    given = histories(10, 25, seed=1)
    scores = model(given).numpy()
    for user in range(10):
        for item in range(25):
            adds = model.contributions(np.asarray(given.row(user)), item)
            assert len(adds) == given.lengths[user]
            assert adds.sum() == pytest.approx(scores[user, item], abs=1e-6)


def test_popularity_is_the_same_for_all():
    scores = popularity(np.array([3, 1]))(Ragged.of([[0], [1], []], np.int64))
    assert scores.tolist() == [[3.0, 1.0]] * 3


def test_settings_are_chosen_by_quality():
    made, chosen = best_of([1.0, 2.0, 3.0], lambda setting: -setting, lambda score: -abs(score + 2.2))
    assert (made, chosen) == (-2.0, 2.0)
    assert best_of([1.0, 5.0, 9.0], lambda setting: -setting, None) == (-5.0, 5.0)  # nothing to choose by
