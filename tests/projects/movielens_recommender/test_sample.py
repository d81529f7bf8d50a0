"""The sample: what is known of it is true of what is written."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from projects.movielens_recommender.params import Fetch
from projects.movielens_recommender.sample import KNOWN, draw_items, write_sample
from projects.movielens_recommender.tastes import NUM_TASTES, OWN_SHARE, mixtures, oracle_scores, shares

PARAMS = Fetch(source="sample", dataset="100k", seed=3, num_users=150, num_items=400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(path, PARAMS)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_the_same_again(folder, tmp_path):
    write_sample(tmp_path, PARAMS)
    for name in ("ratings.csv", "items.csv", "tastes.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_nobody_chooses_twice(folder):
    pairs = [(row["user_id"], row["item_id"]) for row in rows(folder / "ratings.csv")]
    assert len(set(pairs)) == len(pairs)
    assert {user for user, _ in pairs} == {str(n + 1) for n in range(150)}


def test_users_choose_by_their_tastes_and_change_them(folder):
    known, chosen = json.loads((folder / "tastes.json").read_text()), rows(folder / "ratings.csv")
    by_user: dict[str, list[int]] = {}
    for row in chosen:
        by_user.setdefault(row["user_id"], []).append(known["items"][row["item_id"]]["taste"])
    first, last = [], []
    for user, tastes in by_user.items():
        start, end = known["users"][user]["start"], known["users"][user]["end"]
        assert known["users"][user]["length"] == len(tastes)
        quarter = len(tastes) // 4
        if start != end:
            first += [taste == start for taste in tastes[:quarter]]
            last += [taste == end for taste in tastes[-quarter:]]
    assert np.mean(first) > 0.5
    assert np.mean(last) > 0.5
    counts = sorted(Counter(row["item_id"] for row in chosen).values(), reverse=True)
    assert sum(counts[:80]) > 0.4 * sum(counts)  # a fifth of the items


def test_shares_are_probabilities():
    taste, share = draw_items(np.random.default_rng(0), 100)
    chances = shares(taste, share)
    np.testing.assert_allclose(chances.sum(1), 1)
    np.testing.assert_allclose(chances[:, taste < 0].sum(1), KNOWN)
    for one in range(NUM_TASTES):
        assert chances[one, (taste != one) & (taste >= 0)].sum() == 0
    start, end = np.array([0]), np.array([1])
    for at in (0.0, 0.5, 1.0):
        mixed = mixtures(start, end, np.array([at]))
        assert mixed.sum() == pytest.approx(1)
        assert mixed[0, 1] == pytest.approx(OWN_SHARE * at + (1 - OWN_SHARE) / NUM_TASTES, abs=0.01)


def test_the_oracle_expects_what_is_drawn_next():
    items = {str(n): {"taste": n % 2 if n < 4 else -1, "share": [0.6, 0.5, 0.3, 0.4, 0.1][n]} for n in range(5)}
    truth = {"items": items, "users": {"u": {"start": 0, "end": 1, "length": 10}}}
    scores = oracle_scores(truth, ["u"], list(items), np.array([8]), np.array([2]))[0]
    mixed = mixtures(np.array([0, 0]), np.array([1, 1]), np.array([0.8, 0.9])).sum(0)
    np.testing.assert_allclose(
        scores, [0.6 * mixed[0], 0.5 * mixed[1], 0.3 * mixed[0], 0.4 * mixed[1], 0.1 * mixed.sum()]
    )
