"""Texts on a page: attributions as colours behind their words, and errors as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from shared.explain.parts import robust_scale
from shared.report.blocks import Block, articles, highlights
from shared.text.parts import Span, TextScene

MARK_DIGITS = 4
SHOWN_CHARACTERS = 1200  # of a text among the errors


def show(scene: TextScene, maps: Mapping[str, Tensor], facts: Sequence[Mapping[str, Any]], folder: Path) -> list[Block]:
    """Attributions of texts: each text in order, split into words and what is between them.

    Each map is scaled by its 99th percentile in this text. Words of the evidence are underlined; the word that a
    question is about, where the scene has a field "place" (N,) int64 of its token, stands in a box.

    Args:
        scene: N questions.
        maps: title -> (N, P).
        facts: of each question title, correct, and if wanted question and note.
        folder: unused: texts need no pictures.
    """
    rows = [
        _row(scene, row, {title: of[row] for title, of in maps.items()})
        | {"title": fact["title"], "good": fact["correct"]}
        | {key: fact[key] for key in ("question", "note") if key in fact}
        for row, fact in enumerate(facts)
    ]
    underlined = "" if scene.evidence is None or not scene.evidence.any() else "evidence"
    return [highlights(rows, underlined=underlined, boxed="the word in question" if "place" in scene.fields else "")]


def _row(scene: TextScene, row: int, maps: Mapping[str, Tensor]) -> dict[str, Any]:
    """One text as `highlights` takes it, with maps (P,) by title."""
    bounds = scene.bounds[row]
    pieces, unread = cut(scene.texts[row], bounds)
    numbers = [number for _, number in pieces]
    place = int(scene.words[row, int(scene.fields["place"][row])]) if "place" in scene.fields else -1
    marks = {title: robust_scale(values[: len(bounds)]).tolist() for title, values in maps.items()}
    return {
        "pieces": [piece for piece, _ in pieces],
        "underlined": [scene.evidence is not None and n >= 0 and bool(scene.evidence[row, n]) for n in numbers],
        "boxed": [n == place >= 0 for n in numbers],
        "marks": {
            title: [round(of[n], MARK_DIGITS) if n >= 0 else 0.0 for n in numbers] for title, of in marks.items()
        },
        "unread": unread,
    }


def cut(text: str, bounds: Sequence[Span]) -> tuple[list[tuple[str, int]], str]:
    """A text as its words, by number, and what is between them, as -1; and its end, if there are words in it.

    >>> cut("So bad. And", [(0, 2), (3, 6)])
    ([('So', 0), (' ', -1), ('bad', 1)], '. And')
    """
    pieces: list[tuple[str, int]] = []
    at = 0
    for number, (start, end) in enumerate(bounds):
        pieces += [(text[at:start], -1)] * (at < start) + [(text[max(at, start) : end], number)]
        at = end
    rest = text[at:]
    if any(map(str.isalnum, rest)):
        return pieces, rest
    return pieces + [(rest, -1)] * bool(rest), ""


def show_texts(texts: Sequence[str], cases: Sequence[Mapping[str, str]]) -> Block:
    """Texts, such as the errors of a classifier; long ones are cut.

    Args:
        cases: what is said of each: "title" and, if wanted, "note", "group" (its class) and "id".
    """
    cut_off = (text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} [...]" for text in texts)
    rows = [{**case, "text": text} for text, case in zip(cut_off, cases, strict=True)]
    return articles(rows, by="Class" if all("group" in case for case in cases) else "")
