"""Interactions of users with items as files hold them: user, item and, where known, rating and time, a row each.

Text with , ; | tab, :: or white space between the fields, gzipped (.gz) or not, with a header or without; Parquet. All
that is wrong is noted with file and row, what was guessed goes to the notes. Rows are streamed (polars): what has to
fit into memory is the result.

**Ids are strings.** Characters are compared, not numbers: 7 and 007 are two users. There is one exception, stated where
it is applied: a column of whole numbers of which some end in `.0` has been through floats, and loses its `.0`. A number
with an exponent (1.23E+15), or with `.0` after more than 15 digits, has lost digits and is refused.
"""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

import polars as pl

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import visible
from shared.data.source import NOTE

FIELDS = "user", "item", "rating", "time"
PEOPLE = "user", "customer", "reviewer", "member", "visitor", "session"
THINGS = "item", "movie", "product", "book", "track", "song", "artist", "article", "video", "anime", "game"
NAMES: dict[str, Sequence[str]] = {  # of columns, in lower case, letters and digits alone
    "user": [*PEOPLE, *(f"{one}id" for one in PEOPLE), "uid"],
    "item": [*THINGS, *(f"{one}id" for one in THINGS), "iid", "asin", "isbn", "sku"],
    "rating": ["rating", "ratings", "score", "stars", "value", "overall"],
    "time": ["timestamp", "time", "date", "datetime", "ts", "when", "createdat", "unixreviewtime"],
}
SUFFIXES = {".csv", ".tsv", ".txt", ".data", ".dat", ".inter", ".item", ".parquet"}
OTHERS = {"tag", "tags", "links", "readme", "genome"}  # words of file names
RATED = {"rating", "ratings", "interactions", "data"}
UNITS = "in seconds", "in milliseconds", "in microseconds", "in nanoseconds", "written as text"
HEAD = 20  # lines that the form is recognised by
LISTED = 1000  # rows of a file that are named: more are counted


@dataclass(frozen=True)
class Form:
    """How a table is read.

    Args:
        separator: "" for white space.
        names: of its columns; without a header 1, 2, ...
        header: number of the line that it is in; 0 for none; -1 where the names are in the schema (Parquet).
        fields: field -> position of its column.
    """

    separator: str
    names: list[str]
    header: int
    fields: dict[str, int]


def find_files(root: Path) -> list[Path]:
    """Files that may hold a table: the file itself, or those in a folder."""
    paths = [root] if root.is_file() else [path for path in visible(root) if path.name != NOTE]
    return [path for path in paths if path.is_file() and suffix_of(path) in SUFFIXES]


