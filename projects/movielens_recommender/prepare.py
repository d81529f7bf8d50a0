"""Prepare stage: data/raw/movielens_recommender/ -> data/prepared/movielens_recommender/ (histories for training).

    python -m projects.movielens_recommender.prepare                          # as params.yaml says
    python -m projects.movielens_recommender.prepare prepare.division=last    # another division into train and test

Accepts, and detects automatically:
    <name>.{csv,tsv,txt,data,dat,inter}   user, item and, if known, rating and time, a row each; .gz too; with or
                                          without a header; fields between commas, tabs, ; | :: or spaces
    <name>.parquet                        the same
    <items>.{csv,tsv,...}                 beside it, if there is one: the id of an item, its title, and what it is like

Ids are strings, as tables.py says. Items and users that are too rare are left out as prepare.min_user_items and
prepare.min_item_users say, and so are wanted items that nobody in train has: all of it is counted and printed.
Everything wrong with the data is listed at once, and nothing is written then.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.core.cli import answer_help, run_stage
from shared.core.errors import Problems, UserError
from shared.core.paths import Project, show
from shared.data.rows import find_unread
from shared.data.source import source_of
from shared.data.table import Column, Ragged
from shared.report.prepared import leave_prepared

from .division import divide, with_both
from .params import Params, Prepare
from .tables import (
    FIELDS,
    Form,
    ItemTable,
    find_files,
    form_of,
    kind_of,
    note_missing,
    read_interactions,
    read_items,
    reading,
)
from .tastes import TASTES

MIN_TOKEN_ITEMS, MAX_TOKEN_SHARE = 2, 0.5  # a feature is a token of so many items, and of no more than half of them


def read(root: Path, params: Prepare) -> tuple[pl.DataFrame, ItemTable, list[str]]:
    """All of the raw data, and what was done to them, in words. Raises one UserError with everything that is wrong."""
    if not root.exists():
        raise UserError(f"{show(root)}: no such folder", fix="run the fetch stage, or put your data there")
    problems, notes = Problems(show(root)), Problems(show(root))
    columns = {one: getattr(params, f"{one}_column") for one in FIELDS}
    forms: dict[Path, Form] = {}
    for path in find_files(root):
        with reading(path, problems):
            forms[path] = form_of(path, columns)
    kinds = {path: kind_of(path, form) for path, form in forms.items()}
    found = [path for path, kind in kinds.items() if kind == "interactions"]
    data, items = pl.DataFrame(), ItemTable({}, {})
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        problems.add(show(root), f"tables of interactions: {names}; expected one with a user and an item in each row")
        for path, form in forms.items():
            if not found and (form.header or any(columns.values())):
                note_missing(path, form, columns, problems)
        for path, advice in find_unread(root):
            if path.suffix != ".parquet":
                problems.add(show(path), advice)
    else:
        note_missing(found[0], forms[found[0]], columns, problems)
        with reading(found[0], problems):
            data = read_interactions(found[0], forms[found[0]], problems, notes)
    for path in (path for path, kind in kinds.items() if kind == "items"):
        with reading(path, problems):
            items.add(read_items(path, forms[path], notes))
    problems.raise_if_any(fix="data/README.md says which forms are accepted")
    data, said = clean(data, params)
    unused = [f"{show(path)}: not used" for path, kind in kinds.items() if kind == "other"]
    return data, items, [*notes.found, *unused, *said]


def clean(data: pl.DataFrame, params: Prepare) -> tuple[pl.DataFrame, list[str]]:
    """Without duplicates, low ratings and rare ids; and what was left out, in words."""
    said, before = [], len(data)
    if "time" not in data.columns:
        if params.division != "random":
            raise UserError(
                "prepare: the data have no times, and prepare.division needs them",
                expected="a column such as timestamp",
                fix="prepare.time_column=<its name>, or prepare.division=random",
            )
        data = data.with_columns(time=pl.lit(0, pl.Int64))
    rated = ["rating"] if "rating" in data.columns else []
    if params.min_rating and not rated:
        raise UserError(
            f"prepare.min_rating: {params.min_rating:g}, but the data have no ratings",
            expected="a column such as rating",
            fix="prepare.rating_column=<its name>, or prepare.min_rating=0.0",
        )
    data = data.sort("user", "item", "time", *rated).unique(["user", "item"], keep="last", maintain_order=True)
    if len(data) < before:
        said.append(f"{before - len(data):,} rows repeat a pair of user and item: the latest of each counts")
    if params.min_rating:
        before, data = len(data), data.filter(pl.col("rating") >= params.min_rating)
        said.append(f"{before - len(data):,} interactions of a rating below {params.min_rating:g} are left out")
    kept = keep_frequent(data, params.min_user_items, params.min_item_users)
    if len(kept) < len(data):
        lost = [len(data) - len(kept), *(data[one].n_unique() - kept[one].n_unique() for one in ("user", "item"))]
        limits = f"fewer than {params.min_user_items} items of a user or {params.min_item_users} users of an item"
        said.append("{}: {:,} interactions, {:,} users and {:,} items are left out".format(limits, *lost))
    if kept.is_empty():
        raise UserError("prepare: no interaction is left", expected="users of several items", fix="; ".join(said))
    return kept, said


def keep_frequent(data: pl.DataFrame, min_user_items: int, min_item_users: int) -> pl.DataFrame:
    """Without users of too few items and items of too few users, again and again until none is left (the k-core)."""
    while True:
        frequent = (pl.len().over("user") >= min_user_items) & (pl.len().over("item") >= min_item_users)
        kept = data.filter(frequent)
        if len(kept) == len(data):
            return data
        data = kept


def in_catalogue(rows: pl.DataFrame, ids: pl.Series, name: str, said: list[str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of a split whose item train has, of users who still have a history and something wanted; and counts."""
    known = pl.col("item").is_in(ids.implode())
    found = with_both(rows.filter(known), name, said)
    if found.is_empty():
        raise UserError(f"{name}: no user is left whose items are in train", expected="more data")
    wanted = found["wanted"].sum()
    counts = {"users": found["user"].n_unique(), "interactions": len(found) - wanted, "wanted": wanted}
    unseen = rows.filter(~known)
    return found, counts | {"unseen": len(unseen), "unseen_wanted": unseen["wanted"].sum()}


