"""Annotated text as people have it -> sentences: CoNLL columns, and JSONL with character spans.

Everything wrong is noted with file and line, and reading goes on.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from shared.core.errors import Problems
from shared.text.tokens import normalise, words

from .tags import EXPECTED, OUTSIDE, Entity, faults, is_tag, recognise, tags_of, to_bio

COLUMN_SUFFIXES = (".txt", ".conll", ".tsv", ".bio", ".iob", ".train", ".testa", ".testb")
JSON_SUFFIXES = (".jsonl",)
SPLIT_OF = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "testa": "valid"}
SPLIT_OF |= {"test": "test", "testb": "test"}
DOCUMENT = "-DOCSTART-"
MOST_ILLEGAL = 0.05  # of a file's tags that are not O: with more, the file mixes schemes
_GAP = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Sentence:
    """A text with its words and entities.

    id: file and line; text: normalised; spans: of its words in the text; tags: BIO, one a word; evidence: one a word,
    the number of the entity (from 1) that this word decides, else 0, None where the data says nothing of it;
    document: sentences in a row with the same one belong together; split: as the file's name says.
    """

    id: str
    text: str
    spans: list[tuple[int, int]]
    tags: list[str]
    evidence: list[int] | None
    document: str
    split: str | None

    @property
    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def find_files(root: Path) -> tuple[list[Path], list[Path]]:
    """Files of annotated text below a folder (or this one file), sorted; and the others. Hidden files are left out."""
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    seen = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root.parent).parts[1:])]
    chosen = [path for path in seen if _suffix(path) in COLUMN_SUFFIXES + JSON_SUFFIXES]
    return chosen, [path for path in seen if path not in set(chosen)]


def split_of(path: Path) -> str | None:
    """The split that a file's name tells: train, valid (also val, dev, testa) or test (testb).

    >>> split_of(Path("eng.testa.gz")), split_of(Path("my-train.conll")), split_of(Path("notes.txt"))
    ('valid', 'train', None)
    """
    parts = re.split(r"[^a-z]+", path.name.lower())
    return next((SPLIT_OF[part] for part in parts if part in SPLIT_OF), None)


def read_files(paths: list[Path], root: Path, problems: Problems, notes: Problems) -> list[Sentence]:
    """All sentences of all files. What can be read in spite of it goes to notes."""
    columns: list[Columns] = []
    sentences: list[Sentence] = []
    for path in paths:
        name = path.relative_to(root if root.is_dir() else root.parent).as_posix()
        text = _read_text(path, name, problems)
        if text is None:
            continue
        if _suffix(path) in JSON_SUFFIXES:
            sentences += read_jsonl(text, name, split_of(path), problems)
        else:
            columns.append(read_columns(text, name, split_of(path), problems))
    return sentences + convert(columns, problems, notes)


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def _read_text(path: Path, name: str, problems: Problems) -> str | None:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
        text = data.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        problems.add(name, "damaged, expected a gzip file")
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.add(f"{name}:{line}", f"byte 0x{error.object[error.start]:02x} is no UTF-8; save the file as UTF-8")
        return None
    if not text.strip():
        problems.add(name, "empty file")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


# CoNLL columns


@dataclass
class Columns:
    """One file of columns: sentences with their tags as they stand, and the line of every word."""

    name: str
    sentences: list[Sentence] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)


Row = tuple[int, str, str]  # number of the line, word, tag


def read_columns(text: str, name: str, split: str | None, problems: Problems) -> Columns:
    """A word a line, first its text, last its tag; an empty line ends a sentence, -DOCSTART- a document.

    Lines that begin with # and do not end with a tag are comments.
    """
    found, document, has_documents = Columns(name), 0, DOCUMENT in text
    for rows in _sentences_of(text, name, problems):
        if rows[0][1] == DOCUMENT:
            document, rows = document + 1, rows[1:]
        if rows:
            number = document if has_documents else rows[0][0]
            found.sentences.append(_from_rows(rows, name, f"{name}:{number}", split))
            found.lines.append([row[0] for row in rows])
    return found


def _sentences_of(text: str, name: str, problems: Problems) -> Iterator[list[Row]]:
    rows: list[Row] = []
    width = 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        fields = _fields(line)
        if not fields or fields[0] == DOCUMENT:
            if rows:
                yield rows
            rows = [(number, DOCUMENT, OUTSIDE)] if fields else []
        elif not (line.startswith("#") and not is_tag(fields[-1])):
            width = width or len(fields)
            word, where = normalise(fields[0]), f"{name}:{number}"
            if len(fields) < max(width, 2):
                problems.add(where, f"{len(fields)} columns, expected {max(width, 2)}: first the word, last the tag")
            elif not is_tag(fields[-1]):
                problems.add(where, f"{fields[-1][:40]!r} is no tag, expected {EXPECTED}")
            elif word:  # what held control signs alone is no word
                rows.append((number, word, fields[-1]))


def _fields(line: str) -> list[str]:
    """By tabs where there are any, so that a word may hold a space; else by spaces, never by other white space."""
    if "\t" in line:
        return [part.strip(" ") for part in line.strip("\t ").split("\t")] if line.strip("\t ") else []
    return _GAP.split(line.strip(" ")) if line.strip(" ") else []


def _from_rows(rows: list[Row], name: str, document: str, split: str | None) -> Sentence:
    spans, place = [], 0
    for _, word, _ in rows:
        spans.append((place, place + len(word)))
        place += len(word) + 1
    text = " ".join(row[1] for row in rows)
    return Sentence(f"{name}:{rows[0][0]}", text, spans, [row[2] for row in rows], None, document, split)


def convert(files: list[Columns], problems: Problems, notes: Problems) -> list[Sentence]:
    """The sentences in BIO.

    Tags that a file's scheme does not allow are noted, and read as the CoNLL-2003 script reads them: what continues
    nothing begins an entity. The official files have such tags. Where they are many, and where files have different
    schemes, that is a problem.
    """
    schemes = {file.name: recognise([sentence.tags for sentence in file.sentences]) for file in files}
    known = {name: scheme for name, scheme in schemes.items() if scheme}
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{name} is {scheme}" for name, scheme in known.items())
        problems.add("tags", f"mixed schemes: {listed}; expected one for all files")
    done = []
    for file in files:
        scheme = schemes[file.name] or "BIO"
        illegal = list(_illegal(file, scheme))
        num_tags = sum(tag != OUTSIDE for sentence in file.sentences for tag in sentence.tags)
        for where, what in illegal:
            (problems if len(illegal) > MOST_ILLEGAL * num_tags else notes).add(where, what)
        done += [replace(sentence, tags=to_bio(sentence.tags, scheme)) for sentence in file.sentences]
    return done


def _illegal(file: Columns, scheme: str) -> Iterator[tuple[str, str]]:
    """Where a tag stands that the scheme does not allow there, and what is wrong."""
    for sentence, lines in zip(file.sentences, file.lines, strict=True):
        for place in faults(sentence.tags, scheme):
            tag, before = sentence.tags[place], sentence.tags[place - 1] if place else "the start of a sentence"
            ends = scheme == "BIOES" and place == len(lines) - 1 and tag[0] in "BI"
            what = "at the end of a sentence" if ends else f"after {before}"
            yield f"{file.name}:{lines[place]}", f"{tag} {what} is illegal in {scheme}"


# JSONL with character spans


def read_jsonl(text: str, name: str, split: str | None, problems: Problems) -> list[Sentence]:
    """A text a line: {"text": ..., "spans": [{"start", "end", "label"}, ...]}; `entities` is as good as `spans`.

    Offsets count characters of the text as it stands in the file. A span may hold "evidence": [[start, end], ...], the
    words that decide its type.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            sentence = _from_line(line, f"{name}:{number}", split, problems)
            found += [sentence] if sentence else []
    return found


