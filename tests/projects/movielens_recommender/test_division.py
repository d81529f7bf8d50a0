"""Divisions: nothing of the future is learned from, and the order of rows changes nothing."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from projects.movielens_recommender.division import divide
from projects.movielens_recommender.params import Prepare
from shared.core.errors import UserError

DIVISIONS = "new_users", "time", "last", "random"
NUM_USERS = 200


def params(**changed: object) -> Prepare:
    return Prepare(
        seed=0, division="new_users", test_fraction=0.2, valid_fraction=0.1, fold_in=0.8, min_rating=0.0,
        min_user_items=1, min_item_users=1, user_column="", item_column="", rating_column="", time_column="",
    ).model_copy(update=changed)  # fmt: skip


def make(ties: bool = False) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 20, NUM_USERS)
    users = np.repeat(np.arange(NUM_USERS), lengths)
    items = np.concatenate([rng.permutation(50)[:length] for length in lengths])
    times = rng.integers(0, 10_000, NUM_USERS)[users] + rng.integers(0, 2 if ties else 500, len(users))
    ids = {word: pl.Enum([f"{word}{n:03}" for n in range(count)]) for word, count in (("u", NUM_USERS), ("i", 50))}
    return pl.DataFrame({
        "user": pl.Series([f"u{n:03}" for n in users], dtype=ids["u"]),
        "item": pl.Series([f"i{n:03}" for n in items], dtype=ids["i"]),
        "time": times,
    })  # fmt: skip


def pairs(rows: pl.DataFrame) -> set[tuple[str, str]]:
    return set(rows.select(pl.col("user", "item").cast(pl.String)).rows())


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("ties", [False, True])
def test_the_order_of_rows_changes_nothing(division, ties):
    data = make(ties)
    one, other = (
        divide(some, params(division=division)) for some in (data, data.sample(fraction=1.0, shuffle=True, seed=1))
    )
    assert list(one[0]) == list(other[0]) == ["train", "valid", "test"]
    assert one[1] == other[1]
    for name, rows in one[0].items():
        assert_frame_equal(rows, other[0][name])


@pytest.mark.parametrize("division", DIVISIONS)
def test_what_is_wanted_is_in_no_history(division):
    splits, _ = divide(make(), params(division=division))
    assert not splits["train"]["wanted"].any()
    for name in ("valid", "test"):
        wanted, given = pairs(splits[name].filter("wanted")), pairs(splits[name].filter(~pl.col("wanted")))
        assert not wanted & (pairs(splits["train"]) | given)
        assert {user for user, _ in wanted} == {user for user, _ in given}
        assert splits[name]["user"].is_sorted()


def test_new_users_are_new_and_train_is_older():
    data = make()
    splits, said = divide(data, params())
    cut = data["time"].sort()[int(0.8 * len(data))]
    users = {name: set(rows["user"]) for name, rows in splits.items()}
    assert not users["train"] & (users["test"] | users["valid"])
    assert not users["valid"] & users["test"]
    assert splits["train"]["time"].max() < cut
    assert splits["valid"]["time"].max() < cut
    assert splits["test"]["time"].min() >= cut
    assert splits["train"].group_by("user").agg(pl.col("time").min())["time"].max() <= (
        splits["valid"].group_by("user").agg(pl.col("time").min())["time"].min()
    )
    assert 1 - splits["test"].group_by("user").agg(pl.col("wanted").mean())["wanted"].mean() == pytest.approx(
        0.8, abs=0.03
    )
    latest = splits["test"].group_by("user", "wanted").agg(pl.col("time").max(), earliest=pl.col("time").min())
    both = latest.filter(~pl.col("wanted")).join(latest.filter("wanted"), on="user")
    assert (both["time"] <= both["earliest_right"]).all()
    left = data.filter(pl.col("time") >= cut).height - len(splits["test"])
    assert any(f"{left:,} later interactions of the others are left out" in one for one in said)


def test_the_last_item_is_the_last():
    data = make()
    splits, _ = divide(data, params(division="last"))
    order = data.sort("user", "time")
    for name, place in (("test", -1), ("valid", -2)):
        wanted = splits[name].filter("wanted")
        assert wanted["user"].to_list() == order["user"].unique(maintain_order=True).to_list()
        assert (
            wanted["time"].to_list()
            == order.group_by("user", maintain_order=True).agg(pl.col("time").get(place))["time"].to_list()
        )
    without, _ = divide(data, params(division="last", valid_fraction=0.0))
    assert list(without) == ["train", "test"]
    assert len(without["train"]) == len(data) - NUM_USERS


def test_after_a_time_is_after_it():
    data = make()
    for fraction in (0.1, 0.0):
        splits, said = divide(data, params(division="time", valid_fraction=fraction))
        wanted = splits["test"].filter("wanted")
        cut = data["time"].sort()[int(0.8 * len(data))]
        assert (wanted["time"] >= cut).all()
        assert splits["train"]["time"].max() < cut
        assert any("test" in one and "without a history" in one for one in said)  # users who begin after it
    assert len(splits["train"]) == data.filter(pl.col("time") < cut).height


def test_random_holds_out_its_share_and_another_seed_another():
    data = make()
    wanted = [pairs(divide(data, params(division="random", seed=seed))[0]["test"].filter("wanted")) for seed in (0, 1)]
    assert len(wanted[0]) / len(data) == pytest.approx(0.2, abs=0.03)
    assert len(wanted[0] & wanted[1]) / len(wanted[0]) < 0.4


def test_ties_are_counted():
    data = make(ties=True)
    counts = data.group_by("user", "time").len()["len"]
    share = counts.filter(counts > 1).sum() / len(data)
    assert f"{share:.0%} of the interactions share user and time" in divide(data, params())[1][0]


def test_a_split_without_users_is_an_error():
    data = make().with_columns(time=pl.lit(7))  # all begin at once: nobody is older than the cut
    with pytest.raises(UserError, match="no user is left"):
        divide(data, params())
