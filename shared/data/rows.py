"""Tables of any data as files hold them: CSV, TSV, JSON lines and JSON lists with named columns, gzipped (.gz) or not.

Reading goes on after what is wrong, which is noted with file and line. What was guessed (an encoding, a table without
column names) goes to the notes.
"""

import codecs
import csv
import difflib
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import visible
from shared.data.archive import is_archive
from shared.data.source import NOTE
from shared.data.split import SPLIT_NAMES

SEPARATORS = {".csv": ",", ".tsv": "\t"}  # tried first
ANY_SEPARATOR = ",;\t|"  # Excel writes what the country's decimal comma leaves free
JSON = ".json"
TABLES = {*SEPARATORS, ".jsonl", JSON}
ID = "id"  # an optional column
ADVICE = {  # forms of tables that are not read -> what to do
    ".xlsx": "an Excel workbook: save it as CSV UTF-8",
    ".xls": "an Excel workbook: save it as CSV UTF-8",
    ".ods": "a spreadsheet: save it as CSV",
    ".parquet": "Parquet: pandas.read_parquet(...).to_csv(..., index=False) makes it a CSV",
}
PACKED = (".7z", ".rar", ".bz2", ".xz")  # besides what is_archive knows
WINDOWS = "windows-1252"
BYTE_ORDER_MARKS = {  # in this order: that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Within a word, what only a wrong encoding puts there: capitals, and characters that are no letters
_MISREAD = re.compile(
    "[a-z\xdf-\xff][\xc0-\xd6\xd8-\xde\u0152\u0160\u0178\u017d]|[A-Z][\xc0-\xd6\xd8-\xde\u0152\u0160\u0178\u017d][a-z]"
    r"|[^\W\d_][\xa1-\xa9\xab\xac\xae-\xb4\xb6\xb8\xb9\xbb-\xbf\xd7\xf7\u02c6\u02dc\u201a\u201e\u2020\u2021\u2030\u2039\u203a\u2122][^\W\d_]"
)


Lines = Iterator[tuple[int, dict[str, Any]]]  # the number of the line that a row begins in, and its values by column


class Row(NamedTuple):
    """One row of a table.

    Args:
        where: its file and line (in a JSON list its number), for messages.
        id: its column `id`, or else its place: `train.csv:7`.
        split: train, valid or test, by the name of its file; None where that says nothing.
        values: by column, those of CSV and TSV as strings.
    """

    where: str
    id: str
    split: str | None
    values: dict[str, Any]


def find_tables(root: Path) -> list[Path]:
    """The tables in a folder, or the file itself if it is one. Beside others, a .json file without the name of a split
    is none: it describes them."""
    paths = [root] if root.is_file() else [path for path in visible(root) if path.name != NOTE]
    found = [path for path in paths if suffix_of(path) in TABLES and path.is_file()]
    return [path for path in found if suffix_of(path) != JSON or split_of(path)] or found


def find_unread(root: Path) -> Iterator[tuple[Path, str]]:
    """Files of a form that is not read, a file itself or those in a folder, and what to do with each."""
    for path in [root] if root.is_file() else visible(root):
        if is_archive(path) or path.suffix.lower() in PACKED:
            yield path, "packed: unpack it, and take the file or folder inside"
        elif path.suffix.lower() in ADVICE:
            yield path, ADVICE[path.suffix.lower()]


def read_tables(
    paths: Sequence[Path], wanted: Mapping[str, str], problems: Problems, notes: Problems | None = None
) -> list[Row]:
    """The good rows of several tables.

    Args:
        wanted: columns that each row must have -> the param that names the column.
        problems: gets everything else, also two files of one split, a file beside train that names no split, no rows.
        notes: see `read_text`.
    """
    splits = {path: split_of(path) for path in paths}
    seen: dict[str, Path] = {}
    for path, split in splits.items():
        if split is None and "train" in splits.values():
            problems.add(show(path), "beside train, expected only train, valid and test")
        elif split and seen.setdefault(split, path) != path:
            problems.add(show(path), f"{split} is already in {seen[split].name}")
    found: list[Row] = []
    for path, split in splits.items():
        before = len(found), len(problems.found)
        for number, values in read_rows(path, wanted, problems, notes):
            place = f"{path.name}:{number}"
            found.append(Row(f"{show(path)}:{number}", str(values.get(ID) or place), split, values))
        if before == (len(found), len(problems.found)):
            problems.add(show(path), "no rows")
        elif len(found) == before[0] and split in ("valid", "test"):
            problems.add(show(path), f"no row can be used; leave the file out, and {split} is drawn from train")
    return found


def read_rows(path: Path, wanted: Mapping[str, str], problems: Problems, notes: Problems | None = None) -> Lines:
    """The good rows of one table; see `read_tables`."""
    content = read_text(path, problems, notes)
    if content is None:
        return
    rows = _csv_rows if suffix_of(path) in SEPARATORS else _json_rows
    for number, row in rows(path, content, wanted, problems, notes or Problems("")):
        bad = [name for name in wanted if isinstance(row[name], str) and not is_utf8(row[name])]
        if bad:
            halves = "" if rows is _csv_rows else ", or half of a surrogate pair such as \\ud83d"
            problems.add(
                f"{show(path)}:{number}", f"{bad[0]}: bytes that are not UTF-8{halves}; save the file as UTF-8"
            )
        else:
            yield number, row


def suffix_of(path: Path) -> str:
    """The suffix in lower case, that of `.gz` left out.

    >>> suffix_of(Path("Reviews.CSV.gz"))
    '.csv'
    """
    return _unpacked(path).suffix


def split_of(path: Path) -> str | None:
    """The split that a file's name says: train, valid or test.

    >>> split_of(Path("Val.csv.gz")), split_of(Path("reviews.csv"))
    ('valid', None)
    """
    return SPLIT_NAMES.get(_unpacked(path).stem)


def _unpacked(path: Path) -> Path:
    return Path(path.name.lower().removesuffix(".gz"))


# --- encodings ----------------------------------------------------------------------------------------------------


def read_text(path: Path, problems: Problems, notes: Problems | None = None) -> str | None:
    """A whole file, unpacked if its name ends in .gz: UTF-8, or UTF-16 or UTF-32 as Windows writes them.

    Bytes that are not UTF-8 become lone surrogates (`is_utf8`).

    Args:
        problems: gets a file that cannot be read.
        notes: get a file that is read as Western European Windows wrote it; None: its bytes are not UTF-8.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
        if encoding := _wide_encoding(content):
            return content.decode(encoding)
    except (OSError, EOFError, zlib.error) as error:
        problems.add(show(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    except UnicodeDecodeError as error:
        problems.add(show(path), f"begins as {error.encoding}, but byte {error.start + 1} is not; save it as UTF-8")
        return None
    text = content.decode("utf-8-sig", errors="surrogateescape")
    if notes is not None and (words := _windows_words(text)):
        notes.add(show(path), f"not UTF-8: read as {WINDOWS}, which gives {', '.join(words[:3])}")
        return content.decode(WINDOWS)
    return text


def _wide_encoding(content: bytes) -> str | None:
    """UTF-16 or UTF-32, by its byte order mark, or by a first character of two bytes; else None."""
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    if marked or b"\0" not in content[:2]:
        return marked
    return "utf-16-be" if content[0] == 0 else "utf-16-le"


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can encode a text: not where bytes from `read_text` could not be decoded, nor where JSON escapes
    half of a surrogate pair."""
    return text.isascii() or re.search("[\ud800-\udfff]", text) is None


def _windows_words(text: str) -> list[str]:
    """The words with bytes that are not UTF-8, as Western European Windows wrote them.

    None where some bytes are UTF-8, and where no words come out: Cyrillic, Greek and Asian encodings give words of
    accents alone; Polish ones, DOS and old Macs give capitals and other characters within words.
    """
    if is_utf8(text) or re.search("[^\x00-\x7f\udc80-\udcff]", text):
        return []
    words = " ".join(dict.fromkeys(re.findall("[^ \t\r\n]*[\udc80-\udcff][^ \t\r\n]*", text)))
    try:
        decoded = words.encode(errors="surrogateescape").decode(WINDOWS)
    except UnicodeDecodeError:
        return []
    letters = [char for char in decoded if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters)
    if 2 * foreign > len(letters) or _MISREAD.search(decoded):
        return []
    return re.findall(r"\w*[^\W\x00-\x7f]\w*", decoded) or decoded.split(" ")


# --- JSON ---------------------------------------------------------------------------------------------------------


def _json_rows(path: Path, content: str, wanted: Mapping[str, str], problems: Problems, notes: Problems) -> Lines:
    rows: Iterable[tuple[int, Any]] = _json_lines(path, content, problems)
    if suffix_of(path) == JSON or content.lstrip()[:1] == "[":
        with suppress(ValueError):  # of lines, it is not one document
            items = _records(json.loads(content))
            if all(isinstance(item, dict) for item in items) or suffix_of(path) == JSON:
                rows = enumerate(items, 1)
    for number, row in rows:
        where = f"{show(path)}:{number}"
        if not isinstance(row, dict):
            problems.add(where, f"{type(row).__name__}, expected an object such as {{...}}")
        elif _has_columns(where, list(row), wanted, problems):
            yield number, row


def _json_lines(path: Path, content: str, problems: Problems) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content.split("\n"), 1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except ValueError as error:  # too many nested brackets raise RecursionError, which no data need
            problems.add(f"{show(path)}:{number}", f"not JSON: {error}")


def _records(tree: Any) -> list[Any]:
    """The rows of a JSON document: a list; the only list of objects under a key; or columns as pandas writes them.

    >>> _records({"text": {"0": "Great", "1": "Poor"}, "stars": {"0": 5, "1": 1}})
    [{'text': 'Great', 'stars': 5}, {'text': 'Poor', 'stars': 1}]
    """
    if not isinstance(tree, dict):
        return tree if isinstance(tree, list) else [tree]
    values = list(tree.values())
    if values and all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values):
        return [dict(zip(tree, cells, strict=True)) for cells in zip(*(v.values() for v in values), strict=True)]
    lists = [value for value in values if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists[0] if len(lists) == 1 else [tree]


# --- CSV and TSV --------------------------------------------------------------------------------------------------

Cells = list[tuple[int, list[str]]]  # the number of the line that each row begins in, and its cells


def _csv_rows(path: Path, content: str, wanted: Mapping[str, str], problems: Problems, notes: Problems) -> Lines:
    try:
        rows = _parse(content, SEPARATORS[suffix_of(path)], wanted)
    except csv.Error as error:
        problems.add(show(path), str(error))
        return
    if not rows:
        problems.add(show(path), "empty, expected a header and rows")
        return
    header = [name.strip() for name in rows[0][1]]
    names = _column_names(header, [cells for _, cells in rows], wanted)
    if names != header:
        found = ", ".join(map(repr, names))
        if not set(wanted) <= set(names):
            params = " and ".join(wanted.values())
            problems.add(
                f"{show(path)}:1", f"a row, expected the names of columns: add them, or choose {params} of {found}"
            )
            return
        notes.add(show(path), f"begins with a row, not with the names of columns: they are called {found}")
    elif not _has_columns(f"{show(path)}:1", names, wanted, problems):
        return
    for number, cells in rows if names != header else rows[1:]:
        if len(cells) != len(names):
            problems.add(f"{show(path)}:{number}", f"{len(cells)} values, expected {len(names)} as in the header")
        elif cells == rows[0][1] and names == header:
            problems.add(f"{show(path)}:{number}", "the names of the columns again, expected a row")
        else:
            yield number, dict(zip(names, cells, strict=True))


def _parse(content: str, own: str, wanted: Mapping[str, str]) -> Cells:
    """Rows that are not blank, separated as the suffix says, unless another separator gives the wanted columns, or the
    only header of several columns, or the only rows of one length. Excel's own first line, `sep=;`, is obeyed."""
    if says := re.match(r"sep=(.)(?=\r?\n)", content, re.IGNORECASE):
        return _rows(content[says.end() :], says[1])
    heads = {separator: _head(content, separator) for separator in dict.fromkeys(own + ANY_SEPARATOR)}
    fitting = [separator for separator, names in heads.items() if wanted and set(wanted) <= set(names)]
    fitting = fitting or [separator for separator, names in heads.items() if len(names) > 1] or [own]
    line = content.lstrip("\r\n").partition("\n")[0]
    fitting.sort(key=lambda separator: line.count(separator) == line.count(f"{separator} "))  # those of prose last
    found: list[Cells] = []
    errors = []
    for separator in fitting:
        try:
            found.append(_rows(content, separator))
            if _even(found[-1]):
                return found[-1]
        except csv.Error as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found[0]


def _head(content: str, separator: str) -> list[str]:
    """The cells of the first row; none where this cannot be the separator."""
    with suppress(csv.Error):
        rows = csv.reader(io.StringIO(content[: 1 << 20], newline=""), delimiter=separator, strict=True)
        return [cell.strip() for cell in next(filter(None, rows), [])]
    return []


def _rows(content: str, separator: str) -> Cells:
    """The rows between separators.

    A tab-separated file may hold quotation marks that quote nothing, as GLUE's do. They count as quotes if all rows
    then have one length, unless that is also true without them, with more rows. In other tables a backslash before a
    quotation mark, as Spark and MySQL write it, is read where a doubled mark does not fit.
    """
    try:
        quoted = _split(content, separator)
    except csv.Error:
        if separator == "\t":
            return _split(content, separator, quoting=csv.QUOTE_NONE)
        with suppress(csv.Error):
            escaped = _split(content, separator, escapechar="\\", doublequote=False)
            if '\\"' in content and _even(escaped):
                return escaped
        raise
    if separator != "\t":
        return quoted
    plain = _split(content, separator, quoting=csv.QUOTE_NONE)
    return plain if not _even(quoted) or (_even(plain) and len(plain) > len(quoted)) else quoted


def _even(rows: Cells) -> bool:
    return len({len(cells) for _, cells in rows}) == 1


def _split(content: str, separator: str, **form: Any) -> Cells:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's own limit, 128 KB, is less than some reviews
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True, **form)
    rows, begins = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"the row in line {begins}: {error}") from None
    return rows


