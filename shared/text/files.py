"""Labelled texts as files hold them: CSV, TSV or JSON lines with named columns, or a folder of .txt files a class."""

import csv
import difflib
import gzip
import io
import json
import re
import sys
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.split import SPLIT_NAMES
from shared.text.tokens import normalise

Place = tuple[int, int]
SEPARATORS = {".csv": ",", ".tsv": "\t"}
TABLES = {*SEPARATORS, ".jsonl"}
TEXT_SUFFIX = ".txt"
ID, EVIDENCE = "id", "evidence"  # optional columns

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's own limit, 128 KB, is less than some reviews


@dataclass(frozen=True)
class Text:
    """One labelled text.

    Args:
        id: its column `id`, or else where it stands: `train.csv:7`.
        text: normalised.
        label: as it is written, without spaces around.
        split: train, valid or test; None where the data has no splits.
        evidence: (start, end) of the words that decide; None where the data does not say.
    """

    id: str
    text: str
    label: str
    split: str | None
    evidence: list[Place] | None = None


def read_folder(root: Path, text_column: str, label_column: str, problems: Problems) -> list[Text]:
    """All labelled texts of a file, or of the tables or the class folders in a folder.

    Args:
        problems: gets everything that is wrong, with file and line.
    """
    tables = sorted(path for path in _entries(root) if kind(path) in TABLES and path.is_file())
    if tables:
        return _read_tables(tables, text_column, label_column, problems)
    return list(_read_classes(root, problems))


def kind(path: Path) -> str:
    """The suffix in lower case, that of `.gz` left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(kind(path))


def _entries(root: Path) -> list[Path]:
    """What lies in a folder, hidden files left out; a file lies in itself."""
    found = [root] if root.is_file() else root.iterdir()
    return sorted(path for path in found if not path.name.startswith("."))


# --- tables -------------------------------------------------------------------------------------------------------


def _read_tables(tables: Sequence[Path], text_column: str, label_column: str, problems: Problems) -> list[Text]:
    splits = {path: SPLIT_NAMES.get(_stem(path)) for path in tables}
    if "train" in splits.values():
        for path in (path for path, split in splits.items() if split is None):
            problems.add(show(path), "beside train, expected only train, valid and test")
    seen: dict[str, Path] = {}
    for path, split in splits.items():
        if split and seen.setdefault(split, path) != path:
            problems.add(show(path), f"{split} is already in {seen[split].name}")
    found: list[Text] = []
    for path, split in splits.items():
        rows = read_rows(path, (text_column, label_column), problems)
        before, bad = len(found), len(problems.found)
        found += _texts(path, split, rows, text_column, label_column, problems)
        if len(found) == before and len(problems.found) == bad:
            problems.add(show(path), "no rows")
    return found


def read_rows(path: Path, wanted: Sequence[str], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of the line and the values by column of every good row; the others are noted in `problems`.

    Args:
        wanted: columns that each row must have.
    """
    content = read_text(path, problems)
    if content is None:
        return
    rows = _json_rows if kind(path) == ".jsonl" else _table_rows
    for number, row in rows(path, content, wanted, problems):
        bad = [name for name in wanted if name in row and _undecoded(row[name])]
        if bad:
            problems.add(f"{show(path)}:{number}", f"{bad[0]}: bytes that are not UTF-8")
        else:
            yield number, row


def read_text(path: Path, problems: Problems) -> str | None:
    """A whole file, unpacked if its name ends in .gz; bytes that are not UTF-8 become lone surrogates."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        problems.add(show(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    return content.decode("utf-8-sig", errors="surrogateescape")


def _undecoded(value: Any) -> bool:
    return isinstance(value, str) and not value.isascii() and re.search("[\udc80-\udcff]", value) is not None


def _json_rows(
    path: Path, content: str, wanted: Sequence[str], problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:  # RecursionError of a thousand brackets is one too deep to be a review
            problems.add(f"{show(path)}:{number}", f"not JSON: {error}")
            continue
        if not isinstance(row, dict):
            problems.add(f"{show(path)}:{number}", f"{type(row).__name__}, expected an object such as {{...}}")
        elif _has_columns(f"{show(path)}:{number}", row, wanted, problems):
            yield number, row


def _table_rows(
    path: Path, content: str, wanted: Sequence[str], problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        header, *rows = _parse(content, SEPARATORS[kind(path)])
    except csv.Error as error:
        problems.add(show(path), str(error))
        return
    except ValueError:
        problems.add(show(path), "empty, expected a header and rows")
        return
    names = [name.strip() for name in header[1]]
    if not _has_columns(f"{show(path)}:1", dict.fromkeys(names), wanted, problems):
        return
    for number, cells in rows:
        if len(cells) != len(names):
            problems.add(f"{show(path)}:{number}", f"{len(cells)} values, expected {len(names)} as in the header")
        else:
            yield number, dict(zip(names, cells, strict=True))


def _parse(content: str, separator: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, and the lines they begin in.

    A tab-separated file may hold quotation marks that quote nothing, as GLUE's do. They quote if all rows then have one
    length, unless so do all lines without quotation, and are more.
    """
    if separator == ",":
        return _rows(content, separator, csv.QUOTE_MINIMAL)
    plain = _rows(content, separator, csv.QUOTE_NONE)
    try:
        quoted = _rows(content, separator, csv.QUOTE_MINIMAL)
    except csv.Error:
        return plain
    return plain if not _even(quoted) or (_even(plain) and len(plain) > len(quoted)) else quoted


