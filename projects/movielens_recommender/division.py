"""What is learned from and what should be recommended: users, each with a history and the items that followed.

    new_users   users whose first interaction is among the latest: nothing of them is learned from (the default)
    time        what comes after a time, for users who were there before
    last        the last item of every user, and the one before it for validation
    random      a random part of each user's items; leaks the future, and is there to compare with papers that do so

Nothing depends on the order of rows: items of one user at the same time are ordered by a hash of the two ids.
"""

import numpy as np
import polars as pl

from shared.core.errors import UserError

from .keys import id_keys, mix
from .params import Prepare

PLACE, SIZE = pl.int_range(pl.len()).over("user"), pl.len().over("user").cast(pl.Int64)  # in a user's ordered history

Splits = dict[str, pl.DataFrame]  # rows by user, the earliest first, with `wanted`: whether they should be recommended


def divide(data: pl.DataFrame, params: Prepare) -> tuple[Splits, list[str]]:
    """The splits train, valid and test, and what was done, in words.

    Args:
        data: user, item (Enum), time (Int64) and what else there is; no pair twice.
        params: see there what the fractions are of.

    Raises:
        UserError: a split came out empty.
    """
    keys = [id_keys(data[one].dtype.categories)[data[one].to_physical()] for one in ("user", "item")]
    data = data.with_columns(key=mix(*keys)).sort("user", "time", "key")
    said = []
    ties = data.select(pl.struct("user", "time").is_duplicated().mean()).item()
    if ties and params.division != "random":
        said.append(f"{ties:.0%} of the interactions share user and time with another: ordered by a hash of the ids")
    splits = new_users(data, params, said) if params.division == "new_users" else of_everyone(data, params, said)
    splits = {name: with_both(rows, name, said) for name, rows in splits.items()}
    for name, rows in splits.items():
        if rows.is_empty():
            raise UserError(
                f"{name}: no user is left for this split, of {data['user'].n_unique():,} users",
                expected="users who begin after others" if params.division == "new_users" else "users of several items",
                fix="another prepare.division, or a larger prepare.test_fraction or valid_fraction",
            )
    return splits, said


def with_both(rows: pl.DataFrame, name: str, said: list[str]) -> pl.DataFrame:
    """Of the users who have a history and, but for train, something wanted; the number of others is said."""
    found = rows.filter((~pl.col("wanted")).any().over("user"))
    if name != "train":
        found = found.filter(pl.col("wanted").any().over("user"))
    if lost := rows["user"].n_unique() - found["user"].n_unique():
        said.append(f"{name}: {lost:,} users without a history, or without anything after it, are left out")
    return found


def time_of_cut(times: pl.Series, fraction: float) -> int:
    """The time from which on about `fraction` of the interactions happen."""
    return int(times.sort()[min(int(len(times) * (1 - fraction)), len(times) - 1)])


def new_users(data: pl.DataFrame, params: Prepare, said: list[str]) -> Splits:
    """Those who begin before the cut are learned from, but for the latest of them, who are valid; none of them has a
    later interaction, which a model of that time could not have known."""
    cut = time_of_cut(data["time"], params.test_fraction)
    data = data.with_columns(first=pl.col("time").min().over("user"))
    new, old = data.filter(pl.col("first") >= cut), data.filter(pl.col("time") < cut)
    said.append(
        f"new users: {new['user'].n_unique():,} of {data['user'].n_unique():,} begin at or after the time of the cut "
        f"({cut}); {len(data) - len(new) - len(old):,} later interactions of the others are left out"
    )
    starts = old.unique("user").sort("first", "user")["user"]
    held = starts.tail(max(1, round(params.valid_fraction * len(starts))) if params.valid_fraction else 0)
    of_valid = pl.col("user").is_in(held.implode())
    valid, test = (fold(rows, params.fold_in) for rows in (old.filter(of_valid), new))
    train = old.filter(~of_valid).with_columns(wanted=False)
    return {"train": train, "valid": valid, "test": test} if params.valid_fraction else {"train": train, "test": test}


def fold(rows: pl.DataFrame, share: float) -> pl.DataFrame:
    """The first part of each history is given, at least one item, and the rest is wanted, at least one item."""
    given = (share * SIZE).round().cast(pl.Int64).clip(1, (SIZE - 1).clip(1))
    return rows.with_columns(wanted=given <= PLACE)


def of_everyone(data: pl.DataFrame, params: Prepare, said: list[str]) -> Splits:
    """Each interaction is learned from (0), wanted in valid (1) or wanted in test (2); what is wanted in valid is part
    of the history in test."""
    test, valid = params.test_fraction, params.valid_fraction
    if params.division == "time":
        cut = time_of_cut(data["time"], test)
        before = data.filter(pl.col("time") < cut)["time"]
        earlier = time_of_cut(before, valid) if valid and len(before) else cut
        phase = (pl.col("time") >= earlier).cast(pl.Int8) + (pl.col("time") >= cut)
    elif params.division == "last":
        held = 2 if valid else 1
        left = SIZE - PLACE  # 1 for the last
        phase = pl.when((held < SIZE) & (left <= held)).then(3 - left).otherwise(0)
    else:
        said.append("random: what is recommended may be older than what is known of the user")
        draws = mix(data["key"].to_numpy(), np.array([params.seed], np.uint64)) / 2.0**64
        phase = pl.lit(pl.Series(2 * (draws < test) + ((draws >= test) & (draws < test + valid * (1 - test)))))
    data = data.with_columns(phase=phase)
    learned, known = (data.filter(pl.col("phase") < phase) for phase in (1, 2))
    splits = {"train": (learned, 1), "valid": (known, 1), "test": (data, 2)}
    if not valid:
        del splits["valid"]
    return {name: rows.with_columns(wanted=pl.col("phase") == phase) for name, (rows, phase) in splits.items()}
