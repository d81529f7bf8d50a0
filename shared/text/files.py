"""Labelled texts as files hold them: tables with named columns, or a folder of .txt files per class."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import visible
from shared.data.folder import scan_classes
from shared.data.rows import (
    ID,
    Row,
    find_tables,
    find_unread,
    is_utf8,
    read_rows,
    read_tables,
    read_text,
    split_of,
    suffix_of,
)
from shared.data.split import SPLIT_NAMES
from shared.text.align import align
from shared.text.tokens import normalise

Place = tuple[int, int]
TEXT_SUFFIX = ".txt"
EVIDENCE, SPLIT = "evidence", "split"  # optional columns
LABELS = ("label", "class", "category", "sentiment", "target", "topic", "intent", "rating", "stars")  # usual names
UNLABELLED = {"unsup", "unsupervised", "unlabeled", "unlabelled"}  # folders beside the classes: aclImdb has one
MOST_CLASSES = 200  # of a column that may hold labels
FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}
FEW_FLAGS = 3  # columns of these: so many are several labels of each text


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


def read_folder(
    root: Path, text_column: str, label_column: str, problems: Problems, notes: Problems | None = None
) -> list[Text]:
    """All labelled texts of a file, or of the tables or the class folders in a folder.

    Args:
        problems: gets everything that is wrong, with file and line.
        notes: get what was guessed or left out.
    """
    notes = notes or Problems(show(root))
    if tables := find_tables(root):
        wanted = {text_column: "prepare.text_column", label_column: "prepare.label_column"}
        rows = _with_splits(read_tables(tables, wanted, problems, notes), wanted, notes)
        texts = [text for row in rows if (text := _from_row(row, text_column, label_column, problems))]
        folders = [path.name for path in visible(root) if path.is_dir()] if root.is_dir() else []
        if folders:
            notes.add(show(root), f"read {', '.join(path.name for path in tables)}; left out: {', '.join(folders)}")
    else:
        texts = list(_read_classes(root, problems, notes)) if root.is_dir() else []
    for path, what in find_unread(root):
        (notes if texts else problems).add(show(path), what)
    return texts


def _with_splits(rows: list[Row], wanted: Mapping[str, str], notes: Problems) -> list[Row]:
    """The rows with the splits of their column `split`, where all have a known one and no file's name says it."""
    said = [SPLIT_NAMES.get(str(row.values.get(SPLIT)).strip().lower()) for row in rows]
    if SPLIT in wanted or not rows or not all(said) or any(row.split for row in rows):
        return rows
    notes.add(SPLIT, "the splits are those of this column")
    return [row._replace(split=split) for row, split in zip(rows, said, strict=True)]


def _from_row(row: Row, text_column: str, label_column: str, problems: Problems) -> Text | None:
    text, label = row.values[text_column], row.values[label_column]
    if isinstance(label, float) and label.is_integer():  # pandas makes floats of whole numbers beside missing ones
        label = int(label)
    class_name = normalise(str(label)).strip() if isinstance(label, str | int) else ""
    if not isinstance(text, str):
        problems.add(row.where, f"{text_column} is {type(text).__name__}, expected a text")
    elif not (normal := normalise(text)).strip():
        problems.add(row.where, f"{text_column} is empty")
    elif not class_name:
        problems.add(row.where, f"{label_column} is {json.dumps(label)[:40]}, expected one class name")
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


def _read_classes(root: Path, problems: Problems, notes: Problems) -> Iterator[Text]:
    found = scan_classes(root, lambda path: suffix_of(path) == TEXT_SUFFIX, problems, what=".txt files")
    unlabelled = Counter(file.class_name for file in found.files if file.class_name.casefold() in UNLABELLED)
    if len({file.class_name for file in found.files} - set(unlabelled)) < 2:
        unlabelled.clear()  # without them there is nothing to learn
    for name, number in unlabelled.items():
        notes.add(name, f"{number:,} texts left out: no class by its name, but texts without labels")
    for what, paths in (("outside of any class folder", found.strays), ("no .txt", found.ignored)):
        if paths:
            notes.add(show(root), f"{len(paths):,} files left out, {what}: such as {paths[0].relative_to(root)}")
    for file in found.files:
        if file.class_name in unlabelled:
            continue
        content = read_text(file.path, problems, notes)
        if content is None:
            continue
        if not is_utf8(content):
            problems.add(show(file.path), "bytes that are not UTF-8; save the file as UTF-8")
        elif not (text := normalise(content)).strip():
            problems.add(show(file.path), "empty")
        else:
            yield Text(file.id, text, normalise(file.class_name).strip(), file.split)


# --- which columns ------------------------------------------------------------------------------------------------


def guess_columns(root: Path, problems: Problems, notes: Problems) -> tuple[str, str]:
    """The columns of text and label: "text", or the one of the longest values; "label", or one of a usual name, or else
    the one of the fewest different values. ("text", "label") where there are no tables.

    Args:
        problems: gets a table of several labels a text.
        notes: get what was taken, and what could be as well.
    """
    tables = sorted(find_tables(root), key=lambda path: split_of(path) != "train")
    rows = [values for path in tables[:1] for _, values in read_rows(path, {}, Problems(root), Problems(root))]
    names = list(rows[0]) if rows else []
    if not names:
        return "text", "label"
    lengths = {name: _mean_length(rows, name) for name in names}
    text = "text" if "text" in names else max(names, key=lambda name: lengths[name])
    values = {name: {str(row.get(name)).strip() for row in rows} for name in names}
    others = [name for name in names if name not in (text, ID, EVIDENCE) and not _are_splits(values[name])]
    possible = [name for name in others if 2 <= len(values[name]) <= max(2, min(len(rows) // 2, MOST_CLASSES))]
    usual = sorted((name for name in possible if _usual(name)), key=_usual)
    flags = [name for name in possible if {value.casefold() for value in values[name]} <= FLAGS]
    if "label" in others or not others:
        label = "label"
    elif not usual and len(flags) >= FEW_FLAGS:
        some = ", ".join([*map(repr, flags[:FEW_FLAGS]), "..."])
        what = f"{len(flags)} columns of 0 and 1 ({some}): several labels a text, expected one class a text"
        problems.add(f"{show(tables[0])}:1", f"{what}; call the column that is meant `label`")
        label = flags[0]
    else:
        fewest = min(possible or others, key=lambda name: len(values[name]))
        label = usual[0] if usual else fewest
    long = [name for name in names if name not in (text, EVIDENCE) and lengths[name] > max(20, lengths[text] / 2)]
    rivals = [f"{name!r} (long texts)" for name in long]
    rivals += [f"{name!r} ({len(values[name])} values)" for name in possible if name not in (label, *long)]
    number = len(values.get(label, ()))
    taken = f"texts from the column {text!r}, classes from {label!r} ({number} values)"
    notes.add(tables[0].name, taken + (f"; also possible: {', '.join(rivals)}" if rivals else ""))
    return text, label


def _usual(name: str) -> int:
    """The place of a column's name among usual ones, from 1; 0 if it is none."""
    words = re.split("[^a-z]+", name.casefold())
    return min((place for place, usual in enumerate(LABELS, 1) if usual in words), default=0)


def _are_splits(values: set[str]) -> bool:
    return {value.lower() for value in values} <= SPLIT_NAMES.keys()


def _mean_length(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(len(str(row.get(name, ""))) for row in rows) / len(rows)
