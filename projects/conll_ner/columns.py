"""A word a row, in columns -> texts with their words: CoNLL and what resembles it, tables, JSON with lists of words.

Which column holds the word and which the tag is found from the values of all files of one width, and said.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.core.errors import Problems
from shared.text.tokens import normalise

from .cutting import Mark, Text, written
from .tags import EXPECTED, OUTSIDE, entities, faults, read_tag, recognise

DOCUMENT = "-DOCSTART-"
MOST_ILLEGAL = 0.05  # of a file's tags that are not O: with more, the file mixes schemes
MOST_TYPES = 50  # in a column of types without prefixes
TYPES_ALONE = "types without B- and I-"
WORD_NAMES = {"word", "words", "token", "tokens", "form"}
TAG_NAMES = {"tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "bio", "iob", "entity"}
SENTENCE_NAMES = {"sentence #", "sentence", "sentence_id", "sentence_idx", "sent_id", "sent"}

Line = tuple[str, list[str]]  # file:number, and the columns; none for an empty line


@dataclass(frozen=True)
class Grid:
    """One file.

    Args:
        lines: comments among them.
        names: of its columns, where it has any.
    """

    name: str
    lines: list[Line]
    names: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """The number of columns that most lines have."""
        counts = Counter(len(fields) for _, fields in self.lines if is_row(fields) and not fields[0].startswith("#"))
        return counts.most_common(1)[0][0] if counts else 0


def is_row(fields: Sequence[str]) -> bool:
    """Whether this is a word, not the end of a sentence or document."""
    return bool(fields) and fields[0] != DOCUMENT


class Layout(NamedTuple):
    """Columns, from 0: of the word, of its tag, and others that could be the tag; whether tags are types alone."""

    word: int
    tag: int
    rivals: list[int]
    types_alone: bool


# --- the forms -------------------------------------------------------------------------------------------------------


def read_lines(name: str, content: str) -> Grid:
    """Columns by tabs or spaces; an empty line ends a sentence, -DOCSTART- a document. A first line may name them."""
    lines = [(f"{name}:{number}", _fields(line)) for number, line in enumerate(content.split("\n"), 1)]
    first = next((number for number, (_, fields) in enumerate(lines) if fields), 0)
    header = [cell.lower() for cell in lines[first][1]]
    if WORD_NAMES & {*header} and TAG_NAMES & {*header}:
        return Grid(name, lines[first + 1 :], header)
    return Grid(name, lines)


def _fields(line: str) -> list[str]:
    """By tabs where there are any, so that a word may hold a space; else by spaces, never by other white space."""
    if "\t" in line:
        return [part.strip(" ") for part in line.strip("\t ").split("\t")] if line.strip("\t ") else []
    return re.split(" +", line.strip(" ")) if line.strip(" ") else []


def read_table(name: str, rows: Sequence[tuple[int, Mapping[str, Any]]], problems: Problems) -> Grid:
    """Rows of a table with named columns, as Kaggle's `Sentence #,Word,POS,Tag`: where the sentence changes, a new one
    begins; an empty cell repeats the one above."""
    names = {column: column.strip().lower() for column in (rows[0][1] if rows else {})}
    of_sentence = next((column for column, known in names.items() if known in SENTENCE_NAMES), None)
    kept = [column for column in names if column != of_sentence]
    header = [names[column] for column in kept]
    if not of_sentence or not WORD_NAMES & {*header} or not TAG_NAMES & {*header}:
        there = ", ".join(map(repr, names)) or "none"
        problems.add(name, f"the columns are {there}; expected 'Sentence #', 'Word' and 'Tag', one word a row")
        return Grid(name, [])
    lines, before = list[Line](), ""
    for number, row in rows:
        if (sentence := str(row[of_sentence]).strip()) not in ("", before):
            lines.append(("", []))
            before = sentence
        lines.append((f"{name}:{number}", [str(row[column]).strip(" ") for column in kept]))
    return Grid(name, lines, header)


def lists_in(record: Any) -> tuple[list[str], list[str]] | None:
    """The words and tags of {"tokens": ["Ada", ...], "ner_tags": ["B-PER", ...]}; None for any other record."""
    if not isinstance(record, dict) or "text" in record:
        return None
    found = [next((record[key] for key in record if key.lower() in known), None) for known in (WORD_NAMES, TAG_NAMES)]
    is_lists = all(isinstance(values, list) and values for values in found)
    return (found[0], found[1]) if is_lists else None  # type: ignore[return-value]


def read_lists(name: str, records: Sequence[tuple[str, Any]], problems: Problems) -> Grid:
    """One sentence a record, its words and its tags in two lists of one length."""
    lines = list[Line]()
    for where, record in records:
        found = lists_in(record)
        if not found or len(found[0]) != len(found[1]):
            problems.add(where, "expected two lists of one length, such as tokens and ner_tags")
        elif not all(isinstance(cell, str) for cell in (*found[0], *found[1])):
            problems.add(where, f"{found[1][0]!r} is no tag, expected the name of each, such as B-PER, not its number")
        else:
            lines += [(where, list(pair)) for pair in zip(*found, strict=True)]
            lines.append(("", []))
    return Grid(name, lines, ["word", "tag"])


# --- which column is what --------------------------------------------------------------------------------------------


def find_layout(grids: Sequence[Grid], problems: Problems) -> Layout | None:
    """The columns of files of one width. Notes a problem and gives None where there are none."""
    width, names, name = grids[0].width, grids[0].names, grids[0].name
    if width < 2:
        where = next((where for where, fields in grids[0].lines if is_row(fields)), name)
        problems.add(where, "1 columns, expected at least 2: the word and its tag")
        return None
    sentences = [rows for grid in grids for rows in _plain_sentences(grid, width)]
    columns = [[row[k] for rows in sentences for row in rows] for k in range(width)]
    tags = [k for k in range(width) if _share_of_tags(columns[k]) >= 0.5]
    types_alone = not tags
    if types_alone:
        tags = [k for k in range(1, width) if _are_types(columns[k])][-1:]
    named = [k for k, column in enumerate(names) if column in TAG_NAMES and k in tags]
    if not tags:
        row = sentences[0][0] if sentences else []
        problems.add(name, f"no column of tags in {' '.join(row)[:60]!r}; expected {EXPECTED}")
        return None
    tag = named[0] if named else _outer(tags, columns)
    word = _word_column([k for k in range(width) if k not in tags], columns, sentences, names)
    if word is None:
        shown = [k for k in range(width) if k not in tags][:1]
        what = f"column {shown[0] + 1} holds numbers alone: {columns[shown[0]][0]!r}" if shown else "tags alone"
        problems.add(name, f"no column of words: {what}; expected the word of each line")
        return None
    rivals = [k for k in tags if k != tag and {*columns[k]} != {OUTSIDE}]
    return Layout(word, tag, rivals, types_alone)


def _plain_sentences(grid: Grid, width: int) -> Iterator[list[list[str]]]:
    """The rows of this width, without those that may be comments, by sentence."""
    rows = list[list[str]]()
    for _, fields in [*grid.lines, ("", [])]:
        if not is_row(fields):
            if rows:
                yield rows
            rows = []
        elif len(fields) == width and not fields[0].startswith("#"):
            rows.append(fields)


def _share_of_tags(values: Sequence[str]) -> float:
    """Of the values that are not O; 1 where all are."""
    others = [value for value in values if value != OUTSIDE]
    return sum(read_tag(value) is not None for value in others) / len(others) if others else 1.0


def _are_types(values: Sequence[str]) -> bool:
    """O and the names of types, as Stanford's tagger has them: PERSON."""
    different = {*values}
    named = all(re.fullmatch(r"[^\W\d_][\w-]*", value) for value in different)
    return OUTSIDE in different and 1 < len(different) <= MOST_TYPES and named


