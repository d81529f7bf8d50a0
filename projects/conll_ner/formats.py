"""Annotated text as people have it -> sentences: CoNLL columns, and JSONL with character spans.

Everything wrong is noted with file and line, and reading goes on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import AliasChoices, BaseModel, Field, StrictInt, StrictStr, ValidationError, model_validator

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.rows import read_text, suffix_of
from shared.data.source import NOTE
from shared.data.split import SPLIT_NAMES
from shared.text.align import align
from shared.text.tokens import normalise, words

from .tags import EXPECTED, OUTSIDE, Entity, entities, faults, read_tag, recognise, write_tags

COLUMN_SUFFIXES = {".txt", ".conll", ".tsv", ".bio", ".iob", ".train", ".testa", ".testb"}
SPLIT_OF = SPLIT_NAMES | {"testa": "valid", "testb": "test"}
DOCUMENT = "-DOCSTART-"
MOST_ILLEGAL = 0.05  # of a file's tags that are not O: with more, the file mixes schemes

Lines = list[tuple[str, str]]  # file:number, and what the line holds


@dataclass(frozen=True)
class Sentence:
    """A text with its words and entities.

    Args:
        id: file:number of its first line.
        text: as it stands in the file; columns: the words with a space between them.
        words: normalised.
        spans: where each word lies in the text, as (start, end).
        tags: BIO, one a word.
        document: sentences in a row with the same one belong together.
        evidence: one a word, the number of the entity (from 1) that this word decides, else 0; None where the data
            does not say.
    """

    id: str
    text: str
    words: list[str]
    spans: list[tuple[int, int]]
    tags: list[str]
    document: str
    evidence: list[int] | None = None

    @property
    def split(self) -> str | None:
        """As the file's name says it."""
        return split_of(self.id)


def split_of(path: str) -> str | None:
    """The split in a file's name: train, valid (also val, dev, testa) or test (testb).

    >>> split_of("eng.testa.gz"), split_of("test/my-train.conll:7"), split_of("notes.txt")
    ('valid', 'train', None)
    """
    parts = re.split(r"[^a-z]+", path.rsplit("/", 1)[-1].lower())
    return next((SPLIT_OF[part] for part in parts if part in SPLIT_OF), None)


def read_folder(root: Path, problems: Problems, notes: Problems) -> list[Sentence]:
    """All sentences of a file, or of all files below a folder. What can be read nevertheless goes to `notes`."""
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    found: list[Sentence] = []
    schemes: dict[str, str] = {}
    num_files = 0
    for path in paths:
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix()
        if name.startswith(".") or "/." in name or name == NOTE:
            continue
        if suffix_of(path) not in COLUMN_SUFFIXES | {".jsonl"}:
            notes.add(show(path), "left out, not annotated text")
            continue
        num_files, before = num_files + 1, (len(found), len(problems.found))
        lines = _lines(path, name, problems)
        if suffix_of(path) == ".jsonl":
            found += [one for where, line in lines if (one := _from_json(where, line, problems))]
        else:
            scheme, sentences = read_columns(lines, problems, notes)
            found += sentences
            schemes |= {name: scheme} if scheme else {}
        if before == (len(found), len(problems.found)):
            problems.add(name, "no sentence in this file")
    if not num_files:
        problems.add("no files", "expected columns (.txt, .conll, .tsv) or spans (.jsonl)")
    if len(set(schemes.values())) > 1:
        listed = ", ".join(f"{name} is {scheme}" for name, scheme in schemes.items())
        problems.add("tags", f"mixed schemes: {listed}; expected one for all files")
    return found


def _lines(path: Path, name: str, problems: Problems) -> Lines:
    text = read_text(path, problems)
    if text is None:
        return []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    numbered = [(f"{name}:{number}", line) for number, line in enumerate(lines, 1)]
    for where, line in numbered:
        if not line.isascii() and (byte := re.search("[\udc80-\udcff]", line)):
            problems.add(where, f"byte 0x{ord(byte[0]) - 0xDC00:02x} is not UTF-8; save the file as UTF-8")
    return numbered


# --- CoNLL columns ------------------------------------------------------------------------------------------------

Row = tuple[str, str, str]  # file:number, word, tag


def read_columns(lines: Lines, problems: Problems, notes: Problems) -> tuple[str | None, list[Sentence]]:
    """A word a line, first its text, last its tag; an empty line ends a sentence, -DOCSTART- a document.

    Lines that begin with # and do not end with a tag are comments. Tags that the file's scheme does not allow are
    noted, and read as the CoNLL-2003 script reads them: what continues nothing begins an entity. The official files
    have such tags. Where they are many, that is a problem.

    Returns:
        The scheme, None where there is no entity, and the sentences in BIO.
    """
    found = list(_blocks(lines, problems))
    scheme = recognise([[tag for _, _, tag in rows] for _, rows in found])
    sentences, illegal = [], []
    for document, rows in found:
        where, its_words, tags = map(list, zip(*rows, strict=True))
        ends = np.cumsum([len(word) + 1 for word in its_words])
        spans = [(end - 1 - len(word), end - 1) for end, word in zip(ends.tolist(), its_words, strict=True)]
        bio = write_tags(entities(tags), len(tags))
        sentences.append(Sentence(where[0], " ".join(its_words), its_words, spans, bio, document or where[0]))
        wrong = faults(tags, scheme or "BIO")
        illegal += [(where[place], f"{tags[place]} where {scheme} has {right}") for place, right in wrong]
    num_tags = sum(tag != OUTSIDE for one in sentences for tag in one.tags)
    for place, what in illegal:
        (problems if len(illegal) > MOST_ILLEGAL * num_tags else notes).add(place, what)
    return scheme, sentences


