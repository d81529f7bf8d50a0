"""A word a row, in columns -> texts with their words: CoNLL and what resembles it, tables, JSON with lists of words.

Which column holds the word and which the tag is found from the values of all files of one width, and printed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
    """The rows of one file.

    Args:
        lines: comments among them.
        names: of its columns, where it has any.
    """

    name: str
    lines: list[Line]
    names: list[str] = field(default_factory=list)

    def sentences(self) -> Iterator[tuple[str, list[Line]]]:
        """The lines of each sentence, and file:number of the -DOCSTART- before them, "" where there is none."""
        document, found = "", list[Line]()
        for where, fields in [*self.lines, ("", [])]:
            if fields and fields[0] != DOCUMENT:
                found.append((where, fields))
                continue
            if found:
                yield document, found
            document, found = where if fields else document, []

    @cached_property
    def width(self) -> int:
        """The number of columns that most lines have; 0 where there are comments alone."""
        rows = (fields for _, lines in self.sentences() for _, fields in lines)
        counts = Counter(len(fields) for fields in rows if not fields[0].startswith("#"))
        return counts.most_common(1)[0][0] if counts else 0

    def rows(self) -> list[list[list[str]]]:
        """The columns of each line of each sentence: those of the usual width that cannot be comments."""
        found = (
            [fields for _, fields in lines if len(fields) == self.width and not fields[0].startswith("#")]
            for _, lines in self.sentences()
        )
        return [rows for rows in found if rows]


class Layout(NamedTuple):
    """Columns, from 0: of the word, of its tag, and others that could be the tag; types: the values of the tag's column
    where these are types without B- and I-, else None."""

    word: int
    tag: int
    rivals: list[int]
    types: set[str] | None

    def tag_in(self, cell: str) -> str | None:
        """The tag in a cell, a type alone as I-; None for what is no tag."""
        if self.types is None or cell == OUTSIDE:
            return read_tag(cell)
        return f"I-{cell}" if cell in self.types else None


# --- the forms -------------------------------------------------------------------------------------------------------


def read_lines(name: str, content: str) -> Grid:
    """Columns by tabs or spaces; an empty line ends a sentence, -DOCSTART- begins a document.

    The first line may name the columns. Names that are fewer or more than the columns are not used: pandas writes none
    for its index.
    """
    lines = [(f"{name}:{number}", _fields(line)) for number, line in enumerate(content.split("\n"), 1)]
    first = next((number for number, (_, fields) in enumerate(lines) if fields), 0)
    header = [cell.lower() for cell in lines[first][1]]
    if not WORD_NAMES & {*header} or not TAG_NAMES & {*header}:
        return Grid(name, lines)
    found = Grid(name, lines[first + 1 :], header)
    return found if found.width == len(header) else Grid(name, found.lines)


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
    is_lists = all(isinstance(values, list) for values in found)
    return (found[0], found[1]) if is_lists else None  # type: ignore[return-value]


def read_lists(name: str, records: Sequence[tuple[str, Any]], problems: Problems) -> Grid:
    """One sentence a record, its words and its tags in two lists of one length."""
    lines = list[Line]()
    for where, record in records:
        found = lists_in(record)
        if not found or len(found[0]) != len(found[1]):
            problems.add(where, "expected two lists of one length, such as tokens and ner_tags")
        elif odd := [cell for cell in (*found[0], *found[1]) if not isinstance(cell, str)]:
            what = f"{odd[0]!r} is no string, expected words, and of tags the name of each, such as B-PER"
            problems.add(where, f"{what}, not its number")
        else:
            lines += [(where, list(pair)) for pair in zip(*found, strict=True)]
            lines.append(("", []))
    return Grid(name, lines, ["word", "tag"])


# --- which column is what --------------------------------------------------------------------------------------------


def find_layout(grids: Sequence[Grid], problems: Problems) -> Layout | None:
    """The columns of files of one width. Notes a problem and gives None where there are none."""
    width, names, name = grids[0].width, grids[0].names, grids[0].name
    if width < 2:
        for grid in grids:
            where = next(lines[0][0] for _, lines in grid.sentences())
            problems.add(where, "1 columns, expected at least 2: the word and its tag")
        return None
    sentences = [rows for grid in grids for rows in grid.rows()]
    columns = [[row[k] for rows in sentences for row in rows] for k in range(width)]
    tags = [k for k in range(width) if _share_of_tags(columns[k]) >= 0.5]
    types_alone = not tags
    if types_alone:
        tags = [k for k in range(1, width) if _are_types(columns[k])][-1:]
    if not tags:
        problems.add(name, f"no column of tags in {' '.join(sentences[0][0])[:60]!r}; expected {EXPECTED}")
        return None
    named = [k for k in tags if names and names[k] in TAG_NAMES]
    tag = named[0] if named else _outer(tags, columns)
    free = [k for k in range(width) if k not in tags]
    word = _word_column(free, columns, sentences, names)
    if word is None:
        what = f"column {free[0] + 1} holds numbers alone: {columns[free[0]][0]!r}" if free else "tags alone"
        problems.add(name, f"no column of words: {what}; expected the word of each line")
        return None
    rivals = [k for k in tags if k != tag and {*columns[k]} != {OUTSIDE}]
    return Layout(word, tag, rivals, {*columns[tag]} if types_alone else None)


def _share_of_tags(values: Sequence[str]) -> float:
    """How many of the values that are not O are tags; 1 where all are O."""
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
    """The last column of tags that is not one of entities inside others, as GermEval's is, whose types are all types of
    the column before it. Entities behind a column of chunks are none: NP is no type of names, nor PER one of chunks."""
    last = len(tags) - 1
    while last and _types(columns[tags[last]]) <= _types(columns[tags[last - 1]]):
        last -= 1
    return tags[last]


def _word_column(
    free: Sequence[int], columns: Sequence[Sequence[str]], sentences: Sequence[Sequence[list[str]]], names: list[str]
) -> int | None:
    """The one named so; else the first that is neither numbers nor, as a document's name would be, equal within every
    sentence."""
    named = [k for k in free if names and names[k] in WORD_NAMES]
    texts = [k for k in free if not all(re.fullmatch(r"\d+([-.]\d+)?", value) for value in columns[k])]
    several = [rows for rows in sentences if len(rows) > 1]
    varied = [k for k in texts if not several or any(len({row[k] for row in rows}) > 1 for rows in several)]
    return next(iter([*named, *varied, *texts]), None)


# --- columns -> texts -------------------------------------------------------------------------------------------------


def read_grid(grid: Grid, layout: Layout, problems: Problems, notes: Problems) -> tuple[str | None, list[Text]]:
    """The sentences of a file.

    Tags that the file's scheme does not allow are noted, and read as the CoNLL-2003 script reads them: what continues
    nothing begins an entity. The official files have such tags. Where they are many, that is a problem.

    Returns:
        The scheme, None where there is no entity, and the sentences.
    """
    read = ((document, list(_words(lines, grid.width, layout, problems))) for document, lines in grid.sentences())
    found = [(document, rows) for document, rows in read if rows]
    scheme = recognise([[tag for _, _, tag in rows] for _, rows in found])
    if len({document for document, _ in found}) == 1:
        found = [("", rows) for _, rows in found]  # one -DOCSTART- above all, as Label Studio writes it
    texts, illegal, num_tags = list[Text](), list[tuple[str, str]](), 0
    for document, rows in found:
        where, its_words, tags = map(list, zip(*rows, strict=True))
        text, places = written(its_words)
        marks = [Mark(places[start][0], places[end - 1][1], label) for start, end, label in entities(tags)]
        texts.append(Text(where[0], text, marks, document or where[0], places))
        if layout.types is None:
            wrong = faults(tags, scheme or "BIO")
            illegal += [(where[place], f"{tags[place]} where {scheme} has {right}") for place, right in wrong]
        num_tags += sum(tag != OUTSIDE for tag in tags)
    for place, what in illegal:
        (problems if len(illegal) > MOST_ILLEGAL * num_tags else notes).add(place, what)
    return TYPES_ALONE if scheme and layout.types is not None else scheme, texts


def _words(lines: Sequence[Line], width: int, layout: Layout, problems: Problems) -> Iterator[tuple[str, str, str]]:
    """file:number, word and tag of each line of a sentence that is no comment."""
    for where, fields in lines:
        tag = layout.tag_in(fields[layout.tag]) if len(fields) == width else None
        if fields[0].startswith("#") and not tag:
            continue  # a comment; a word such as #tag has all columns
        if len(fields) != width:
            problems.add(where, f"{len(fields)} columns, expected {width} as most lines have")
        elif not tag:
            problems.add(where, f"{fields[layout.tag][:40]!r} is no tag, expected {EXPECTED}")
        elif word := normalise(fields[layout.word]).strip():  # white space or control characters alone are no word
            yield where, word, tag
