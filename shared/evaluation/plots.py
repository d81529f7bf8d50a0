"""Files that `dvc plots` draws, and the report page too: tables with a header, nothing drawn yet."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shared.core.files import write_atomic

from .metrics import DIGITS, Bin


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV, or a TSV where the path ends so. Numbers keep six digits after the point."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([round(cell, DIGITS) if isinstance(cell, float) else cell for cell in row] for row in rows)
    write_atomic(path, text.getvalue().encode())


def write_predictions(path: Path, rows: Iterable[tuple[str, str, str, float]]) -> None:
    """One row a sample: id, actual, predicted, confidence. The `confusion` template reads it as it is."""
    write_table(path, ("id", "actual", "predicted", "confidence"), rows)


def write_reliability(path: Path, bins: Iterable[Bin]) -> None:
    """One row a bin that holds samples: its edges, num_samples, confidence (x) and accuracy (y)."""
    write_table(path, Bin._fields, (one for one in bins if one.num_samples))