def columns_of(rows: pl.DataFrame, ids: pl.Series) -> dict[str, Column]:
    """The prepared form of a split, a row a user: id; items and ratings, earliest first; and of the items that should
    be recommended wanted and wanted_ratings. Codes are positions in the catalogue, the ids (I,)."""
    place = np.zeros(len(ids.dtype.categories), np.int32)
    place[ids.to_physical()] = np.arange(len(ids))
    columns: dict[str, Column] = {"id": rows["user"].unique(maintain_order=True).cast(pl.String).to_list()}
    for prefix, some in (("", rows.filter(~pl.col("wanted"))), ("wanted", rows.filter(pl.col("wanted")))):
        if not some.is_empty():
            sizes = some.group_by("user", maintain_order=True).len()["len"]
            offsets = np.concatenate([[0], np.cumsum(sizes.to_numpy())]).astype(np.int64)
            columns[prefix or "items"] = Ragged(place[some["item"].to_physical()], offsets)
            if "rating" in rows.columns:
                columns[f"{prefix}_ratings".strip("_")] = Ragged(some["rating"].to_numpy(), offsets)
    return columns


def catalogue(ids: list[str], counts: np.ndarray, items: ItemTable) -> dict[str, Any]:
    """items.json: ids, titles ("" where none is known), the features of each item, by number, what these are, and the
    training users of each item."""
    tokens = [sorted(set(items.tokens.get(one, []))) for one in ids]
    frequent = Counter(token for of in tokens for token in of)
    limit = MAX_TOKEN_SHARE * len(ids)
    vocabulary = sorted(token for token, count in frequent.items() if MIN_TOKEN_ITEMS <= count <= limit)
    number = {token: place for place, token in enumerate(vocabulary)}
    return {
        "ids": ids,
        "titles": [items.titles.get(one, "") for one in ids],
        "features": [[number[token] for token in of if token in number] for of in tokens],
        "vocabulary": vocabulary,
        "counts": counts.tolist(),
    }


def write(project: Project, data: pl.DataFrame, items: ItemTable, said: list[str], params: Prepare) -> None:
    """Replaces the prepared folder, whole or not at all, and prints the counts."""
    divided, more = divide(data, params)
    said = [*said, *more]
    ids = divided["train"]["item"].unique().sort()
    found = {name: in_catalogue(rows, ids, name, said) for name, rows in divided.items()}
    splits = {name: columns_of(rows, ids) for name, (rows, _) in found.items()}
    counts = {name: of for name, (_, of) in found.items()}
    train: Any = splits["train"]["items"]
    files: dict[str, Any] = {
        "items.json": catalogue(ids.cast(pl.String).to_list(), np.bincount(train.values, minlength=len(ids)), items)
    }
    if (project.raw / TASTES).exists():
        files[TASTES] = json.loads((project.raw / TASTES).read_text(encoding="utf-8"))
    manifest = {
        "source": source_of(project.raw),
        "division": params.division,
        "num_items": len(ids),
        "has_ratings": "rating" in data.columns,
        "has_tastes": TASTES in files,
    }
    table = {key.replace("_", " "): {name: of[key] for name, of in counts.items()} for key in counts["train"]}
    leave_prepared(project.prepared, splits, manifest, [*said, table], params, counts=counts, files=files)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit interactions of one's own. Raises one UserError with everything that is wrong."""
    params = Prepare(
        seed=0, division="random", test_fraction=0.2, valid_fraction=0.1, fold_in=0.8, min_rating=0.0, min_user_items=2,
        min_item_users=1, user_column="", item_column="", rating_column="", time_column="",
    )  # fmt: skip
    data, _, _ = read(root, params)
    sizes = data.group_by("user").len()["len"]
    batch = min(max(16, len(sizes) // 10), 256)
    return {
        "prepare.division": "new_users" if data["time"].n_unique() > 1 else "random",
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.model.max_history": int(np.clip(sizes.quantile(0.9), 20, 200)),
    }


def main(params: Params) -> None:
    """Reads everything, and only then replaces the prepared data."""
    project = Project.of(__file__)
    data, items, said = read(project.raw, params.prepare)
    write(project, data, items, said, params.prepare)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
