"""Columns come back as they were written, and equal data are equal bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import UserError
from shared.data.table import Ragged, Table, num_rows, select, write_table

ROWS = st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=6)
COLUMNS = {
    "tokens": Ragged.of([[1, 2], [3]], np.int32),
    "spans": Ragged.of([[(0, 1), (2, 3)], [(0, 4)]], np.int32),
    "image": Ragged.of([np.zeros((2, 4, 3)), np.ones((1, 4, 3))], np.uint8),
    "label": np.array([0, 1]),
    "text": ["ä b", "שלום\n\udcff"],
}


@given(ROWS, st.randoms())
def test_ragged_rows_come_back_and_can_be_chosen(rows, random):
    ragged = Ragged.of(rows, np.int64)
    assert [ragged.row(index).tolist() for index in range(len(rows))] == rows
    chosen = np.array(random.sample(range(len(rows)), k=len(rows) // 2), dtype=np.int64)
    some = ragged.select(chosen)
    assert [some.row(index).tolist() for index in range(len(chosen))] == [rows[index] for index in chosen]
    assert some.lengths.tolist() == [len(rows[index]) for index in chosen]


def test_a_split_comes_back_as_it_was_written(tmp_path):
    assert write_table(tmp_path / "train", COLUMNS)["count"] == 2
    table = Table(tmp_path / "train")
    assert (len(table), table.names) == (2, sorted(COLUMNS))
    assert list(table.strings("text")) == table.strings("text")[:] == COLUMNS["text"]
    assert table.strings("text")[-1] == COLUMNS["text"][-1]
    assert table.ragged("spans").row(0).tolist() == [[0, 1], [2, 3]]
    assert table.ragged("image").row(1).shape == (1, 4, 3)
    for name in ("tokens", "label"):
        assert isinstance(table[name], type(COLUMNS[name]))
    assert table.ragged("tokens").values.dtype == np.int32
    assert "label" in table
    assert "evidence" not in table
    one = select({name: table[name] for name in table.names}, np.array([1]))
    assert (one["text"], one["label"].tolist(), one["tokens"].row(0).tolist()) == (COLUMNS["text"][1:], [1], [3])
    assert {num_rows(column) for column in one.values()} == {1}


def test_the_digest_follows_the_content_alone(tmp_path):
    digests = [write_table(tmp_path / name, COLUMNS)["digest"] for name in "ab"]
    changed = COLUMNS | {"label": np.array([1, 1])}
    digests.append(write_table(tmp_path / "c", changed)["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_rows_may_all_be_empty(tmp_path):
    write_table(tmp_path / "train", {"text": ["", ""], "tokens": Ragged.of([[], []], np.int32)})
    table = Table(tmp_path / "train")
    assert (len(table), list(table.strings("text")), table.ragged("tokens").row(1).tolist()) == (2, ["", ""], [])


def test_the_shape_of_a_value_is_known_without_values():
    shapes = [Ragged.of(rows, np.float32).values.shape for rows in ([np.zeros((0, 4))] * 2, [[]], [])]
    assert shapes == [(0, 4), (0,), (0,)]


def test_a_missing_split_or_column_is_named(tmp_path):
    with pytest.raises(UserError, match="valid: no prepared data"):
        Table(tmp_path / "valid")
    write_table(tmp_path / "train", {"label": np.zeros(1)})
    with pytest.raises(KeyError, match="no column 'image' among label"):
        Table(tmp_path / "train")["image"]
