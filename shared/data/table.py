"""The prepared form of any data: one folder per split, one or two files per column, memory-mapped and decoded.

<split>/<name>.npy                            fixed: (N, ...), any dtype
<split>/<name>.values.npy, .offsets.npy       ragged: rows of different lengths, concatenated
<split>/<name>.utf8.npy, .offsets.npy         strings, concatenated

Equal data give equal bytes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from shared.core.errors import UserError
from shared.core.paths import show

VALUES, OFFSETS, UTF8 = ".values", ".offsets", ".utf8"


class Ragged(NamedTuple):
    """Rows of different lengths, concatenated: values (T, ...), offsets (N + 1,) int64 from 0 to T."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Any], dtype: Any) -> "Ragged":
        """From rows of numbers, or of tuples of numbers of one length, or arrays (L, ...).

        >>> Ragged.of([[1, 2], [], [3]], np.int32).row(2)
        array([3], dtype=int32)
        """
        arrays = [np.asarray(row, dtype=dtype) for row in rows]
        filled = [array for array in arrays if len(array)]
        offsets = np.array([0, *accumulate(map(len, arrays))], dtype=np.int64)
        return cls(np.concatenate(filled or arrays[:1] or [np.zeros(0, dtype)]), offsets)

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


class Strings(Sequence[str]):
    """Strings that are decoded on access. `rows` holds their UTF-8 bytes."""

    def __init__(self, rows: Ragged) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        return self.rows.row(number).tobytes().decode(errors="surrogateescape")


Column = np.ndarray | Ragged | Sequence[str]
Columns = Mapping[str, Column]


def num_rows(column: Column) -> int:
    """Samples in a column."""
    return len(column.offsets) - 1 if isinstance(column, Ragged) else len(column)


def select(columns: Columns, rows: np.ndarray) -> dict[str, Column]:
    """Some rows of every column, by int64 index."""
    return {name: _select(column, rows) for name, column in columns.items()}


def _select(column: Column, rows: np.ndarray) -> Column:
    if isinstance(column, Ragged):
        return column.select(rows)
    if isinstance(column, np.ndarray):
        chosen: np.ndarray = column[rows]
        return chosen
    return [column[index] for index in rows.tolist()]


def write_table(folder: Path, columns: Columns) -> dict[str, Any]:
    """Writes a split into a new folder and returns its entry in the manifest: count and digest (sha256)."""
    counts = {name: num_rows(column) for name, column in columns.items()}
    assert len(set(counts.values())) == 1, f"columns of different lengths: {counts}"
    folder.mkdir(parents=True)
    for name, column in columns.items():
        for suffix, values in _files(column):
            np.save(folder / f"{name}{suffix}.npy", values, allow_pickle=False)
    return {"count": next(iter(counts.values())), "digest": folder_digest(folder)}


def _files(column: Column) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(column, np.ndarray):
        yield "", column
    elif isinstance(column, Ragged):
        yield from ((VALUES, column.values), (OFFSETS, column.offsets))
    else:
        rows = [np.frombuffer(text.encode(errors="surrogateescape"), np.uint8) for text in column]
        ragged = Ragged.of(rows, np.uint8)
        yield from ((UTF8, ragged.values), (OFFSETS, ragged.offsets))


def folder_digest(folder: Path) -> str:
    """sha256 over the names and contents of the files of a split."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            total.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


class Table:
    """A split as it was written: columns by name, memory-mapped.

    Raises:
        UserError: there is no such split.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"{show(folder)}: no prepared data", fix="run the prepare stage, or `dvc repro`")
        self.folder = folder

    @cached_property
    def names(self) -> list[str]:
        """Of all columns."""
        stems = {path.name.removesuffix(".npy") for path in self.folder.glob("*.npy")}
        kept = {stem.removesuffix(VALUES).removesuffix(UTF8) for stem in stems if not stem.endswith(OFFSETS)}
        return sorted(kept)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return num_rows(self[self.names[0]])

    def __getitem__(self, name: str) -> Column:
        """A column of any kind. Raises KeyError where there is none."""
        if (self.folder / f"{name}.npy").exists():
            return self.fixed(name)
        if (self.folder / f"{name}{UTF8}.npy").exists():
            return self.strings(name)
        if (self.folder / f"{name}{VALUES}.npy").exists():
            return self.ragged(name)
        raise KeyError(f"{show(self.folder)}: no column {name!r} among {', '.join(self.names)}")

    def fixed(self, name: str) -> np.ndarray:
        """(N, ...)."""
        return self._read(name, "")

    def ragged(self, name: str) -> Ragged:
        """Rows of different lengths."""
        return Ragged(self._read(name, VALUES), self._read(name, OFFSETS))

    def strings(self, name: str) -> Strings:
        """N strings."""
        return Strings(Ragged(self._read(name, UTF8), self._read(name, OFFSETS)))

    def _read(self, name: str, suffix: str) -> np.ndarray:
        path = self.folder / f"{name}{suffix}.npy"
        try:
            # copy on write: torch takes no read-only array
            mapped: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
        except ValueError:  # an empty array cannot be mapped
            mapped = np.load(path, allow_pickle=False)
        return mapped
