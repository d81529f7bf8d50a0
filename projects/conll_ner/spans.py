"""Records of annotated text as tools export them -> texts with the places of their entities.

A record is a line of JSONL, or one of a JSON array. What is one in each tool is in FORMS; all become
{"text": ..., "spans": [{"start", "end", "label"}]}, which is checked, and whose offsets are set right where the data
leave no doubt: white space at the ends, spans that stand there twice, offsets in UTF-16 units.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, StrictInt, StrictStr, ValidationError, model_validator

from shared.core.errors import Problems
from shared.text.align import align
from shared.text.tokens import normalise, words

from .cutting import Mark, Place, Text, pieces

Records = list[tuple[str, Any]]  # file:number, and the record
Notes = dict[str, list[str]]  # what was done to the data -> where

MOST_INSIDE = 0.5  # of a file's spans may begin, or end, between two letters: with more, the offsets are wrong

SPANS = ("spans", "entities", "label", "labels", "annotations")  # names of the list of spans
PLACES = {
    "start": ("start", "start_offset"),
    "end": ("end", "end_offset"),
    "label": ("label", "labels", "type"),
}


class LeftOut(Exception):
    """A record that its tool marks as none of the data, with the reason."""


class Span(BaseModel):
    """An entity by the places of its characters; `evidence`: of the words that decide its type.

    [0, 5, "PER"], start_offset and end_offset, and a list of one label are as good.
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


class Form(NamedTuple):
    """How the records of a tool are recognised, and how one becomes {"text", "spans"}, or raises LeftOut."""

    name: str
    fits: Callable[[Any], bool]
    read: Callable[[Any], Any]


def read_task(task: dict[str, Any]) -> dict[str, Any]:
    """A task of Label Studio; the first annotation that was not cancelled counts."""
    given = task.get("annotations") or task.get("completions") or []
    done = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if not done:
        raise LeftOut("no annotation")
    texts = {name: value for name, value in task["data"].items() if isinstance(value, str)}
    values = [one.get("value") for one in done[0].get("result") or [] if isinstance(one, dict)]
    return {
        "text": texts.get("text", max(texts.values(), key=len, default=None)),
        "spans": [value for value in values if isinstance(value, dict) and "start" in value],  # no choices, relations
    }


def read_pair(pair: list[Any]) -> dict[str, Any]:
    """["a text", {"entities": [[0, 5, "PER"]]}], as spaCy 2 was trained with."""
    return {"text": pair[0], "spans": pair[1].get("entities")}


def read_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of Prodigy: what was rejected or ignored is no annotation."""
    if answer["answer"] != "accept":
        raise LeftOut(f"answer {answer['answer']!r}")
    return {"text": answer.get("text"), "spans": answer.get("spans", [])}


def read_spans(record: Any) -> Any:
    """{"text", "spans"}, where the spans may be called as doccano and others call them."""
    name = next((name for name in SPANS if isinstance(record, dict) and name in record), None)
    return {"text": record.get("text"), "spans": record[name]} if name else record


FORMS = (
    Form("tasks of Label Studio", lambda one: isinstance(one, dict) and isinstance(one.get("data"), dict), read_task),
    Form(
        "pairs of a text and its entities",
        lambda one: isinstance(one, list) and len(one) == 2 and isinstance(one[0], str),
        read_pair,
    ),
    Form("answers of Prodigy", lambda one: isinstance(one, dict) and "answer" in one, read_answer),
    Form("texts with spans", lambda one: True, read_spans),
)


def form_of(record: Any) -> Form:
    """The first of FORMS that a record fits."""
    return next(form for form in FORMS if form.fits(record))


# --- records -> texts ------------------------------------------------------------------------------------------------


def read_records(records: Records, problems: Problems, notes: Notes) -> list[Text]:
    """The texts of one file."""
    found, reasons = [], Counter[str]()
    for where, given in records:
        try:
            record = form_of(given).read(given)
            if isinstance(record, dict):
                found.append((where, Record.model_validate(record)))
            else:
                problems.add(where, f"line: {type(record).__name__}, expected an object with text and spans")
        except LeftOut as left_out:
            reasons[str(left_out)] += 1
        except ValidationError as error:
            for detail in error.errors():
                problems.add(where, f"{'.'.join(map(str, detail['loc'])) or 'line'}: {detail['msg']}")
    for reason, count in sorted(reasons.items()):
        notes.setdefault(f"texts left out: {reason}", []).extend([records[0][0].rsplit(":", 1)[0]] * count)
    unit = unit_of([record for _, record in found])
    texts = []
    for where, record in found:
        if not words(align(record.text).text):
            problems.add(where, "text: there is no word in it")
            continue
        text = Text(where, record.text, marks_of(where, record, unit, problems, notes), where)
        if unit != "characters" and UNITS[unit](record.text) != len(record.text):
            notes.setdefault(f"offsets read as {unit}: as characters they do not fit", []).append(where)
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
            notes.setdefault("spans without the white space at their ends", []).append(where)
        mark = Mark(left, right, re.sub(r"\s+", "_", span.label.strip()), tuple(evidence))
        if any(mark[:3] == other[:3] for other in found):
            notes.setdefault("spans that stand there twice, taken once", []).append(where)
        else:
            found.append(mark)
    found.sort(key=lambda mark: mark.start)
    for one, other in pairwise(sorted(found)):
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

UNITS: Mapping[str, Callable[[str], int]] = {  # what offsets may count; the length of a text in it
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
    begins: list[tuple[str, str]] = []
    stops: list[tuple[str, str]] = []
    num_spans = sum(len(one.marks) for one in texts)
    for one in texts:
        starts, ends = borders(one.text) if one.marks else (set(), set())
        for mark in one.marks:
            near = one.text[max(0, mark.start - 10) : mark.end + 10]
            name = f"span [{mark.start}, {mark.end}] {one.text[mark.start : mark.end]!r}"
            if mark.start not in starts:
                begins.append((one.id, f"{name} begins inside a word in {near!r}"))
            if mark.end not in ends:
                stops.append((one.id, f"{name} ends inside a word in {near!r}"))
    for found in (begins, stops):
        if len(found) > MOST_INSIDE * num_spans:
            for where, what in found:
                problems.add(where, f"{what}; expected characters from 0, the end exclusive")
        elif found:
            notes.setdefault(f"spans cut a word, which predict cannot know: {found[0][1]}", []).extend(
                where for where, _ in found
            )


def parse(name: str, content: str, problems: Problems) -> Records:
    """JSON lines, or one JSON array of records, also one inside an object as its only list."""
    try:
        whole = json.loads(content)
    except ValueError:
        whole = None
    if isinstance(whole, dict) and not _is_record(whole):
        lists = [value for value in whole.values() if isinstance(value, list) and value and _is_record(value[0])]
        whole = lists[0] if len(lists) == 1 else whole
    if isinstance(whole, list) and not _is_record(whole):
        return [(f"{name}:{number}", one) for number, one in enumerate(whole, 1)]
    found = []
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                found.append((f"{name}:{number}", json.loads(line)))
            except ValueError as error:
                problems.add(f"{name}:{number}", f"line: Invalid JSON: {error}")
    return found


def _is_record(value: Any) -> bool:
    return form_of(value) != FORMS[-1] or (isinstance(value, dict) and ("text" in value or "tokens" in value))
