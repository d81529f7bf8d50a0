"""Blocks: what a stage adds to the page of its project, in reading order.

    leave(project.results("evaluate"), [section("By class"), table(...)], summary=headline(metrics), params=...)

A block is a plain dict that JSON can hold; `shared/report/html.py` renders it. Texts are escaped: nothing in
them is markup. Numbers may be Python's or numpy's; NaN and infinities are shown as missing. Pictures and sounds are
named relative to the stage's results folder.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shared.core.files import write_atomic
from shared.core.headline import headline_of, in_words

NUMBERED_CLASSES = 12  # of a matrix: of more no count is written, nor linked

Block = dict[str, Any]
Size = Literal["small", "medium", "large"]
Numbers = Sequence[float] | np.ndarray


def leave(
    folder: Path, blocks: Sequence[Block], *, summary: Sequence[Block] = (), params: Mapping[str, Any] | None = None
) -> None:
    """Writes `page.json`, the stage's part of the page.

    Args:
        folder: `results/<stage>/`, or `data/prepared/<project>/`.
        blocks: the stage's part of the page.
        summary: its most important blocks; shown at the top of the page.
        params: the stage's section as it was used, overrides included.
    """
    tree = page(blocks, summary=summary, params=params)
    write_atomic(folder / "page.json", (json.dumps(tree, allow_nan=False) + "\n").encode())


def append(folder: Path, more: Sequence[Block]) -> None:
    """Adds blocks to the `page.json` that a stage has left."""
    path = folder / "page.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    leave(folder, [*tree["blocks"], *more], summary=tree["summary"], params=tree["params"])


def page(
    blocks: Sequence[Block], *, summary: Sequence[Block] = (), params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The content of page.json, see `leave`."""
    tree: dict[str, Any] = _plain({"params": params or {}, "summary": list(summary), "blocks": list(blocks)})
    return tree


def counts(rows: Mapping[str, Mapping[str, float]]) -> Block:
    """A table of what was counted: name -> split -> number."""
    splits = list(dict.fromkeys(split for row in rows.values() for split in row))
    return table(["", *splits], [[name, *(row.get(split) for split in splits)] for name, row in rows.items()])


def _plain(value: Any) -> Any:
    """What JSON and UTF-8 can hold: Python's types instead of numpy's, None instead of NaN, no lone surrogates."""
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def section(title: str) -> Block:
    """Begins a section, which the navigation lists."""
    return {"block": "section", "title": title}


def text(text: str, kind: Literal["plain", "note", "small"] = "plain") -> Block:
    """A paragraph; a note stands out as a banner. An empty line begins another paragraph."""
    return {"block": "text", "text": text, "kind": kind}


def facts(rows: Mapping[str, str | Sequence[str]]) -> Block:
    """Names with a text each, or several, one below the other."""
    return {"block": "facts", "rows": {name: [text] if isinstance(text, str) else text for name, text in rows.items()}}


def fold(title: str, blocks: Sequence[Block]) -> Block:
    """Blocks that the reader opens, and that are printed open: help for reading, further figures."""
    return {"block": "fold", "title": title, "blocks": list(blocks)}


def number(value: str, label: str, detail: str = "") -> Block:
    """One large figure, such as the headline, with its label below."""
    return {"block": "number", "value": value, "label": label, "detail": detail}


def headline(metrics: Mapping[str, Any], words: str = "") -> list[Block]:
    """The headline of metrics.json with its interval and baselines: a number, a verdict and bars.

    Args:
        words: what the figure means, such as "15 of 1,000 images wrong", to be shown instead of the bare number.
    """
    found = headline_of(metrics)
    name = as_words(found.name)
    label = f"{name} {figure(found.value)}" if words else name
    over = f"{label} over {found.num_samples:,} test {found.unit}" if found.num_samples else label
    detail = f"95 % interval {figure(found.low)} to {figure(found.high)}; {found.direction} is better"
    verdicts = {"better": "Clearly better than", "worse": "Worse than", "": "Not clearly different from"}
    compared = [
        (found.against_baseline(key), f"{in_words(key)} ({figure(value)})") for key, value in found.baselines.items()
    ]
    ranked = [(start, [name for way, name in compared if way == verdict]) for verdict, start in verdicts.items()]
    lines = [f"{start} the baseline{'s' * (len(names) > 1)} {', '.join(names)}." for start, names in ranked if names]
    rows = {"this model": found.value} | {in_words(key): value for key, value in found.baselines.items()}
    made = [number(words or figure(found.value), over, detail)]
    lost = any(way != "better" for way, _ in compared)
    made += [text(" ".join(lines), "note" if lost else "plain")] if lines else []
    return [*made, bars("headline", f"{name}, against the baselines", rows, (found.low, found.high))]


def cell(value: str | float | None, good: bool | None = None, note: str = "") -> dict[str, Any]:
    """A cell of a table.

    Args:
        value: a text, a number or None for nothing.
        good: marks the note, or the value where there is no note, as good (True) or bad (False).
        note: a smaller line below the value.
    """
    return {"value": value, "good": good, "note": note}


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], intro: str = "") -> Block:
    """A table. Cells are texts, numbers, None or `cell(...)`; the first of a row is its heading."""
    return {"block": "table", "columns": columns, "rows": rows, "intro": intro}


