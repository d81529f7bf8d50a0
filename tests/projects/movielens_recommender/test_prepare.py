"""From raw data to histories: what is left out is counted, what is wrong is named, nothing is half-written."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from projects.movielens_recommender import prepare
from projects.movielens_recommender.params import Prepare
from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared

PARAMS = Prepare(
    seed=0, division="new_users", test_fraction=0.25, valid_fraction=0.2, fold_in=0.75, min_rating=0.0,
    min_user_items=2, min_item_users=1, user_column="", item_column="", rating_column="", time_column="",
)  # fmt: skip


def rows(num_users: int = 30) -> list[str]:
    """User n begins at time 1000 n and has 4 to 8 of 12 items."""
    rng = np.random.default_rng(0)
    found = []
    for user in range(num_users):
        for place, item in enumerate(rng.permutation(12)[: rng.integers(4, 9)]):
            found.append(f"{user},{item},{1 + (item + user) % 5},{1_500_000_000 + 1000 * user + place}")
    return found


HEADER = "user,item,rating,time"


def project(root: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], header: str = HEADER) -> Project:
    monkeypatch.setattr("shared.core.paths.ROOT", root)
    found = Project("own")
    found.raw.mkdir(parents=True, exist_ok=True)
    (found.raw / "ratings.csv").write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return found


def run(found: Project, **changed: object) -> Prepared:
    params = PARAMS.model_copy(update=changed)
    data, items, said = prepare.read(found.raw, params)
    prepare.write(found, data, items, said, params)
    return Prepared(found.prepared)


def names(prepared: Prepared, split: str, column: str) -> list[list[str]]:
    ids, values = prepared.read("items.json")["ids"], prepared.table(split).ragged(column)
    return [[ids[item] for item in values.row(row).tolist()] for row in range(len(values.lengths))]


@pytest.mark.parametrize("header", ["user,item,rating,time", ""])
def test_histories_are_those_of_the_rows(tmp_path, monkeypatch, header):
    lines = rows()
    prepared = run(project(tmp_path, monkeypatch, lines, header))
    by_user: dict[str, list[str]] = {}
    for line in lines:
        user, item, *_ = line.split(",")
        by_user.setdefault(user, []).append(item)
    for split in ("valid", "test"):
        given, wanted = names(prepared, split, "items"), names(prepared, split, "wanted")
        for row, user in enumerate(prepared.table(split).strings("id")):
            whole = given[row] + wanted[row]
            assert whole == by_user[user][: len(whole)]  # of valid, what comes after the cut is left out
            assert split == "valid" or len(whole) == len(by_user[user])
    assert prepared.manifest["splits"]["test"]["users"] == len(prepared.table("test"))


def test_the_order_of_rows_gives_the_same_bytes(tmp_path, monkeypatch):
    lines = rows()
    one = run(project(tmp_path / "a", monkeypatch, lines)).manifest
    mixed = [lines[place] for place in np.random.default_rng(1).permutation(len(lines))]
    assert run(project(tmp_path / "b", monkeypatch, mixed)).manifest == one


def test_items_that_train_does_not_have_are_counted(tmp_path, monkeypatch):
    late = [f"29,new{n},5,{1_500_000_000 + 29_500 + n}" for n in range(2)]
    prepared = run(project(tmp_path, monkeypatch, [*rows(), *late]))
    assert "new0" not in prepared.read("items.json")["ids"]
    counts = prepared.manifest["splits"]["test"]
    assert counts["unseen"] == 2


def test_duplicates_and_lonely_users_are_said(tmp_path, monkeypatch, capsys):
    lines = rows()
    again = lines[0].rsplit(",", 1)[0] + ",1600000000"
    run(project(tmp_path, monkeypatch, [*lines, again, "lonely,0,4,1500000000"]))
    said = capsys.readouterr().out
    assert "1 rows repeat a pair of user and item: the latest of each counts" in said
    assert "1 interactions, 1 users and 0 items are left out" in said


def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, monkeypatch):
    good = project(tmp_path, monkeypatch, rows())
    before = run(good).manifest
    bad = project(tmp_path, monkeypatch, [*rows(), "1,2,nan,1500000000", "1,,3,1500000000"])
    with pytest.raises(UserError, match="2 problems") as error:
        run(bad)
    assert any("rating 'nan'" in one for one in error.value.problems)
    assert any("no item" in one for one in error.value.problems)
    assert Prepared(good.prepared).manifest == before
    assert [path.name for path in good.prepared.parent.iterdir()] == ["own"]


def test_several_tables_of_interactions_are_an_error(tmp_path, monkeypatch):
    found = project(tmp_path, monkeypatch, rows())
    (found.raw / "more.csv").write_text("user,item\n1,2\n")
    with pytest.raises(UserError, match=r"tables of interactions: more.csv, ratings.csv; expected one"):
        run(found)


def test_a_missing_column_is_named(tmp_path, monkeypatch):
    found = project(tmp_path, monkeypatch, rows(), "who,item,rating,time")
    with pytest.raises(
        UserError, match=r"ratings.csv: no column of the user .*; its columns are who, item, rating, time"
    ):
        run(found)
    found = project(tmp_path, monkeypatch, rows())
    with pytest.raises(UserError, match=r"no column of the rating \('stars'\)"):
        run(found, rating_column="stars")
    found = project(tmp_path, monkeypatch, rows(), "")
    with pytest.raises(UserError, match=r"ratings.csv: no column of the item .*; its columns are 1, 2, 3, 4"):
        run(found, user_column="1")


def test_the_columns_of_a_parquet_file_are_named_too(tmp_path, monkeypatch):
    found = project(tmp_path, monkeypatch, [])
    (found.raw / "ratings.csv").unlink()
    pl.DataFrame({"who": ["u"], "item": ["i"]}).write_parquet(found.raw / "likes.parquet")
    with pytest.raises(UserError, match=r"likes.parquet: no column of the user .*; its columns are who, item"):
        run(found)


def test_without_times_only_a_random_division_is_possible(tmp_path, monkeypatch):
    lines = [line.rsplit(",", 1)[0] for line in rows()]
    found = project(tmp_path, monkeypatch, lines, "user,item,rating")
    with pytest.raises(UserError, match="no times"):
        run(found)
    assert run(found, division="random").manifest["splits"]["test"]["users"] > 20


def test_low_ratings_are_no_liking(tmp_path, monkeypatch):
    prepared = run(project(tmp_path, monkeypatch, rows()), min_rating=4.0)
    for split in prepared.splits:
        assert prepared.table(split).ragged("ratings").values.min() >= 4
    found = project(tmp_path, monkeypatch, [",".join(line.split(",")[:2]) for line in rows()], "user,item")
    with pytest.raises(UserError, match=r"prepare.min_rating: 4, but the data have no ratings"):
        run(found, min_rating=4.0, division="random")


def test_suggested_params(tmp_path, monkeypatch):
    found = project(tmp_path, monkeypatch, rows())
    suggested = prepare.suggest(found.raw)
    assert suggested["prepare.division"] == "new_users"
    assert suggested["train.batch_size"] == 16