def _types(values: Sequence[str]) -> set[str]:
    return {tag[2:] for value in {*values} if (tag := read_tag(value)) and tag != OUTSIDE}


def _outer(tags: Sequence[int], columns: Sequence[Sequence[str]]) -> int:
    """The last column of tags, but not one of what lies inside entities, as GermEval has it: all its types are types of
    the column before it. Chunks beside entities are no such case: NP is no type of names."""
    last = len(tags) - 1
    while last and _types(columns[tags[last]]) <= _types(columns[tags[last - 1]]):
        last -= 1
    return tags[last]


def _word_column(
    free: Sequence[int], columns: Sequence[Sequence[str]], sentences: Sequence[Sequence[list[str]]], names: list[str]
) -> int | None:
    """The one named so; else the first that is neither numbers nor, as the name of a document, the same for all words
    of a sentence."""
    named = [k for k in free if k < len(names) and names[k] in WORD_NAMES]
    texts = [k for k in free if not all(re.fullmatch(r"\d+([-.]\d+)?", value) for value in columns[k])]
    if any(len(rows) > 1 for rows in sentences):
        several = [rows for rows in sentences if len(rows) > 1]
        varied = [k for k in texts if any(len({row[k] for row in rows}) > 1 for rows in several)]
    else:
        varied = texts
    return next(iter([*named, *varied, *texts]), None)


