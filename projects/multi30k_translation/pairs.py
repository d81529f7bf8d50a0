"""Pairs of sentences as people have them: two aligned files, TSV, JSON lines, TMX.

A line is what \\n or \\r\\n ends, and nothing else: U+2028, U+0085, VT and FF inside a sentence are part of it. Reading
goes on after what is wrong, which is noted with file and line.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import visible
from shared.data.rows import find_unread, is_utf8, read_text, split_of, suffix_of
from shared.data.source import NOTE

EVIDENCE = ".evidence.jsonl"
SIDES = ("source", "src"), ("target", "tgt", "trg")  # names of columns besides the languages' own
CODES = {"bpt", "ept", "it", "ph", "ut"}  # elements of TMX that hold mark-up, not text
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
Languages = tuple[str, str]  # source, target
Rows = Iterator[tuple[int, str, str]]  # number of the line or unit, source, target


class Pair(NamedTuple):
    """A sentence and its translation.

    Args:
        file, number: where it is from; the number is of a line, or of a TMX unit.
        split: train, valid or test, by the name of its file; None where that says nothing.
        known: alignment and values (see sample.py), where the data has them.
    """

    file: str
    number: int
    source: str
    target: str
    split: str | None
    known: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return f"{self.file}:{self.number}"


def read_pairs(root: Path, languages: Languages, problems: Problems, notes: Problems) -> list[Pair]:
    """All pairs of a folder or file.

    Args:
        languages: such as ("en", "de"): suffixes of aligned files, names of columns, xml:lang of TMX.
        problems: gets everything that is wrong.
        notes: get what was guessed.
    """
    found: list[Pair] = []
    aligned: dict[str, dict[str, Path]] = {}
    for path in _files(root):
        suffix = suffix_of(path)
        if path.name.endswith(EVIDENCE):
            continue
        if suffix in READERS:
            for number, source, target in READERS[suffix](path, languages, problems, notes):
                found.append(Pair(path.name, number, source, target, split_of(path)))
        elif suffix.removeprefix(".") in map(str.lower, languages):
            aligned.setdefault(_stem(path), {})[suffix.removeprefix(".")] = path
    for path, advice in find_unread(root):
        problems.add(show(path), advice)
    for stem, sides in aligned.items():
        found += _aligned(stem, sides, languages, problems, notes)
    if not found and not problems.found:
        forms = f"<name>.{languages[0]} beside <name>.{languages[1]}, or .tsv, .jsonl, .tmx"
        problems.add(show(root), f"no pairs of sentences, expected {forms}")
    return found


def languages_of(root: Path) -> Languages:
    """The languages that two files of one name are named by, or a TMX names; English is the source where it is one of
    two. en and de where neither says it."""
    found: set[str] = set()
    beside: dict[str, set[str]] = defaultdict(set)  # name -> the codes of languages that may be its suffixes
    for path in _files(root):
        suffix = suffix_of(path)
        if suffix == ".tmx":
            if (tree := _tree(path, Problems(""), Problems(""))) is not None:
                found |= {_language(one).split("-")[0] for one in tree.iter("tuv")}
        elif suffix not in READERS and 3 <= len(suffix) <= 4:
            beside[_stem(path)].add(suffix.removeprefix("."))
    found = found.union(*(codes for codes in beside.values() if len(codes) > 1))  # a README.md stands alone
    names = sorted(filter(str.isalpha, found), key=lambda name: (name != "en", name))
    return (names[0], names[1]) if len(names) == 2 else ("en", "de")


def _stem(path: Path) -> str:
    """What two aligned files have in common: train of train.en and train.de.gz."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).stem


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else [path for path in visible(root) if path.is_file() and path.name != NOTE]


def read_lines(path: Path, problems: Problems, notes: Problems | None = None) -> list[str]:
    """The lines of a file, without their ends and a byte order mark; those that are not UTF-8 are problems."""
    text = read_text(path, problems, notes)
    if not text:
        return []
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, 1):
        if not is_utf8(line):
            problems.add(f"{show(path)}:{number}", "bytes that are not UTF-8; save the file as UTF-8")
    return lines


