"""Labelled texts as files hold them: tables with named columns, or a folder of .txt files per class."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.folder import scan_classes
from shared.data.rows import ID, Row, find_tables, is_utf8, read_rows, read_tables, read_text, suffix_of
from shared.text.align import align
from shared.text.tokens import normalise

Place = tuple[int, int]
TEXT_SUFFIX = ".txt"
EVIDENCE = "evidence"  # an optional column


@dataclass(frozen=True)
class Text:
    """One labelled text.

    Args:
        id: its column `id`, or else its place: `train.csv:7`.
        text: normalised.
        class_name: as it is written, without spaces around.
        split: train, valid or test; None where the data has no splits.
        evidence: (start, end) of the deciding words; None if the data has no evidence.
    """

    id: str
    text: str
    class_name: str
    split: str | None
    evidence: list[Place] | None = None


def read_folder(root: Path, text_column: str, label_column: str, problems: Problems) -> list[Text]:
    """All labelled texts of a file, or of the tables or the class folders in a folder.

    Args:
        problems: gets everything that is wrong, with file and line.
    """
    if tables := find_tables(root):
        wanted = {text_column: "prepare.text_column", label_column: "prepare.label_column"}
        rows = read_tables(tables, wanted, problems)
        return [text for row in rows if (text := _from_row(row, text_column, label_column, problems))]
    return list(_read_classes(root, problems)) if root.is_dir() else []


def _from_row(row: Row, text_column: str, label_column: str, problems: Problems) -> Text | None:
    text, label = row.values[text_column], row.values[label_column]
    class_name = normalise(str(label)).strip() if isinstance(label, str | int) else ""
    if not isinstance(text, str):
        problems.add(row.where, f"{text_column} is {type(text).__name__}, expected a text")
    elif not (normal := normalise(text)).strip():
        problems.add(row.where, f"{text_column} is empty")
    elif not class_name:
        problems.add(row.where, f"{label_column} is {json.dumps(label)[:40]}, expected a class name")
    else:
        evidence = _evidence(row.where, text, row.values.get(EVIDENCE), problems)
        return Text(row.id, normal, class_name, row.split, evidence)
    return None


def _evidence(where: str, text: str, spans: Any, problems: Problems) -> list[Place] | None:
    """[[start, end], ...] in the text as written -> in the normalised text."""
    if spans in (None, ""):
        return None
    try:
        spans = json.loads(spans) if isinstance(spans, str) else spans  # a cell of a table
        pairs = [(start, end) for start, end in spans]
        if all(type(start) is type(end) is int and 0 <= start < end <= len(text) for start, end in pairs):
            aligned = align(text)
            return [aligned.inside(start, end) for start, end in pairs]
    except (ValueError, TypeError):
        pass
    problems.add(where, f"evidence {str(spans)[:40]}: expected [[start, end], ...] inside the text")
    return None


def _read_classes(root: Path, problems: Problems) -> Iterator[Text]:
    found = scan_classes(root, lambda path: suffix_of(path) == TEXT_SUFFIX, problems, what=".txt files")
    for file in found.files:
        content = read_text(file.path, problems)
        if content is None:
            continue
        if not is_utf8(content):
            problems.add(show(file.path), "bytes that are not UTF-8")
        elif not (text := normalise(content)).strip():
            problems.add(show(file.path), "empty")
        else:
            yield Text(file.id, text, normalise(file.class_name).strip(), file.split)


def guess_columns(root: Path) -> tuple[str, str]:
    """The columns of text and label: those of these names; else the one of the longest values and, of the others, the
    one of the fewest different values. ("text", "label") where there are no tables."""
    rows = [row for path in find_tables(root)[:1] for _, row in read_rows(path, {}, Problems(root))]
    names = list(rows[0]) if rows else []
    text = "text" if "text" in names or not names else max(names, key=lambda name: _mean_length(rows, name))
    others = [name for name in names if name not in (text, ID, EVIDENCE)]
    if "label" in names or not others:
        return text, "label"
    return text, min(others, key=lambda name: _num_different(rows, name))


def _mean_length(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(len(str(row.get(name, ""))) for row in rows) / len(rows)


def _num_different(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """How many different values; a column with one value is uninformative, and comes last."""
    different = len({str(row.get(name)) for row in rows})
    return different if different > 1 else float("inf")