# --- columns -> texts -------------------------------------------------------------------------------------------------


def read_grid(grid: Grid, layout: Layout, problems: Problems, notes: Problems) -> tuple[str | None, list[Text]]:
    """The sentences of a file.

    Tags that the file's scheme does not allow are noted, and read as the CoNLL-2003 script reads them: what continues
    nothing begins an entity. The official files have such tags. Where they are many, that is a problem.

    Returns:
        The scheme, None where there is no entity, and the sentences.
    """
    found = list(_blocks(grid, layout, problems))
    scheme = recognise([[tag for _, _, tag in rows] for _, rows in found])
    if len({document for document, _ in found}) == 1:
        found = [("", rows) for _, rows in found]  # one -DOCSTART- above all, as Label Studio writes it
    texts, illegal, num_tags = list[Text](), list[tuple[str, str]](), 0
    for document, rows in found:
        where, its_words, tags = map(list, zip(*rows, strict=True))
        text, places = written(its_words)
        marks = [Mark(places[start][0], places[end - 1][1], label) for start, end, label in entities(tags)]
        texts.append(Text(where[0], text, marks, document or where[0], places))
        if not layout.types_alone:
            wrong = faults(tags, scheme or "BIO")
            illegal += [(where[place], f"{tags[place]} where {scheme} has {right}") for place, right in wrong]
        num_tags += sum(tag != OUTSIDE for tag in tags)
    for place, what in illegal:
        (problems if len(illegal) > MOST_ILLEGAL * num_tags else notes).add(place, what)
    return TYPES_ALONE if scheme and layout.types_alone else scheme, texts


def _blocks(grid: Grid, layout: Layout, problems: Problems) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(file:number, word, tag) of each sentence, and where its document begins; "" before the first."""
    rows, document, width = list[tuple[str, str, str]](), "", grid.width
    for where, fields in [*grid.lines, ("", [])]:
        if not is_row(fields):
            if rows:
                yield document, rows
            rows, document = [], where if fields else document
            continue
        tag = _tag(fields[layout.tag], layout.types_alone) if len(fields) == width else None
        if fields[0].startswith("#") and not tag:
            continue  # a comment; a word such as #tag has all columns
        if len(fields) != width:
            problems.add(where, f"{len(fields)} columns, expected {width} as most lines have")
        elif not tag:
            problems.add(where, f"{fields[layout.tag][:40]!r} is no tag, expected {EXPECTED}")
        elif word := normalise(fields[layout.word]):  # what held control characters alone is no word
            rows.append((where, word, tag))


def _tag(cell: str, types_alone: bool) -> str | None:
    return read_tag(cell if cell == OUTSIDE else f"I-{cell}") if types_alone else read_tag(cell)