def _blocks(lines: Lines, problems: Problems) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each sentence, and where its document begins; "" before the first."""
    rows: list[Row] = []
    width, document = 0, ""
    for where, line in [*lines, ("", "")]:
        fields = _fields(line)
        if not fields or fields[0] == DOCUMENT:
            if rows:
                yield document, rows
            rows, document = [], where if fields else document
            continue
        tag = read_tag(fields[-1])
        if line.startswith("#") and not tag:
            continue
        width = width or len(fields)
        if len(fields) < max(width, 2):
            problems.add(where, f"{len(fields)} columns, expected {max(width, 2)}: first the word, last the tag")
        elif not tag:
            problems.add(where, f"{fields[-1][:40]!r} is no tag, expected {EXPECTED}")
        elif word := normalise(fields[0]):  # what held control characters alone is no word
            rows.append((where, word, tag))


def _fields(line: str) -> list[str]:
    """By tabs where there are any, so that a word may hold a space; else by spaces, never by other white space."""
    if "\t" in line:
        return [part.strip(" ") for part in line.strip("\t ").split("\t")] if line.strip("\t ") else []
    return re.split(" +", line.strip(" ")) if line.strip(" ") else []


# --- JSONL with character spans -------------------------------------------------------------------------------------


class Mark(BaseModel):
    """An entity by the places of its characters; `evidence`: of the words that decide its type."""

    start: StrictInt
    end: StrictInt
    label: StrictStr = Field(pattern=r"\S")
    evidence: list[tuple[StrictInt, StrictInt]] = []

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        """[0, 5, "PER"] is as good."""
        is_triple = isinstance(given, list) and len(given) == 3
        return dict(zip(("start", "end", "label"), given, strict=True)) if is_triple else given


class Record(BaseModel):
    """A line: {"text": ..., "spans": [...]}, where `entities` is as good as `spans`.

    Places count characters of the text as it stands in the file.
    """

    text: StrictStr
    spans: list[Mark] = Field(validation_alias=AliasChoices("spans", "entities"))


def _from_json(where: str, line: str, problems: Problems) -> Sentence | None:
    """None for an empty line, and where the problems say why."""
    if not line.strip():
        return None
    try:
        record = Record.model_validate_json(line)
    except ValidationError as error:
        for detail in error.errors():
            problems.add(where, f"{'.'.join(map(str, detail['loc'])) or 'line'}: {detail['msg']}")
        return None
    text, aligned = record.text, align(record.text)
    tokens = words(aligned.text)
    if not tokens:
        problems.add(where, "text: there is no word in it")
        return None
    for wrong in _wrong_spans(record):
        problems.add(where, wrong)
    starts, ends = ({token[side]: number for number, token in enumerate(tokens)} for side in (1, 2))
    found, evidence = [], [0] * len(tokens)
    for number, mark in enumerate(sorted(record.spans, key=lambda mark: mark.start), 1):
        left, right = aligned.inside(mark.start, mark.end)
        first, last = starts.get(left), ends.get(right)
        if first is None or last is None or last < first:
            shown = text[max(0, mark.start - 10) : mark.end + 10]
            name = f"span [{mark.start}, {mark.end}] {text[mark.start : mark.end]!r}"
            problems.add(where, f"{name} does not end at words' borders in {shown!r}")
            continue
        found.append(Entity(first, last + 1, re.sub(r"\s+", "_", mark.label.strip())))
        for left, right in (aligned.inside(*span) for span in mark.evidence):
            for place, token in enumerate(tokens):
                evidence[place] = number if token.start < right and token.end > left else evidence[place]
    return Sentence(
        id=where,
        text=text,
        words=[token.text for token in tokens],
        spans=[aligned.raw(token.start, token.end) for token in tokens],
        tags=write_tags(found, len(tokens)),
        document=where,
        evidence=evidence if any(mark.evidence for mark in record.spans) else None,
    )


def _wrong_spans(record: Record) -> Iterator[str]:
    size = len(record.text)
    spans = [(mark.start, mark.end) for mark in record.spans]
    for start, end in [*spans, *(span for mark in record.spans for span in mark.evidence)]:
        if not 0 <= start < end <= size:
            yield f"span [{start}, {end}] is not inside the text of {size} characters"
    for one, other in pairwise(sorted(spans)):
        if other[0] < one[1]:
            yield f"spans {list(one)} and {list(other)} overlap"
