"""Tables of any data as files hold them: CSV, TSV and JSON lines with named columns, gzipped (.gz) or not.

Reading goes on after what is wrong, which is noted with file and line.
"""

import csv
import difflib
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.folder import visible
from shared.data.split import SPLIT_NAMES

SEPARATORS = {".csv": ",", ".tsv": "\t"}
TABLES = {*SEPARATORS, ".jsonl"}
ID = "id"  # an optional column

Lines = Iterator[tuple[int, dict[str, Any]]]  # the number of the line that a row begins in, and its values by column


class Row(NamedTuple):
    """One row of a table.

    Args:
        where: its file and line, for messages.
        id: its column `id`, or else its place: `train.csv:7`.
        split: train, valid or test, by the name of its file; None where that says nothing.
        values: by column, those of CSV and TSV as strings.
    """

    where: str
    id: str
    split: str | None
    values: dict[str, Any]


def find_tables(root: Path) -> list[Path]:
    """The tables in a folder, or the file itself if it is one."""
    paths = [root] if root.is_file() else visible(root)
    return [path for path in paths if suffix_of(path) in TABLES and path.is_file()]


def read_tables(paths: Sequence[Path], wanted: Mapping[str, str], problems: Problems) -> list[Row]:
    """The good rows of several tables.

    Args:
        wanted: columns that each row must have -> the param that names the column.
        problems: gets everything else, also two files of one split, a file beside train that names no split, no rows.
    """
    splits = {path: SPLIT_NAMES.get(_unpacked(path).stem) for path in paths}
    seen: dict[str, Path] = {}
    for path, split in splits.items():
        if split is None and "train" in splits.values():
            problems.add(show(path), "beside train, expected only train, valid and test")
        elif split and seen.setdefault(split, path) != path:
            problems.add(show(path), f"{split} is already in {seen[split].name}")
    found: list[Row] = []
    for path, split in splits.items():
        before = len(found), len(problems.found)
        for number, values in read_rows(path, wanted, problems):
            place = f"{path.name}:{number}"
            found.append(Row(f"{show(path)}:{number}", str(values.get(ID) or place), split, values))
        if before == (len(found), len(problems.found)):
            problems.add(show(path), "no rows")
    return found


def read_rows(path: Path, wanted: Mapping[str, str], problems: Problems) -> Lines:
    """The good rows of one table; see `read_tables`."""
    content = read_text(path, problems)
    if content is None:
        return
    rows = _json_rows if suffix_of(path) == ".jsonl" else _csv_rows
    for number, row in rows(path, content, wanted, problems):
        bad = [name for name in wanted if isinstance(row[name], str) and not is_utf8(row[name])]
        if bad:
            problems.add(f"{show(path)}:{number}", f"{bad[0]}: bytes that are not UTF-8")
        else:
            yield number, row


def suffix_of(path: Path) -> str:
    """The suffix in lower case, that of `.gz` left out.

    >>> suffix_of(Path("Reviews.CSV.gz"))
    '.csv'
    """
    return _unpacked(path).suffix


def _unpacked(path: Path) -> Path:
    return Path(path.name.lower().removesuffix(".gz"))


def read_text(path: Path, problems: Problems) -> str | None:
    """A whole file, unpacked if its name ends in .gz; bytes that are not UTF-8 become lone surrogates (`is_utf8`)."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        problems.add(show(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    return content.decode("utf-8-sig", errors="surrogateescape")


def is_utf8(text: str) -> bool:
    """Whether all bytes of a text from `read_text` could be decoded."""
    return text.isascii() or re.search("[\udc80-\udcff]", text) is None


def _json_rows(path: Path, content: str, wanted: Mapping[str, str], problems: Problems) -> Lines:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{show(path)}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:  # too many nested brackets raise RecursionError, which no data need
            problems.add(where, f"not JSON: {error}")
            continue
        if not isinstance(row, dict):
            problems.add(where, f"{type(row).__name__}, expected an object such as {{...}}")
        elif _has_columns(where, list(row), wanted, problems):
            yield number, row


def _csv_rows(path: Path, content: str, wanted: Mapping[str, str], problems: Problems) -> Lines:
    try:
        rows = _parse(content, SEPARATORS[suffix_of(path)])
    except csv.Error as error:
        problems.add(show(path), str(error))
        return
    if not rows:
        problems.add(show(path), "empty, expected a header and rows")
        return
    names = [name.strip() for name in rows[0][1]]
    if not _has_columns(f"{show(path)}:1", names, wanted, problems):
        return
    for number, cells in rows[1:]:
        if len(cells) != len(names):
            problems.add(f"{show(path)}:{number}", f"{len(cells)} values, expected {len(names)} as in the header")
        else:
            yield number, dict(zip(names, cells, strict=True))


def _parse(content: str, separator: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, and the lines they begin in.

    A tab-separated file may hold quotation marks that quote nothing, as GLUE's do. They count as quotes if all rows
    then have one length, unless that is also true without them, with more rows.
    """
    if separator == ",":
        return _split(content, separator, csv.QUOTE_MINIMAL)
    plain = _split(content, separator, csv.QUOTE_NONE)
    try:
        quoted = _split(content, separator, csv.QUOTE_MINIMAL)
    except csv.Error:
        return plain
    return plain if not _even(quoted) or (_even(plain) and len(plain) > len(quoted)) else quoted


def _even(rows: list[tuple[int, list[str]]]) -> bool:
    return len({len(cells) for _, cells in rows}) == 1


def _split(content: str, separator: str, quoting: Any) -> list[tuple[int, list[str]]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's own limit, 128 KB, is less than some reviews
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


def _has_columns(where: str, names: Sequence[str], wanted: Mapping[str, str], problems: Problems) -> bool:
    missing = [name for name in wanted if name not in names]
    for name in missing:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, names)) or 'none'}"
        problems.add(where, f"no column {name!r} ({wanted[name]}); {hint}")
    return not missing
