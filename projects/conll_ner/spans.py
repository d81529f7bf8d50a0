"""Records of annotated text as tools export them -> texts with the places of their entities.

`unwrap` knows what a record looks like in each tool. All become {"text": ..., "spans": [{"start", "end", "label"}]},
which is checked. Spans are corrected where the data leave no doubt: white space at their ends, the same span twice,
offsets in UTF-16 units or bytes.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from pydantic import BaseModel, Field, StrictInt, StrictStr, ValidationError, model_validator

from shared.core.errors import Problems
from shared.text.align import align
from shared.text.tokens import normalise, words

from .cutting import Mark, Place, Text, pieces

Records = list[tuple[str, Any]]  # file:number, and the record
Notes = defaultdict[str, list[str]]  # what was corrected or left out -> where

MOST_INSIDE = 0.5  # of a file's spans may begin, or end, between two letters: with more, the offsets are wrong

PLAIN = "texts with spans"  # the form of records without the marks of a tool
SPANS = ("spans", "entities", "label", "labels", "annotations")  # names of the list of spans
PLACES = {
    "start": ("start", "start_offset"),
    "end": ("end", "end_offset"),
    "label": ("label", "labels", "type"),
}


class Span(BaseModel):
    """An entity by the places of its characters; `evidence`: of the words that decide its type.

    Also accepted: [0, 5, "PER"], start_offset and end_offset, and a list of one label.
    """

    start: StrictInt
    end: StrictInt
    label: StrictStr = Field(pattern=r"\S")
    evidence: list[tuple[StrictInt, StrictInt]] = []

    @model_validator(mode="before")
    @classmethod
    def _from_forms(cls, given: Any) -> Any:
        if isinstance(given, list) and len(given) == 3:
            return dict(zip(("start", "end", "label"), given, strict=True))
        if not isinstance(given, dict):
            return given
        found = {key: given[name] for key, names in PLACES.items() for name in reversed(names) if name in given}
        label = found.get("label")
        if isinstance(label, list) and len(label) == 1:
            found["label"] = label[0]
        return found | ({"evidence": given["evidence"]} if "evidence" in given else {})


class Record(BaseModel):
    """A text with its spans. Places count characters of the text as it stands in the file."""

    text: StrictStr
    spans: list[Span]


# --- the forms -------------------------------------------------------------------------------------------------------


class LeftOut(str):
    """Why a record is none of the data, as its tool marks it."""


def unwrap(given: Any) -> tuple[str, Any]:
    """The form of a record in words, and what it holds: {"text", "spans"}, a LeftOut, or what is no record."""
    match given:
        case {"data": dict(data)}:
            return "tasks of Label Studio", _task(given, data)
        case [str(text), dict(rest)]:  # as spaCy 2 was trained with
            return "pairs of a text and its entities", {"text": text, "spans": rest.get("entities")}
        case {"answer": "accept"}:
            return "answers of Prodigy", {"text": given.get("text"), "spans": given.get("spans", [])}
        case {"answer": answer}:  # rejected or ignored
            return "answers of Prodigy", LeftOut(f"answer {answer!r}")
        case dict():  # doccano and others
            name = next((name for name in SPANS if name in given), None)
            return PLAIN, {"text": given.get("text"), "spans": given[name]} if name else given
        case _:
            return PLAIN, given


def _task(task: dict[str, Any], data: dict[str, Any]) -> dict[str, Any] | LeftOut:
    """Of the annotations of a task, the first that was not cancelled counts."""
    given = task.get("annotations") or task.get("completions") or []
    done = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if not done:
        return LeftOut("no annotation")
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    values = [one.get("value") for one in done[0].get("result") or [] if isinstance(one, dict)]
    return {
        "text": texts.get("text", max(texts.values(), key=len, default=None)),
        "spans": [value for value in values if isinstance(value, dict) and "start" in value],  # no choices, relations
    }


# --- records -> texts ------------------------------------------------------------------------------------------------


def read_records(records: Records, problems: Problems, notes: Notes) -> list[Text]:
    """The texts of one file."""
    found, reasons = [], Counter[str]()
    for where, given in records:
        _, record = unwrap(given)
        if isinstance(record, LeftOut):
            reasons[record] += 1
        elif not isinstance(record, dict):
            problems.add(where, f"line: {type(record).__name__}, expected an object with text and spans")
        else:
            try:
                found.append((where, Record.model_validate(record)))
            except ValidationError as error:
                for detail in error.errors():
                    problems.add(where, f"{'.'.join(map(str, detail['loc'])) or 'line'}: {detail['msg']}")
    for reason, count in sorted(reasons.items()):
        notes[f"texts left out: {reason}"].extend([records[0][0].rsplit(":", 1)[0]] * count)
    unit = unit_of([record for _, record in found])
    texts = []
    for where, record in found:
        if re.search("[\ud800-\udfff]", record.text):  # as where a tool cut an emoji in two
            problems.add(where, "text: half of a character, such as \\ud83d; replace it by another, such as \\ufffd")
            continue
        if not words(normalise(record.text)):
            problems.add(where, "text: there is no word in it")
            continue
        text = Text(where, record.text, marks_of(where, record, unit, problems, notes), where)
        if unit != "characters" and UNITS[unit](record.text) != len(record.text):
            notes[f"offsets read as {unit}: as characters they do not fit"].append(where)
        texts.append(text)
    _check_borders(texts, problems, notes)
    return texts


def marks_of(where: str, record: Record, unit: str, problems: Problems, notes: Notes) -> list[Mark]:
    """The entities of a record: in characters, without white space at their ends, each one once."""
    text, places = record.text, in_characters(record.text, unit)
    found: list[Mark] = []
    for span in record.spans:
        given = [(span.start, span.end), *span.evidence]
        wrong = [place for place in given if not (place[0] < place[1] and {*place} <= places.keys())]
        for start, end in wrong:
            problems.add(where, f"span [{start}, {end}] is not inside the text of {max(places)} {unit}")
        if wrong:
            continue
        (start, end), *evidence = ((places[start], places[end]) for start, end in given)
        left, right = trimmed(text, start, end)
        if left >= right or not words(normalise(text[left:right])):
            problems.add(where, f"span [{span.start}, {span.end}] {text[start:end]!r} holds no word")
            continue
        if (left, right) != (start, end):
            notes["spans without the white space at their ends"].append(where)
        mark = Mark(left, right, re.sub(r"\s+", "_", span.label.strip()), tuple(evidence))
        if any(mark[:3] == other[:3] for other in found):
            notes["spans that stand there twice, taken once"].append(where)
        else:
            found.append(mark)
    found.sort()
    for one, other in pairwise(found):
        if other.start < one.end:
            listed = " and ".join(f"[{mark.start}, {mark.end}] {mark.label}" for mark in (one, other))
            problems.add(where, f"spans {listed} overlap, expected one label a word: keep one of them")
    return found


def trimmed(text: str, start: int, end: int) -> Place:
    """text[start:end] without white space at its ends.

    >>> trimmed("in Bonn now", 2, 8)
    (3, 7)
    """
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


# --- offsets ---------------------------------------------------------------------------------------------------------

UNITS: Mapping[str, Callable[[str], int]] = {  # what offsets may count -> the length of a text, counted so
    "characters": len,
    "UTF-16 units": lambda text: len(text.encode("utf-16-le", errors="surrogatepass")) // 2,
    "UTF-8 bytes": lambda text: len(text.encode("utf-8", errors="surrogatepass")),
}


def in_characters(text: str, unit: str) -> dict[int, int]:
    """Every offset of a text in a unit -> the same in characters.

    >>> in_characters("😀a", "UTF-16 units")
    {0: 0, 2: 1, 3: 2}
    """
    return {offset: place for place, offset in enumerate(accumulate(map(UNITS[unit], text), initial=0))}


def unit_of(records: Sequence[Record]) -> str:
    """The unit in which most spans begin and end with words; characters, if no other one is better.

    JavaScript counts a 😀 as two: tools that run in a browser export such offsets.
    """
    fits = dict.fromkeys(UNITS, 0)
    for record in records:
        if record.spans and not record.text.isascii():
            starts, ends = borders(record.text)
            for unit in UNITS:
                places = in_characters(record.text, unit)
                for span in record.spans:
                    if span.start in places and span.end in places:
                        left, right = trimmed(record.text, places[span.start], places[span.end])
                        fits[unit] += left < right and left in starts and right in ends
    return max(fits, key=lambda unit: fits[unit])


def borders(text: str) -> tuple[set[int], set[int]]:
    """Where a raw text may be cut into words: before its pieces, and behind them."""
    aligned = align(text)
    places = [aligned.raw(piece.start, piece.end) for piece in pieces(aligned.text)]
    return {start for start, _ in places}, {end for _, end in places}


def _check_borders(texts: Sequence[Text], problems: Problems, notes: Notes) -> None:
    """Spans that begin or end between two letters: cut there; too many of them are a problem."""
    inside: dict[str, list[tuple[str, str]]] = {"begins": [], "ends": []}
    num_spans = sum(len(one.marks) for one in texts)
    for one in texts:
        starts, ends = borders(one.text) if one.marks else (set(), set())
        for mark in one.marks:
            near = one.text[max(0, mark.start - 10) : mark.end + 10]
            name = f"span [{mark.start}, {mark.end}] {one.text[mark.start : mark.end]!r}"
            for verb, cuts_a_word in (("begins", mark.start not in starts), ("ends", mark.end not in ends)):
                if cuts_a_word:
                    inside[verb].append((one.id, f"{name} {verb} inside a word in {near!r}"))
    for found in inside.values():
        if len(found) > MOST_INSIDE * num_spans:
            for where, what in found:
                problems.add(where, f"{what}; expected characters from 0, the end exclusive")
        elif found:
            notes[f"spans cut a word, which predict cannot know: {found[0][1]}"].extend(where for where, _ in found)