def _column_names(header: list[str], rows: Sequence[Sequence[str]], wanted: Mapping[str, str]) -> list[str]:
    """The header; or "1", "2", ... if it is a row of data, or those are wanted and not its names."""
    numbers = [str(number) for number in range(1, len(header) + 1)]
    if wanted and set(wanted) <= set(header):
        return header
    return numbers if (wanted and set(wanted) <= set(numbers)) or _begins_with_data(rows) else header


def _begins_with_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names nothing: its longest column holds a text there as long as those below, and in another
    column it has what comes again below, such as a class, or a number above numbers."""
    first, others = rows[0], [row for row in islice(rows, 1, None) if len(row) == len(rows[0])]
    if not others:
        return False
    columns = list(zip(*others, strict=True))
    longest = max(range(len(first)), key=lambda place: sum(map(len, columns[place])))
    if 2 * len(first[longest]) < sorted(map(len, columns[longest]))[len(others) // 2]:
        return False
    short = [pair for place, pair in enumerate(zip(first, columns, strict=True)) if place != longest]
    return any(
        cell.strip() and (cell in column or (_is_number(cell) and all(map(_is_number, column))))
        for cell, column in short
    )


def _is_number(cell: str) -> bool:
    return re.fullmatch(r" *[+-]?[0-9]+([.,][0-9]+)? *", cell) is not None


def _has_columns(where: str, names: Sequence[str], wanted: Mapping[str, str], problems: Problems) -> bool:
    missing = [name for name in wanted if name not in names]
    for name in missing:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, names)) or 'none'}"
        problems.add(where, f"no column {name!r} ({wanted[name]}); {hint}")
    twice = [name for name in wanted if names.count(name) > 1]
    for name in twice:
        problems.add(where, f"{names.count(name)} columns {name!r}, expected one")
    return not missing and not twice
