import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.data.columns import Ragged, read_columns, select, write_columns

from shared.core.errors import UserError

ROWS = st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=6)


@given(ROWS, st.randoms())
def test_ragged_rows_come_back_and_can_be_chosen(rows, random):
    ragged = Ragged.of(rows, np.int64)
    assert [ragged.row(index).tolist() for index in range(len(rows))] == rows
    chosen = np.array(random.sample(range(len(rows)), k=len(rows) // 2), dtype=np.int64)
    some = ragged.select(chosen)
    assert [some.row(index).tolist() for index in range(len(chosen))] == [rows[index] for index in chosen]
    assert some.lengths.tolist() == [len(rows[index]) for index in chosen]


def test_a_split_comes_back_as_it_was_written(tmp_path):
    columns = {
        "tokens": Ragged.of([[1, 2], [3]], np.int32),
        "spans": Ragged.of([[(0, 1), (2, 3)], [(0, 4)]], np.int32),
        "labels": np.array([0, 1]),
        "texts": ["ä b", "שלום"],
    }
    entry = write_columns(tmp_path / "train", columns)
    read = read_columns(tmp_path, "train")
    assert entry["count"] == 2
    assert set(entry["sha256"]) == {path.name for path in (tmp_path / "train").iterdir()}
    assert read["texts"] == columns["texts"]
    assert read["spans"].row(0).tolist() == [[0, 1], [2, 3]]
    assert read["tokens"].values.dtype == np.int32
    one = select(read, np.array([False, True]))
    assert (one["texts"], one["labels"].tolist(), one["tokens"].row(0).tolist()) == (["שלום"], [1], [3])


def test_a_missing_split_is_named(tmp_path):
    with pytest.raises(UserError, match="valid: no prepared data"):
        read_columns(tmp_path, "valid")