def _from_line(line: str, where: str, split: str | None, problems: Problems) -> Sentence | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        problems.add(where, f"broken JSON: {str(error)[:80]}")
        return None
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str) or not text.strip():
        problems.add(where, 'no text, expected {"text": "...", "spans": [...]}')
        return None
    marks = record.get("spans", record.get("entities"))
    if not isinstance(marks, list):
        problems.add(where, 'no list of spans, expected "spans": [{"start": 0, "end": 5, "label": "PER"}]')
        return None
    return _from_marks(text, marks, where, split, problems)


Mark = tuple[int, int, str, list[tuple[int, int]]]  # start, end, label, evidence: places in the raw text


def _from_marks(text: str, marks: list[Any], where: str, split: str | None, problems: Problems) -> Sentence | None:
    good = sorted(mark for one in marks if (mark := _mark(one, text, where, problems)))
    for one, other in pairwise(good):
        if other[0] < one[1]:
            problems.add(where, f"spans {list(one[:3])} and {list(other[:3])} overlap")
    place = _places(text, [edge for mark in good for span in (mark[:2], *mark[3]) for edge in span])
    clean = normalise(text)
    spans = [(token.start, token.end) for token in words(clean)]
    starts, ends = ({span[side]: number for number, span in enumerate(spans)} for side in (0, 1))
    found, evidence = [], [0] * len(spans)
    for number, (start, end, label, deciding) in enumerate(good, 1):
        first, last = starts.get(place[start]), ends.get(place[end])
        if first is None or last is None or last < first:
            shown = text[max(0, start - 10) : end + 10]
            problems.add(
                where, f"span [{start}, {end}] {text[start:end]!r} does not end at words' borders in {shown!r}"
            )
            continue
        found.append(Entity(first, last + 1, label))
        for span in deciding:
            for token, (left, right) in enumerate(spans):
                evidence[token] = number if left < place[span[1]] and right > place[span[0]] else evidence[token]
    if not spans:
        problems.add(where, "no words in this text")
        return None
    has_evidence = any(mark[3] for mark in good)
    tags = tags_of(found, len(spans))
    return Sentence(where, clean, spans, tags, evidence if has_evidence else None, where, split)


def _mark(one: Any, text: str, where: str, problems: Problems) -> Mark | None:
    if isinstance(one, list) and len(one) == 3:
        one = dict(zip(("start", "end", "label"), one, strict=True))
    values = [one.get(key) for key in ("start", "end", "label")] if isinstance(one, dict) else [None] * 3
    start, end, label = values
    if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label.strip():
        problems.add(where, f"{str(one)[:60]} is no span, expected start, end and label")
        return None
    try:
        spans = [(start, end), *((int(left), int(right)) for left, right in one.get("evidence", []))]
    except (TypeError, ValueError):
        problems.add(where, 'evidence is no list of places, expected "evidence": [[0, 5]]')
        return None
    for left, right in spans:
        if not 0 <= left < right <= len(text):
            problems.add(where, f"span [{left}, {right}] is not inside the text of {len(text)} characters")
            return None
    return start, end, re.sub(r"\s+", "_", label.strip()), spans[1:]


def _places(text: str, edges: list[int]) -> dict[int, int]:
    """Where places of the raw text lie in the normalised one: characters may merge before them."""
    place, done, found = 0, 0, {}
    for edge in sorted(set(edges)):
        place, done = place + len(normalise(text[done:edge])), edge
        found[edge] = place
    return found
