"""The prepared form of everything that is no image: a folder a split, a file a column, nothing to decode again.

data/prepared/<project>/<split>/<column>.npy                            an array, a row a sample
data/prepared/<project>/<split>/<column>.npy and <column>.offsets.npy   rows of different lengths, end to end
data/prepared/<project>/<split>/<column>.json                           strings
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.data.prepared import checksums, split_folder


class Ragged(NamedTuple):
    """Rows of different lengths, end to end: values (T, ...), offsets (N + 1,) int64 from 0 to T."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], dtype: Any) -> "Ragged":
        """From rows of numbers, or of tuples of numbers of one length.

        >>> Ragged.of([[1, 2], [], [3]], np.int32).row(2)
        array([3], dtype=int32)
        """
        rows = list(rows)
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        return cls(np.array([value for row in rows for value in row], dtype=dtype), offsets)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64."""
        return np.diff(self.offsets)

    def row(self, index: int) -> np.ndarray:
        """The values of one row."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def select(self, rows: np.ndarray) -> "Ragged":
        """Some rows, by int64 index or bool mask, in that order."""
        index = np.arange(len(self.offsets) - 1)[rows]
        lengths = self.lengths[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Ragged(self.values[np.repeat(self.offsets[index], lengths) + within], offsets)


Column = np.ndarray | Ragged | list[str]
Columns = dict[str, Column]


def num_rows(column: Column) -> int:
    """Samples in a column."""
    return len(column.offsets) - 1 if isinstance(column, Ragged) else len(column)


def select(columns: Columns, rows: np.ndarray) -> Columns:
    """Some rows of every column, by int64 index or bool mask."""
    return {name: _select(column, rows) for name, column in columns.items()}


def _select(column: Column, rows: np.ndarray) -> Column:
    if isinstance(column, Ragged):
        return column.select(rows)
    if isinstance(column, list):
        return [column[index] for index in np.arange(len(column))[rows].tolist()]
    chosen: np.ndarray = column[rows]
    return chosen


def write_columns(folder: Path, columns: Columns) -> dict[str, Any]:
    """Writes a split into a new folder and returns what the manifest says of it: count and checksums."""
    counts = {name: num_rows(column) for name, column in columns.items()}
    assert len(set(counts.values())) == 1, f"columns of different lengths: {counts}"
    folder.mkdir(parents=True)
    for name, column in columns.items():
        _write(folder, name, column)
    return {"count": next(iter(counts.values())), "sha256": checksums(folder)}


def _write(folder: Path, name: str, column: Column) -> None:
    if isinstance(column, list):
        text = json.dumps(column, ensure_ascii=False, indent=0)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        return
    values = column.values if isinstance(column, Ragged) else column
    np.save(folder / f"{name}.npy", values, allow_pickle=False)
    if isinstance(column, Ragged):
        np.save(folder / f"{name}.offsets.npy", column.offsets, allow_pickle=False)


def read_columns(prepared: Path, split: str) -> Columns:
    """All columns of a split by name. Raises UserError where the split is not there."""
    folder = split_folder(prepared, split)
    columns: Columns = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    for path in folder.glob("*.npy"):
        if not path.stem.endswith(".offsets"):
            values = np.load(path, allow_pickle=False)
            offsets = folder / f"{path.stem}.offsets.npy"
            columns[path.stem] = Ragged(values, np.load(offsets, allow_pickle=False)) if offsets.exists() else values
    return columns
