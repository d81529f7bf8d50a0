"""Annotated text as people have it -> texts with their entities.

| form | recognised by | read by |
| --- | --- | --- |
| a word a line, in columns | the suffix of its file: COLUMN_SUFFIXES | columns.read_lines |
| a word a row, in a table with named columns | .csv; .tsv with a column `Sentence #` | columns.read_table |
| a sentence a record, its words and tags in two lists | .jsonl, .json; no `text` | columns.read_lists |
| a text a record, its entities as spans | .jsonl, .json | spans.read_records; spans.unwrap names the tools |

Everything wrong is noted with file and line, and reading goes on. What was taken for what is printed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.labels import lookalikes
from shared.data.rows import is_utf8, read_rows, read_text, suffix_of
from shared.data.source import NOTE
from shared.data.split import SPLIT_NAMES

from . import columns, spans
from .columns import SENTENCE_NAMES, Grid, Layout
from .cutting import Text
from .spans import Notes, Records

COLUMN_SUFFIXES = {
    ".txt", ".conll", ".tsv", ".bio", ".iob", ".iob2", ".bioes", ".iobes", ".bmes",
    ".train", ".valid", ".dev", ".testa", ".test", ".testb",
}  # fmt: skip
RECORD_SUFFIXES = {".jsonl", ".json"}
TABLE_SUFFIX = ".csv"
SPLIT_OF = SPLIT_NAMES | {"testa": "valid", "testb": "test"}


class Found(NamedTuple):
    """All texts, and for people a line each of what was taken for what, and of what was corrected."""

    texts: list[Text]
    summary: list[str]


def split_of(path: str) -> str | None:
    """The split in a file's name, or else of its folder: train, valid (also val, dev, testa) or test (testb).

    >>> split_of("eng.testa.gz"), split_of("test/my-train.conll:7"), split_of("dev/news.txt"), split_of("notes.txt")
    ('valid', 'train', 'valid', None)
    """
    *folders, name = path.lower().split("/")
    parts = [*re.split(r"[^a-z]+", name), *reversed(folders)]
    return next((SPLIT_OF[part] for part in parts if part in SPLIT_OF), None)


def read_folder(root: Path, problems: Problems, notes: Problems) -> Found:
    """All texts of a file, or of all files below a folder. What is wrong but can be read, or is left out, goes to
    `notes`."""
    below = files_below(root, lambda error: problems.add(error.filename, f"cannot be read: {error.strerror}"))
    texts: dict[str, list[Text]] = {}  # of each file, in this order
    grids: list[Grid] = []
    forms: dict[str, list[str]] = defaultdict(list)  # what files were taken for -> their names
    done: Notes = defaultdict(list)
    for path in [root] if root.is_file() else sorted(below):
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix()
        if name == NOTE:
            continue
        if suffix_of(path) not in COLUMN_SUFFIXES | RECORD_SUFFIXES | {TABLE_SUFFIX}:
            notes.add(show(path), "left out, not annotated text")
            continue
        before, texts[name] = len(problems.found), []
        grid, records = read_file(path, name, problems, notes)
        if grid and grid.width:
            grids.append(grid)  # read when all are there
            continue
        if records:
            texts[name] = spans.read_records(records, problems, done)
            forms[spans.unwrap(records[0][1])[0]].append(name)
        if not texts[name] and before == len(problems.found):
            problems.add(name, "no sentence in this file")
    if not texts:
        problems.add("no files", "expected columns (.txt, .conll, .tsv, .csv) or spans (.jsonl, .json)")
    _read_grids(grids, texts, forms, problems, notes)
    for labels in lookalikes(mark.label for name in texts for one in texts[name] for mark in one.marks):
        listed = ", ".join(map(ascii, labels))
        problems.add("types", f"{listed} differ in case, spaces or invisible characters alone")
    lines = [f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {what}" for what, names in forms.items()]
    lines += [f"{len(places):,} {what} ({places[0]})" for what, places in done.items()]
    return Found([one for name in texts for one in texts[name]], lines)


def read_file(path: Path, name: str, problems: Problems, notes: Problems) -> tuple[Grid | None, Records]:
    """One file, as words in columns or as records; bytes that cannot be read are problems."""
    content = read_text(path, problems, notes)
    if content is None:
        return None, []
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    if not is_utf8(content):
        for number, line in enumerate(content.split("\n"), 1):
            if byte := re.search("[\udc80-\udcff]", line):
                what = f"byte 0x{ord(byte[0]) - 0xDC00:02x} is not UTF-8; save the file as UTF-8"
                problems.add(f"{name}:{number}", what)
    suffix = suffix_of(path)
    if suffix in RECORD_SUFFIXES:
        records = parse(name, content, problems)
        if records and columns.lists_in(records[0][1]):
            return columns.read_lists(name, records, problems), []
        return None, records
    first = {cell.strip().lower() for cell in content.partition("\n")[0].split("\t")}
    if suffix == TABLE_SUFFIX or (suffix == ".tsv" and first & SENTENCE_NAMES):
        rows = list(read_rows(path, {}, problems, Problems(name)))  # notes, or it would not read as `content` was read
        return columns.read_table(name, rows, problems), []
    return columns.read_lines(name, content), []


def parse(name: str, content: str, problems: Problems) -> Records:
    """JSON lines, or one JSON document: an array of records, an object with one such array in it, or a record."""
    with suppress(ValueError):  # of several lines, it is not one document
        return [(f"{name}:{number}", one) for number, one in enumerate(_records(json.loads(content)), 1)]
    found: Records = []
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                found.append((f"{name}:{number}", json.loads(line)))
            except ValueError as error:
                problems.add(f"{name}:{number}", f"line: Invalid JSON: {error}")
    return found


def _records(whole: Any) -> list[Any]:
    if isinstance(whole, dict) and not _is_record(whole):
        lists = [value for value in whole.values() if isinstance(value, list) and value and _is_record(value[0])]
        whole = lists[0] if len(lists) == 1 else whole
    return whole if isinstance(whole, list) and not _is_record(whole) else [whole]


def _is_record(value: Any) -> bool:
    if spans.unwrap(value)[0] != spans.PLAIN:
        return True
    return isinstance(value, dict) and ("text" in value or "tokens" in value or columns.lists_in(value) is not None)


def _read_grids(
    grids: Sequence[Grid],
    texts: dict[str, list[Text]],
    forms: dict[str, list[str]],
    problems: Problems,
    notes: Problems,
) -> None:
    """Which column is what is found from all files of one width; all files must have one scheme of tags."""
    schemes: dict[str, str] = {}
    alike: dict[tuple[int, tuple[str, ...]], list[Grid]] = defaultdict(list)
    for grid in grids:
        alike[grid.width, tuple(grid.names)].append(grid)
    for (width, names), same in sorted(alike.items()):
        layout = columns.find_layout(same, problems)
        if layout is None:
            continue
        for grid in same:
            before = len(problems.found)
            scheme, texts[grid.name] = columns.read_grid(grid, layout, problems, notes)
            schemes |= {grid.name: scheme} if scheme else {}
            forms[_columns_of(layout, width, names, scheme)].append(grid.name)
            if not texts[grid.name] and before == len(problems.found):
                problems.add(grid.name, "no sentence in this file")
    if len(set(schemes.values())) > 1:
        listed = ", ".join(f"{name} is {scheme}" for name, scheme in sorted(schemes.items()))
        problems.add("tags", f"mixed schemes: {listed}; expected one for all files")


def _columns_of(layout: Layout, width: int, names: Sequence[str], scheme: str | None) -> str:
    """Which columns are read, in words."""
    word, tag, *rivals = [
        repr(names[k]) if names else f"column {k + 1}" for k in (layout.word, layout.tag, *layout.rivals)
    ]
    found = f"words from {word}, tags from {tag} of {width} columns ({scheme or 'O alone'})"
    return found + (f"; also possible as tags: {', '.join(rivals)}" if rivals else "")