def _even(rows: list[tuple[int, list[str]]]) -> bool:
    return len({len(cells) for _, cells in rows}) == 1


def _rows(content: str, separator: str, quoting: Any) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quoting=quoting, strict=True)
    rows, begins = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"the row in line {begins}: {error}") from None
    return rows


def _has_columns(where: str, row: Mapping[str, Any], wanted: Iterable[str], problems: Problems) -> bool:
    missing = [name for name in wanted if name not in row]
    for name in missing:
        near = difflib.get_close_matches(name, row, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, row)) or 'none'}"
        problems.add(where, f"no column {name!r} (prepare.text_column, prepare.label_column); {hint}")
    return not missing


def _texts(
    path: Path,
    split: str | None,
    rows: Iterable[tuple[int, dict[str, Any]]],
    text_column: str,
    label_column: str,
    problems: Problems,
) -> Iterator[Text]:
    for number, row in rows:
        where, text, label = f"{show(path)}:{number}", row[text_column], _label(row[label_column])
        if not isinstance(text, str):
            problems.add(where, f"{text_column} is {type(text).__name__}, expected a text")
        elif not (normal := normalise(text)).strip():
            problems.add(where, f"{text_column} is empty")
        elif not label:
            problems.add(where, f"{label_column} is {json.dumps(row[label_column])[:40]}, expected a class name")
        else:
            evidence = _evidence(where, text, row.get(EVIDENCE), problems)
            yield Text(str(row.get(ID) or f"{path.name}:{number}"), normal, label, split, evidence)


def _label(value: Any) -> str:
    """A class name; the empty text where a value is none."""
    return normalise(str(value)).strip() if isinstance(value, str | int) else ""


def _evidence(where: str, text: str, spans: Any, problems: Problems) -> list[Place] | None:
    """[[start, end], ...] in the text as written -> in the normalised text."""
    if spans in (None, ""):
        return None
    try:
        spans = json.loads(spans) if isinstance(spans, str) else spans  # a cell of a table
        pairs = [(start, end) for start, end in spans]
        if all(type(start) is type(end) is int and 0 <= start < end <= len(text) for start, end in pairs):
            return [(len(normalise(text[:start])), len(normalise(text[:end]))) for start, end in pairs]
    except (ValueError, TypeError):
        pass
    problems.add(where, f"evidence {str(spans)[:40]}: expected [[start, end], ...] inside the text")
    return None


def guess_columns(root: Path) -> tuple[str, str]:
    """The columns of text and label: those of these names; else the one of the longest values and, of the others, the
    one of the fewest different values. ("text", "label") where there are no tables."""
    tables = [path for path in _entries(root) if kind(path) in TABLES and path.is_file()]
    rows = [row for path in tables[:1] for _, row in read_rows(path, (), Problems(root))]
    names = list(rows[0]) if rows else []
    text = "text" if "text" in names or not names else max(names, key=lambda name: _mean_length(rows, name))
    others = [name for name in names if name not in (text, ID, EVIDENCE)]
    if "label" in names or not others:
        return text, "label"
    return text, min(others, key=lambda name: _num_different(rows, name))


def _mean_length(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(len(str(row.get(name, ""))) for row in rows) / len(rows)


def _num_different(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """How many different values; one value alone tells nothing, and comes last."""
    different = len({str(row.get(name)) for row in rows})
    return different if different > 1 else float("inf")


# --- folders ------------------------------------------------------------------------------------------------------


def _read_classes(root: Path, problems: Problems) -> Iterator[Text]:
    for split, folder in _split_folders(root, problems):
        for class_folder in (path for path in _entries(folder) if path.is_dir()):
            files = sorted(path for path in class_folder.rglob("*") if kind(path) == TEXT_SUFFIX and path.is_file())
            if not files:
                problems.add(show(class_folder), "a class without .txt files")
            for path in files:
                yield from _read_file(root, split, _label(class_folder.name), path, problems)


def _split_folders(root: Path, problems: Problems) -> Iterator[tuple[str | None, Path]]:
    folders = [path for path in _entries(root) if path.is_dir()]
    names = [SPLIT_NAMES.get(folder.name.lower()) for folder in folders]
    if "train" not in names or any(kind(path) == TEXT_SUFFIX for path in _entries(folders[names.index("train")])):
        yield None, root
        return
    for folder, split in zip(folders, names, strict=True):
        if split is None:
            problems.add(show(folder), "beside train, expected only train, valid and test")
        else:
            yield split, folder


def _read_file(root: Path, split: str | None, label: str, path: Path, problems: Problems) -> Iterator[Text]:
    content = read_text(path, problems)
    if content is None:
        return
    if _undecoded(content):
        problems.add(show(path), "bytes that are not UTF-8")
    elif not (normal := normalise(content)).strip():
        problems.add(show(path), "empty")
    else:
        name = unicodedata.normalize("NFC", path.relative_to(root).as_posix())
        yield Text(name, normal, label, split)
