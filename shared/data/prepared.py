"""Prepared data: data/prepared/<project>/manifest.json beside a table for each split (see table.py)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.core.errors import UserError
from shared.core.files import replace_folder
from shared.core.paths import show
from shared.data.table import Columns, Table, write_table


@dataclass(frozen=True)
class Prepared:
    """What the prepare stage left in a folder."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """source, splits (count, digest and what was counted of each), and what the room says of its data.

        Raises:
            UserError: nothing was prepared.
        """
        manifest: dict[str, Any] = self.read("manifest.json")
        return manifest

    @property
    def splits(self) -> list[str]:
        """Names of the splits there are."""
        return list(self.manifest["splits"])

    def table(self, split: str) -> Table:
        """The samples of a split. Raises UserError where there is none."""
        return Table(self.folder / split)

    def read(self, name: str) -> Any:
        """A JSON file beside the manifest. Raises UserError where there is none."""
        path = self.folder / name
        if not path.exists():
            raise UserError(f"{show(path)}: no prepared data", fix="run the prepare stage, or `dvc repro`")
        return json.loads(path.read_text(encoding="utf-8"))


def write_prepared(
    folder: Path,
    splits: Mapping[str, Columns],
    manifest: Mapping[str, Any],
    *,
    counts: Mapping[str, Mapping[str, Any]] | None = None,
    files: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Replaces a prepared folder, whole or not at all, and returns the manifest.

    Args:
        splits: split -> its columns.
        manifest: plain values; `splits` is added.
        counts: split -> what was counted, beside the samples: classes, what was cut off.
        files: name -> JSON values: what else training needs, such as a vocabulary.
    """
    with replace_folder(folder) as new:
        described = {
            name: write_table(new / name, columns) | dict((counts or {}).get(name, {}))
            for name, columns in splits.items()
        }
        whole = {**manifest, "splits": described}
        for name, tree in {**(files or {}), "manifest.json": whole}.items():
            text = json.dumps(tree, indent=2 if name == "manifest.json" else 0, sort_keys=True, ensure_ascii=False)
            (new / name).write_text(text + "\n", encoding="utf-8")
    return whole


def count_lines(rows: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Aligned lines for the terminal: a row a name, a column a split.

    >>> print("\\n".join(count_lines({"cat": {"train": 1200, "test": 7}})))
          train    test
    cat   1,200       7
    """
    splits = list(dict.fromkeys(split for row in rows.values() for split in row))
    width = max(map(len, rows), default=0)
    yield " ".join([" " * width, *(f"{name:>7}" for name in splits)])
    for name, row in rows.items():
        yield " ".join([f"{name:<{width}}", *(f"{row.get(split, 0):>7,}" for split in splits)])