def suffix_of(path: Path) -> str:
    """Of `ratings.csv.gz` .csv."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def split_lines(lines: Sequence[str], separator: str) -> list[list[str]]:
    """The fields of each row that is not empty; quoted ones may hold the separator and line ends."""
    rows: Iterable[list[str]] = (line.split(separator or None) for line in lines)
    if len(separator) == 1:
        rows = csv.reader(lines, delimiter=separator)
    return [[one.strip() for one in row] for row in rows if row]


def separator_of(lines: Sequence[str]) -> str:
    """What divides the fields of these lines: of :: tab , ; | that which gives most of them the same number of fields,
    at least two; the first of several; "", any white space, where none does so for half of the lines.

    >>> separator_of(["1::31::4.0", "2::7::3.5"]), separator_of(["196 242 3", "7  8  4"])
    ('::', '')
    """
    agreeing = {"": len(lines) / 2 - 0.5}
    for separator in ("::", "\t", ",", ";", "|"):
        counts = Counter(map(len, split_lines(lines, separator)))
        agreeing[separator] = max((number for fields, number in counts.items() if fields > 1), default=0)
    return max(agreeing, key=lambda separator: agreeing[separator])


def form_of(path: Path, columns: Mapping[str, str]) -> Form:
    """How a table is read, by its first lines.

    A header is a first row with the name of a field, or one without any number above rows that have some. Without a
    header two to four columns are user, item, rating, time in this order; a third and last column of numbers above a
    million is a time.

    Args:
        columns: field -> name of its column, or its number where there is no header; "" or missing: recognised, but
            without a header only where all are.

    Raises:
        OSError, polars.exceptions.PolarsError: it cannot be read.
    """
    if suffix_of(path) == ".parquet":
        names = list(pl.read_parquet_schema(path))
        return Form("", names, -1, named_fields(names, columns))
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as raw:
        lines = [line.decode("utf-8-sig", errors="replace") for line in islice(raw, HEAD)]
    start = next((number for number, line in enumerate(lines) if line.strip()), 0)
    separator = separator_of(lines[start:])
    first, *rest = split_lines(lines[start:], separator) or [[]]
    fields = named_fields(first, columns)
    counted = [[str(number + start) for number in range(len(first))] for start in (0, 1)]  # names that pandas gives
    if any(map(str.isdigit, columns.values())) and any(map(is_number, first)) and first not in counted:
        fields = {}  # numbers of columns: a first row of data may hold the same ones
    if fields or (not any(map(is_number, first)) and any(any(map(is_number, row)) for row in rest)):
        return Form(separator, first, start + 1, fields)
    names = [str(number) for number in range(1, len(first) + 1)]
    if any(columns.values()):
        fields = {one: names.index(columns[one]) for one in FIELDS if columns.get(one) in names}
    elif len(first) == 3 and all(is_number(row[2]) and float(row[2]) > 1e6 for row in (first, *rest) if len(row) == 3):
        fields = {"user": 0, "item": 1, "time": 2}
    elif 2 <= len(first) <= len(FIELDS):
        fields = {one: place for place, one in enumerate(FIELDS[: len(first)])}
    return Form(separator, names, 0, fields)


def named_fields(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Which columns hold the fields, by the params, or else by their names: userId, user_id and user_id:token are the
    user's."""
    plain = [re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower()) for name in names]
    found = {}
    for one in FIELDS:
        wanted = [name == columns[one] for name in names] if columns.get(one) else [p in NAMES[one] for p in plain]
        if any(wanted):
            found[one] = wanted.index(True)
    return found


def is_number(text: str) -> bool:
    """Whether float() reads it."""
    with suppress(ValueError):
        float(text)
        return True
    return False


def kind_of(path: Path, form: Form) -> Literal["interactions", "items", "other"]:
    """What a table holds, by its columns; by the words of its name where these do not say."""
    words = set(re.split(r"[^a-z]+", path.name.lower()))
    if words & OTHERS:
        return "other"
    if not {"user", "item"} <= form.fields.keys():
        return "items" if form.header and "item" in form.fields else "other"
    plain = {word.removesuffix("s") for word in words}
    of_one_kind = bool(plain & set(PEOPLE)) != bool(plain & set(THINGS)) and not words & RATED
    return "other" if of_one_kind and not form.header else "interactions"


@contextmanager
def reading(path: Path, problems: Problems) -> Iterator[None]:
    """Notes a file that cannot be read."""
    try:
        yield
    except (OSError, EOFError, zlib.error, csv.Error, pl.exceptions.PolarsError) as error:
        said = str(error).splitlines()[0]
        problems.add(show(path), "not UTF-8: save it as CSV UTF-8" if "utf-8" in said else f"cannot be read: {said}")


def note_missing(path: Path, form: Form, columns: Mapping[str, str], problems: Problems) -> None:
    """Notes the columns that a table does not have, of user, item and those that params name."""
    for one in FIELDS:
        if one not in form.fields and (one in ("user", "item") or columns.get(one)):
            wanted = repr(columns[one]) if columns.get(one) else f"such as {', '.join(NAMES[one][:3])}"
            has = f"its columns are {', '.join(form.names)}"
            problems.add(show(path), f"no column of the {one} ({wanted}); {has}; prepare.{one}_column names it")


