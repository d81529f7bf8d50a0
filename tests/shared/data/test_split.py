"""Who is held out depends on names, and every class keeps its share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import UserError
from shared.data.split import divide, hold_out

FRACTIONS = {"test": 0.2, "valid": 0.1}


def some(counts: list[int]) -> tuple[list[str], np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return [f"{label}/{number}.png" for number, label in enumerate(labels)], labels


def divided(given: list[str | None], keys: list[str], **options) -> dict[str, list[int]]:
    found = divide(given, keys, **({"fractions": FRACTIONS, "seed": 0} | options))
    assert all(rows.dtype == np.int64 for rows in found.values())
    return {name: rows.tolist() for name, rows in found.items()}


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 10**9))
def test_every_class_gives_its_share_and_keeps_one(counts: list[int], fraction: float, seed: int) -> None:
    keys, labels = some(counts)
    held_out = np.bincount(labels[hold_out(keys, labels, fraction, seed, "test")], minlength=len(counts))
    for count, num in zip(counts, held_out, strict=True):
        assert num == 0 if count == 1 else 1 <= num <= count - 1
        assert abs(num - fraction * count) <= max(0.5, 1 - fraction * count, fraction * count - (count - 1)) + 1e-9


@settings(max_examples=50)
@given(st.integers(2, 60), st.floats(0, 0.9), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_a_new_file_moves_at_most_one_other(num: int, fraction: float, random) -> None:
    keys, labels = some([num, num])
    chosen = {key for key, out in zip(keys, hold_out(keys, labels, fraction, 7, "test"), strict=True) if out}
    order = random.sample(range(len(keys)), len(keys))
    keys, labels = [*(keys[i] for i in order), "new.png"], np.append(labels[order], 0)
    again = {key for key, out in zip(keys, hold_out(keys, labels, fraction, 7, "test"), strict=True) if out}
    assert len((chosen ^ again) - {"new.png"}) <= 1


def test_seeds_and_names_draw_independently() -> None:
    keys, labels = some([1000])
    drawn = [hold_out(keys, labels, 0.5, seed, name) for seed, name in [(0, "test"), (1, "test"), (0, "valid")]]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert 0.4 < (drawn[one] == drawn[other]).mean() < 0.6


def test_a_known_value_so_that_a_split_of_today_is_the_split_of_tomorrow() -> None:
    keys, labels = some([10])
    assert np.flatnonzero(hold_out(keys, labels, 0.3, 0, "test")).tolist() == [2, 3, 9]


def test_every_row_goes_to_one_split_and_copies_stay_together() -> None:
    keys = [f"{number // 2}.png" for number in range(200)]
    found = divided([None] * 200, keys, labels=np.arange(200) // 50)
    assert {name: len(rows) for name, rows in found.items()} == {"train": 144, "valid": 16, "test": 40}
    assert sorted(row for rows in found.values() for row in rows) == list(range(200))
    assert all(row ^ 1 in rows for rows in found.values() for row in rows)


def test_given_splits_stay_and_the_missing_one_is_drawn_from_train() -> None:
    given = ["test", None, "train"] * 20
    found = divided(given, [str(number) for number in range(60)])
    assert found["test"] == list(range(0, 60, 3))
    assert len(found["valid"]) == 4
    assert set(divided(given, [str(number) for number in range(60)], fractions={"valid": 0})) == {"train", "test"}


@pytest.mark.parametrize(
    ("given", "keys", "empty"),
    [
        (["test"] * 3, "abc", "train"),
        ([None] * 3, "aaa", "valid"),
        (["test", None, None], "abb", "valid"),
        ([], "", "train"),
    ],
)
def test_a_split_that_comes_out_empty_is_an_error(given: list[str | None], keys: str, empty: str) -> None:
    with pytest.raises(UserError, match=f"^error: {empty}: no sample is left") as error:
        divided(given, list(keys))
    assert f"of {len(keys)} samples in {len(set(keys))}" in str(error.value)
