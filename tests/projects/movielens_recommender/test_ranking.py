"""Rankings: definitions against torchmetrics, ties without favour, blocks that change nothing."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from projects.movielens_recommender import ranking
from projects.movielens_recommender.keys import id_keys
from projects.movielens_recommender.ranking import (
    Keys,
    beyond_accuracy,
    by_activity,
    figures,
    hits,
    recommend,
    top_items,
)
from shared.data.table import Ragged

NUM_USERS, NUM_ITEMS = 40, 120


def keys(num_users: int = NUM_USERS, num_items: int = NUM_ITEMS) -> Keys:
    return Keys(id_keys([f"u{n}" for n in range(num_users)]), id_keys([f"i{n}" for n in range(num_items)]))


def random_case(seed: int) -> tuple[torch.Tensor, Ragged, Ragged]:
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(size=(NUM_USERS, NUM_ITEMS)))
    orders = [rng.permutation(NUM_ITEMS) for _ in range(NUM_USERS)]
    sizes = rng.integers(1, 15, (NUM_USERS, 2))
    given = Ragged.of([order[:a] for order, (a, _) in zip(orders, sizes, strict=True)], np.int64)
    wanted = Ragged.of([order[a : a + b] for order, (a, b) in zip(orders, sizes, strict=True)], np.int64)
    return scores, given, wanted


def scores_in_turn(scores: torch.Tensor):
    done = 0

    def score(given: Ragged) -> torch.Tensor:
        nonlocal done
        done += len(given.lengths)
        return scores[done - len(given.lengths) : done].clone()

    return score


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_torchmetrics(seed):
    scores, given, wanted = random_case(seed)
    listed = recommend(scores_in_turn(scores), given, keys())
    found = figures(hits(listed, wanted, NUM_ITEMS), wanted.lengths)
    for user in range(NUM_USERS):  # torchmetrics takes scores of 0 and less for no recommendation
        open_ = np.setdiff1d(np.arange(NUM_ITEMS), given.row(user))
        guess, truth = scores[user, open_].exp(), torch.from_numpy(np.isin(open_, wanted.row(user)))
        expected = {
            "ndcg_score_at_10": retrieval_normalized_dcg(guess, truth, top_k=10),
            "recall_at_10": retrieval_recall(guess, truth, top_k=10),
            "recall_at_20": retrieval_recall(guess, truth, top_k=20),
            "hit_rate_score_at_10": retrieval_hit_rate(guess, truth, top_k=10),
            "reciprocal_rank_score": retrieval_reciprocal_rank(guess, truth, top_k=ranking.LISTED),
        }
        for name, value in expected.items():
            assert found[name][user] == pytest.approx(float(value), abs=1e-6), name


def test_what_a_user_has_is_never_recommended_and_lists_end():
    given = Ragged.of([[0, 1, 2], [3]], np.int64)
    listed = recommend(lambda of: torch.zeros(len(of.lengths), 5), given, keys(2, 5))
    assert set(listed[0].tolist()) == {3, 4, -1}
    assert listed[0].tolist()[2:] == [-1, -1, -1]
    assert set(listed[1].tolist()) == {0, 1, 2, 4, -1}


def test_a_constant_model_scores_as_chance():
    rng = np.random.default_rng(0)
    num_users, num_items = 3000, 50
    given = Ragged.of([[]] * num_users, np.int64)
    wanted = Ragged.of(rng.integers(0, 5, (num_users, 1)), np.int64)  # the first five items alone are ever wanted
    listed = recommend(lambda of: torch.ones(len(of.lengths), num_items), given, keys(num_users, num_items))
    found = figures(hits(listed, wanted, num_items), wanted.lengths)
    assert found["recall_at_10"].mean() == pytest.approx(10 / num_items, abs=0.025)
    assert np.bincount(listed[:, 0], minlength=num_items).min() > 0.4 * num_users / num_items


def test_lists_do_not_depend_on_the_batch_nor_on_the_order_of_users(monkeypatch):
    scores, given, _ = random_case(1)
    scores = scores.round()  # many are equal
    whole = recommend(scores_in_turn(scores), given, keys())
    monkeypatch.setattr(ranking, "BLOCK", 7)
    small = np.concatenate(
        [
            recommend(scores_in_turn(scores[rows]), given.select(rows), Keys(keys().users[rows], keys().items))
            for rows in np.array_split(np.arange(NUM_USERS), 6)
        ]
    )
    np.testing.assert_array_equal(whole, small)
    order = np.random.default_rng(0).permutation(NUM_USERS)
    mixed = recommend(scores_in_turn(scores[order]), given.select(order), Keys(keys().users[order], keys().items))
    np.testing.assert_array_equal(mixed, whole[order])


def test_equal_scores_beside_higher_ones_stay_below_them():
    scores = torch.zeros(30, 40)
    scores[:, 7], scores[:, 3] = 2.0, 1.0
    listed = top_items(scores, keys(30, 40), 6)
    assert (listed[:, :2] == [7, 3]).all()
    assert len({tuple(row) for row in listed[:, 2:].tolist()}) > 25


def test_popularity_is_seen_besides_accuracy():
    counts = np.array([100, 50, 1, 0])
    popular, rare = (beyond_accuracy(np.array([[a, b]] * 3), counts, 100) for a, b in ((0, 1), (2, 3)))
    assert popular == {"coverage": 0.5, "novelty_bits": 0.5, "popularity": 0.75}
    assert rare["novelty_bits"] > 6
    assert rare["popularity"] == 0.005


def test_users_by_activity_are_all_users():
    values, lengths = np.arange(10.0), np.arange(10)[::-1].copy()
    rows = by_activity(values, lengths)
    assert sum(count for _, count, _ in rows) == 10
    assert [span for span, _, _ in rows] == ["0 to 2", "3 to 5", "6 to 7", "8 to 9"]
    assert rows[0][2] == 8.0