def scan(path: Path, form: Form) -> pl.LazyFrame:
    """All rows that are not empty: `row`, its number in the file, and as strings without space around them, null where
    empty, the columns "0", "1", ... and one more, which holds what is in a row beyond its columns."""
    numbers = range(len(form.names) + 1)
    if suffix_of(path) == ".parquet":
        frame = pl.scan_parquet(path)
        kinds = frame.collect_schema().items()
        shown = {str(n): as_text(name, kind) for n, (name, kind) in enumerate(kinds)}
        frame = frame.select(**shown, **{str(numbers[-1]): pl.lit(None, pl.String)}).with_row_index("row", 1)
    elif len(form.separator) == 1:
        frame = pl.scan_csv(
            path, has_header=False, separator=form.separator, schema={str(n): pl.String for n in numbers},
            row_index_name="row", row_index_offset=1, extra_columns="ignore", missing_columns="insert",
        )  # fmt: skip
    else:
        line = pl.col("line").str.strip_chars("\ufeff")
        parts = line.str.split(form.separator) if form.separator else line.str.extract_all(r"\S+")
        lines = pl.scan_lines(path, name="line", row_index_name="row", row_index_offset=1)
        frame = lines.select("row", *(parts.list.get(n, null_on_oob=True).alias(str(n)) for n in numbers))
    texts = pl.col([str(n) for n in numbers])
    frame = frame.with_columns(texts.str.strip_chars()).with_columns(texts.replace("", None))
    return frame.filter(pl.col("row") > max(form.header, 0), pl.any_horizontal(texts.is_not_null()))


def as_text(name: str, kind: pl.DataType) -> pl.Expr:
    """A column of a Parquet file as a CSV file would have it; whole numbers keep all digits, whatever their size."""
    if kind.is_nested():
        return pl.lit(None, pl.String)
    column = pl.col(name)
    if isinstance(kind, pl.Date | pl.Datetime):
        column = column.cast(pl.Datetime("us")).dt.epoch("s")
    return column.cast(pl.String, strict=False)


def read_interactions(path: Path, form: Form, problems: Problems, notes: Problems) -> pl.DataFrame:
    """The good rows of one file: user and item as Enum, whose categories are the ids in order, and where the file has
    them rating (Float32) and time (Int64, in the unit of the file).

    Args:
        problems: gets each row that is wrong: too many fields, an empty field, a rating or time that is none.
        notes: what was guessed.
    """
    read_as = ", ".join(f"{one} = {form.names[place]}" for one, place in form.fields.items())
    notes.add(show(path), read_as if form.header else f"no header; column: {read_as}")
    frame = scan(path, form).rename({str(place): one for one, place in form.fields.items()})
    wrong = [pl.when(pl.col(str(len(form.names))).is_not_null()).then(pl.lit(f"more than {len(form.names)} fields"))]
    wrong += [pl.when(pl.col(one).is_null()).then(pl.lit(f"no {one}")) for one in form.fields]
    values = [pl.col("user"), pl.col("item")]
    if "rating" in form.fields:
        rating = pl.col("rating").cast(pl.Float64, strict=False)
        said = pl.format("rating '{}', expected a number", "rating")
        wrong.append(pl.when(~rating.is_finite().fill_null(False)).then(said))
        values.append(rating.cast(pl.Float32))
    if "time" in form.fields:
        time, unit = moments(pl.col("time"))
        said = pl.format("time '{}', expected seconds since 1970, or 2024-05-31", "time")
        wrong.append(pl.when(time.is_null()).then(said))
        values += [time.alias("time"), unit.alias("unit")]
    found = frame.select("row", *values, pl.coalesce(wrong).alias("wrong")).collect(engine="streaming")
    bad = found.filter(pl.col("wrong").is_not_null()).sort("row")
    for row, what in bad.head(LISTED).select("row", "wrong").iter_rows():
        problems.add(f"{show(path)}:{row}", what)
    if len(bad) > LISTED:
        problems.add(show(path), f"{len(bad) - LISTED:,} more rows of this kind")
    good = found.filter(pl.col("wrong").is_null()).drop("wrong")
    if found.is_empty():
        problems.add(show(path), "no rows")
    if "unit" in good.columns:
        check_units(show(path), good, problems, notes)
    ids = [plain_ids(show(path), good[one], problems, notes) for one in ("user", "item")]
    return good.select(*ids, *(one for one in ("rating", "time") if one in form.fields))