def lines(
    name: str,
    title: str,
    series: Mapping[str, tuple[Numbers, Numbers]],
    x: str,
    y: str,
    unit_range: bool = False,
    dashed: Sequence[str] = (),
) -> Block:
    """Lines over a common axis.

    Args:
        name: unique in the stage.
        title: what the chart shows.
        series: label -> (x values, y values).
        x, y: labels of the axes.
        unit_range: the y axis goes from 0 to 1.
        dashed: labels of lines that are references: dashed, in the colour of the line before.
    """
    drawn = {"series": series, "x": x, "y": y, "unit_range": unit_range, "dashed": list(dashed)}
    return {"block": "lines", "name": name, "title": title, **drawn}


def bars(name: str, title: str, rows: Mapping[str, float | None], interval: tuple[float, float] | None = None) -> Block:
    """Horizontal bars, label -> value. With an interval the first bar is this model's, and the others are grey."""
    return {"block": "bars", "name": name, "title": title, "rows": rows, "interval": interval}


def scatter(
    name: str, title: str, xs: Numbers, ys: Numbers, sizes: Numbers, x: str, y: str, diagonal: bool = False
) -> Block:
    """Points, as large as their share of the sum of `sizes`; `diagonal` draws y = x over 0 to 1 and all points."""
    drawn = {"xs": xs, "ys": ys, "sizes": sizes, "x": x, "y": y, "diagonal": diagonal}
    return {"block": "scatter", "name": name, "title": title, **drawn}


def matrix(
    name: str,
    title: str,
    counts: Sequence[Sequence[float]] | np.ndarray,
    names: Sequence[str],
    links: Mapping[str, str] | None = None,
) -> Block:
    """K x K counts of actual (rows) and predicted (columns) classes, coloured by their share of the row.

    Args:
        links: "row-column", such as "0-3" -> the "id" of a case in `pictures` or `articles` of this stage, which that
            count becomes a link to. Of more than NUMBERED_CLASSES no count is written, nor linked.
    """
    drawn = {"counts": counts, "names": names, "links": links or {}}
    return {"block": "matrix", "name": name, "title": title, **drawn}


def pictures(rows: Sequence[Mapping[str, Any]], sharp: bool = False, size: Size = "small", by: str = "") -> Block:
    """A grid of pictures, or one below the other.

    Args:
        rows: {"file", "caption"} and, if wanted, "alt" (what is to be seen; else the caption), "note", "id" (unique in
            the stage, to be linked to), "group" and "still": the file that stands for a moving picture on paper and
            for readers who want nothing to move. PNG or WebP.
        sharp: small pictures are enlarged in sharp squares.
        size: about eight side by side, four, or one as wide as the text.
        by: what the groups are, such as "Class": the reader can choose one of them.
    """
    return {"block": "pictures", "rows": rows, "sharp": sharp, "size": size, "by": by}


def strips(rows: Sequence[Mapping[str, Any]], sharp: bool = False) -> Block:
    """Rows of several small pictures, which stack on a phone.

    Args:
        rows: {"title", "good": bool | None, "pictures": [{"file", "caption"}]} and, if wanted, "note"; of a picture
            "alt".
        sharp: small pictures are enlarged in sharp squares.
    """
    return {"block": "strips", "rows": rows, "sharp": sharp}


def highlights(rows: Sequence[Mapping[str, Any]], underlined: str = "", boxed: str = "") -> Block:
    """Texts with colours behind their pieces: red where a mark is positive, blue where it is negative.

    Args:
        rows: {"title", "good": bool | None, "pieces": [str], "marks": {label: [-1 to 1, one a piece]}} and, if wanted,
            "question", "underlined": [bool], "boxed": [bool], "unread": str (the rest, cut off), "note".
        underlined, boxed: what underlined and boxed pieces mean.
    """
    return {"block": "highlights", "rows": rows, "underlined": underlined, "boxed": boxed}


def sounds(rows: Sequence[Mapping[str, Any]]) -> Block:
    """Audio players, one for each {"file", "caption"}: MP3."""
    return {"block": "sounds", "rows": rows}


def articles(rows: Sequence[Mapping[str, Any]], by: str = "") -> Block:
    """Texts of the data, such as the errors of a classifier.

    Args:
        rows: {"title", "text"} and, if wanted, "note", "good", "id" and "group", as `pictures` has them.
        by: what the groups are, as in `pictures`.
    """
    return {"block": "articles", "rows": rows, "by": by}


def as_words(key: str) -> str:
    """A key as words that begin a line.

    >>> as_words("valid_accuracy"), as_words("macro_f1"), as_words("test_roc_auc_score")
    ('Valid accuracy', 'Macro F1', 'Test ROC AUC')
    """
    words = in_words(key)
    return words[:1].upper() + words[1:]


def figure(value: object) -> str:
    """A value as the page shows it: three decimals, thousands separated, a dash for None.

    >>> figure(0.98765), figure(10000), figure(2.5e-5), figure("cat")
    ('0.988', '10,000', '2.5e-05', 'cat')
    """
    if value is None or value != value:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:,.3f}"
    return str(value)