def _aligned(
    stem: str, sides: dict[str, Path], languages: Languages, problems: Problems, notes: Problems
) -> Iterator[Pair]:
    if missing := [name for name in languages if name.lower() not in sides]:
        problems.add(show(next(iter(sides.values()))), f"no {stem}.{missing[0]} beside it")
        return
    paths = [sides[name.lower()] for name in languages]
    source, target = (read_lines(path, problems, notes) for path in paths)
    if len(source) != len(target):
        what = f"{len(source):,} lines, but {paths[1].name} has {len(target):,}; aligned files have as many lines"
        problems.add(show(paths[0]), what)
        return
    known: list[Any] = [None] * len(source)
    evidence = paths[0].with_name(stem + EVIDENCE)
    if evidence.exists():
        try:
            known = [json.loads(line) for line in read_lines(evidence, problems)]
        except ValueError as error:
            problems.add(show(evidence), f"not JSON lines: {error}")
            return
        if len(known) != len(source):
            problems.add(show(evidence), f"{len(known):,} lines, but {len(source):,} sentences")
            return
    for number, (one, other, fact) in enumerate(zip(source, target, known, strict=True), 1):
        yield Pair(stem, number, one, other, split_of(paths[0]), fact)


def _tsv(path: Path, languages: Languages, problems: Problems, notes: Problems) -> Rows:
    rows = [line.split("\t") for line in read_lines(path, problems, notes)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    named = [
        next((place for place, cell in enumerate(header) if cell in (*names, language.lower())), -1)
        for names, language in zip(SIDES, languages, strict=True)
    ]
    is_named = min(named) >= 0
    first, second = named if is_named else (0, 1)
    if not is_named:
        notes.add(show(path), f"no header: the first column is {languages[0]}, the second {languages[1]}")
    for number, cells in enumerate(rows, 1):
        if number == 1 and is_named:
            continue
        if len(cells) == len(header) if is_named else 2 <= len(cells) <= 3:
            yield number, cells[first], cells[second]
        else:
            expected = f"{len(header)} as in the header" if is_named else "2, or 3 with notes"
            problems.add(f"{show(path)}:{number}", f"{len(cells)} columns, expected {expected}")


def _jsonl(path: Path, languages: Languages, problems: Problems, notes: Problems) -> Rows:
    expected = f'{{"{languages[0]}": "...", "{languages[1]}": "..."}}, or source and target'
    for number, line in enumerate(read_lines(path, problems, notes), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            problems.add(f"{show(path)}:{number}", f"not JSON: {error}")
            continue
        row = row.get("translation", row) if isinstance(row, dict) else {}
        both = [(*names, language) for names, language in zip(SIDES, languages, strict=True)]
        texts = [next((row[key] for key in keys if key in row), None) for keys in both] if isinstance(row, dict) else []
        if len(texts) == 2 and all(isinstance(text, str) for text in texts):
            yield number, str(texts[0]), str(texts[1])
        else:
            problems.add(f"{show(path)}:{number}", f"no text of both languages, expected {expected}")


def _tmx(path: Path, languages: Languages, problems: Problems, notes: Problems) -> Rows:
    tree = _tree(path, problems, notes)
    units = [] if tree is None else list(tree.iter("tu"))
    missing, there = 0, dict[str, None]()
    for number, unit in enumerate(units, 1):
        segments = {_language(one): one.find("seg") for one in unit.iter("tuv")}
        there |= dict.fromkeys(segments)
        sides = [_segment(segments, language.lower()) for language in languages]
        if sides[0] is None or sides[1] is None:
            missing += 1
        else:
            yield number, _text(sides[0]), _text(sides[1])
    if missing:
        said = notes if missing < len(units) else problems
        what = f"{missing:,} units without both of {languages[0]} and {languages[1]}"
        said.add(show(path), f"{what}; there are {', '.join(there)}")


def _tree(path: Path, problems: Problems, notes: Problems) -> Element | None:
    """A document, by a parser that refuses to expand entities, which may be made to fill the memory."""
    text = read_text(path, problems, notes)
    try:
        return None if text is None else fromstring(text)
    except ParseError as error:
        problems.add(show(path), f"not XML: {error}")
    except (DefusedXmlException, UnicodeEncodeError) as error:
        what = "bytes that are not UTF-8" if isinstance(error, UnicodeEncodeError) else "declares entities"
        problems.add(show(path), f"{what}, expected TMX as translation memories export it")
    return None


def _language(variant: Element) -> str:
    return variant.get(LANGUAGE, variant.get("lang", "")).lower()


def _segment(segments: dict[str, Element | None], language: str) -> Element | None:
    """That of a language: en-GB is en, unless en-US is wanted."""
    near = [one for name, one in segments.items() if name.split("-")[0] == language]
    return segments.get(language, next(iter(near), None))


def _text(segment: Element) -> str:
    """The text of a segment without that of its mark-up."""
    for code in [one for one in segment.iter() if one.tag in CODES]:
        behind = code.tail
        code.clear()
        code.tail = behind
    return "".join(segment.itertext())


READERS = {".tsv": _tsv, ".jsonl": _jsonl, ".tmx": _tmx}