def moments(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Times as text -> as numbers, seconds where they are written as text, null where they are none; and their unit, a
    position in UNITS: seconds up to the year 5138, and so on by the number of digits."""
    number = pl.coalesce(
        text.cast(pl.Int64, strict=False), text.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    )
    written = pl.when(number.is_null()).then(text).map_elements(seconds_of, return_dtype=pl.Int64)
    unit = sum((number.abs() >= 10**digits).cast(pl.Int8) for digits in (11, 14, 17))
    return pl.coalesce(number, written), pl.coalesce(unit, pl.lit(len(UNITS) - 1, pl.Int8))


def seconds_of(text: str) -> int | None:
    """
    >>> seconds_of("1970-01-02"), seconds_of("soon")
    (86400, None)
    """
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    return None


def check_units(where: str, rows: pl.DataFrame, problems: Problems, notes: Problems) -> None:
    """Times in several units are a problem, other ones than seconds a note."""
    units = rows.group_by("unit").agg(pl.len(), pl.col("row").min()).sort("row").rows()
    if len(units) > 1:
        said = ", ".join(f"{count:,} {UNITS[unit]} (first in row {row})" for unit, count, row in units)
        problems.add(where, f"times in several units: {said}; expected one")
    elif units and units[0][0]:
        notes.add(where, f"times are {UNITS[units[0][0]]}")


def plain_ids(where: str, column: pl.Series, problems: Problems, notes: Problems) -> pl.Series:
    """Ids as Enum, by the rules above."""
    ids = column.unique()
    if len(ids) and ids.str.contains(r"^[0-9]+(\.0+)?$|^[0-9.]+[eE]\+?[0-9]+$").all():
        lost = ids.filter(ids.str.contains(r"[eE]|[0-9]{16}\.0+$")).sort()
        if len(lost):
            what = f"{column.name} {lost[0]!r} and {len(lost) - 1:,} more are numbers that have lost digits"
            problems.add(where, f"{what}, expected ids with all their digits, or other characters in them")
        elif ids.str.contains(".", literal=True).any():
            column = column.str.replace(r"\.0+$", "")
            notes.add(where, f"{column.name}s are whole numbers that were floats once: their .0 is dropped")
    return column.cast(pl.Enum(column.unique().sort()))


@dataclass(frozen=True)
class ItemTable:
    """What is known of items: id -> title, and id -> tokens such as `comedy`."""

    titles: dict[str, str]
    tokens: dict[str, list[str]]

    def add(self, other: "ItemTable") -> None:
        """Adds what another table says: the tokens, and a title, which counts where both have one."""
        self.titles.update(other.titles)
        for one, tokens in other.tokens.items():
            self.tokens.setdefault(one, []).extend(tokens)


def read_items(path: Path, form: Form, notes: Problems) -> ItemTable:
    """A table of items with a header: the id, the title (the first column whose name ends in title or name), and tokens
    of all other columns: parts between | , or else words, in lower case. An item may have several rows."""
    title = next((n for n, name in enumerate(form.names) if re.search(r"(title|name)\b", name.lower())), None)
    others = [n for n in range(len(form.names)) if n not in (form.fields["item"], title)]
    found = ItemTable({}, {})
    for row in scan(path, form).drop("row").collect().iter_rows():
        if one := row[form.fields["item"]]:
            titles = {one: row[title]} if title is not None and row[title] else {}
            found.add(ItemTable(titles, {one: [token for n in others for token in tokens_of(row[n] or "")]}))
    notes.add(
        show(path), f"{len(found.tokens):,} items with {', '.join(form.names[n] for n in others) or 'no features'}"
    )
    return found


def tokens_of(text: str) -> list[str]:
    """
    >>> tokens_of("Sci-Fi|Film-Noir"), tokens_of("A quiet, grey town")
    (['sci-fi', 'film-noir'], ['a', 'quiet', 'grey', 'town'])
    """
    if "|" in text:
        return [part.strip().lower() for part in text.split("|") if part.strip()]
    return re.findall(r"[\w'-]+", text.lower())
