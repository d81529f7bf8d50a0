"""Rating prediction: known sums, and what averaging is worth."""

import numpy as np
import scipy.sparse as sp

from projects.movielens_recommender.rating import (
    PREDICTORS,
    Ratings,
    Side,
    by_means,
    factorise,
    factorise_best,
    regress_implied,
)


def make(seed: int = 0, num_users: int = 120, num_items: int = 60, each: int = 15) -> tuple[Ratings, Ratings, float]:
    """Ratings of a model of rank two with noise of 0.5, and others to be predicted."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(0, 0.7, (num_users, 2)), rng.normal(0, 0.7, (num_items, 2))
    users = np.repeat(np.arange(num_users), each)
    items = np.concatenate([rng.permutation(num_items)[:each] for _ in range(num_users)])
    stars = 3.5 + rng.normal(0, 0.3, num_users)[users] + rng.normal(0, 0.3, num_items)[items]
    stars = stars + (left[users] * right[items]).sum(1) + rng.normal(0, 0.5, len(users))
    all_, asked = Ratings(users, items, stars), np.arange(len(users)) % 5 == 0
    return all_.select(~asked), all_.select(asked), 0.5


def rmse(name: str, known: Ratings, asked: Ratings) -> float:
    return float(np.sqrt(((PREDICTORS[name](known, asked, 0) - asked.stars) ** 2).mean()))


def test_averaging_is_better_than_one_solution_and_than_means():
    known, asked, noise = make()
    found = {name: rmse(name, known, asked) for name in PREDICTORS}
    assert noise < found.pop("svd_plus_plus_averaged") < min(found.values())


def test_what_was_rated_tells_of_users_with_few_ratings():
    """Two kinds of users, who rate films of their own kind, and love the odd ones or the even ones of all films."""
    rng = np.random.default_rng(0)
    kind, users = np.arange(120) % 2, np.repeat(np.arange(120), 6)
    own = np.concatenate([rng.permutation(30)[:6] for _ in kind])
    items = own + 30 * kind[users]
    stars = 3 + 2.0 * ((items % 2) == kind[users]) - 1 + rng.normal(0, 0.3, len(users))
    known, asked = np.arange(len(users)) % 6 > 0, np.arange(len(users)) % 6 == 0
    every = Ratings(users, items, stars)
    missed = [
        factorise(every.select(known), every.select(asked), 0, implicit=implicit, penalty=4.0) - stars[asked]
        for implicit in (False, True)
    ]
    assert (missed[1] ** 2).mean() < (missed[0] ** 2).mean()


def test_what_items_imply_is_ridge_regression():
    rng = np.random.default_rng(0)
    rated, users = rng.random((9, 5)), rng.normal(size=(9, 2))
    noise, precisions = np.array([2.0, 3.0]), np.array([1.0, 5.0])
    found = regress_implied(sp.csr_matrix(rated), users, noise, precisions, None)
    for column in range(2):
        inner = noise[column] * rated.T @ rated + precisions[column] * np.eye(5)
        expected = np.linalg.solve(inner, noise[column] * rated.T @ users[:, column])
        np.testing.assert_allclose(found[:, column], expected, atol=1e-4)
    draws = [regress_implied(sp.csr_matrix(rated), users, noise, precisions, rng) for _ in range(500)]
    np.testing.assert_allclose(np.mean(draws, 0), found, atol=0.2)


def test_means_of_users_and_items_nobody_rated():
    known = Ratings(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([4.0, 2.0, 3.0]))
    asked = Ratings(np.array([5]), np.array([9]), np.array([0.0]))
    assert by_means(known, asked, 0).tolist() == [3.0]


def test_regress_is_ridge_regression():
    rng = np.random.default_rng(0)
    codes, others, stars = np.array([1, 0, 1, 1]), np.array([0, 1, 2, 1]), rng.normal(size=4)
    other, prior = rng.normal(size=(3, 3)), np.array([1.0, 2.0, 3.0])
    found = Side.of(codes, others, stars, (3, 3)).regress(other, 2.0, np.array([0.1, 0.2, 0.3]), prior, None)
    x, y = np.column_stack([other[:, :2], np.ones(3)])[[0, 2, 1]], (stars - other[others, 2])[[0, 2, 3]]
    right = 2.0 * x.T @ y + prior * [0.1, 0.2, 0.3]
    np.testing.assert_allclose(found[1], np.linalg.solve(2.0 * x.T @ x + np.diag(prior), right))
    np.testing.assert_allclose(found[2], [0.1, 0.2, 0.3])  # no rating: the prior


def test_of_a_few_ratings_some_are_held_out_all_the_same():
    known = Ratings(np.arange(4), np.arange(4) % 2, np.array([1.0, 2.0, 3.0, 4.0]))
    for seed in range(5):  # by some of which none of the four is drawn
        assert np.isfinite(factorise_best(known, known, seed, implicit=False)).all()


def test_the_same_seed_gives_the_same():
    known, asked, _ = make(num_users=20, num_items=15, each=5)
    for name, predict in PREDICTORS.items():
        np.testing.assert_array_equal(predict(known, asked, 1), predict(known, asked, 1), err_msg=name)
