"""Charts as SVG elements that live inside the page and so take its colours, light or dark, and its fonts."""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .blocks import NUMBERED_CLASSES, Block, figure

SIZE = (4.4, 2.9)  # inches; small, so that text stays readable on a phone
MAX_POINTS = 200  # of a line
NAMED_CLASSES = 30  # of a matrix: of more no name is written
NAME_LENGTH = 22
LINK = "case:"  # begins what leads to another place of the page
REM_AN_INCH = 6.4  # so that text is at most as large as the page's

# Drawn in these colours, then replaced by the page's own variables
INK, SOFT = "#010101", "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304", "#030305", "#030306")
_VARIABLES = {INK: "--ink", SOFT: "--soft"} | {colour: f"--c{number}" for number, colour in enumerate(SERIES, 1)}
_BLUE = (0.0, 0.447, 0.698)

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",  # the same chart is the same bytes
    "text.parse_math": False,  # a class may be called $
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


@contextmanager
def _drawing(size: tuple[float, float] = SIZE) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(_STYLE):
        drawn = Figure(size, layout="constrained")
        yield drawn, drawn.add_subplot()


def _svg(drawn: Figure, name: str, label: str) -> Markup:
    """The chart as an element; `label` says what it shows to readers who do not see it."""
    file, width = io.StringIO(), REM_AN_INCH * drawn.get_figwidth()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # measured with another font than it is shown in
        drawn.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda found: (
            f'<svg viewBox="{found[1]}" style="max-width: {width:.1f}rem" role="img" aria-label="{escape(label)}">'
        ),
        text,
        count=1,
    )
    text = re.sub(r'(id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    text = text.replace(f'xlink:href="{LINK}', 'xlink:href="#').replace(' target="_blank"', "")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return Markup(text)  # matplotlib escapes the texts


def _bars(block: Block, name: str) -> Markup:
    """From 0 to 1 where all values lie there, or to the largest."""
    rows = block["rows"]
    values = np.array(list(rows.values()), float)
    interval = block["interval"] or (values[0], values[0])
    low, high = (float(f([f(values), f(interval)])) for f in (np.nanmin, np.nanmax))
    left, right = min(low, 0.0), max(high, 0.0) if low < 0 or high > 1 else 1.0
    span = (right - left) or 1.0
    with _drawing((4.4, 0.5 + 0.36 * len(rows))) as (drawn, axes):
        others = SOFT if block["interval"] else SERIES[0]
        axes.barh(range(len(rows)), np.nan_to_num(values), color=[SERIES[0]] + [others] * (len(rows) - 1), height=0.6)
        if block["interval"]:
            axes.plot(interval, (0, 0), color=INK, linewidth=1.2, marker="|")
        for place, value in enumerate(values.tolist()):
            end = max(np.nan_to_num(value), 0.0, interval[1] if place == 0 else 0.0)
            axes.text(end + 0.02 * span, place, figure(value), va="center")
        axes.set(xlim=(left, right + 0.16 * span), yticks=range(len(rows)))
        axes.set_xticks([0, 0.5, 1]) if (left, right) == (0, 1) else axes.locator_params("x", nbins=5)
        axes.set_yticklabels([_short(label) for label in rows])
        axes.invert_yaxis()
        return _svg(drawn, name, _said(block, (f"{label} {figure(value)}" for label, value in rows.items())))


def _lines(block: Block, name: str) -> Markup:
    with _drawing() as (drawn, axes):
        colour, solid = SERIES[0], iter(SERIES)
        for label, (xs, ys) in block["series"].items():
            reference = label in block["dashed"]
            colour = colour if reference else next(solid, SOFT)
            style = {"linestyle": "--", "alpha": 0.75} if reference else {"marker": "o" if len(xs) <= 30 else ""}
            axes.plot(*thin(xs, ys), label=_short(label), color=colour, markersize=3, **style)
        axes.set(xlabel=block["x"], ylabel=block["y"])
        if block["unit_range"]:
            axes.set_ylim(-0.02, 1.02)
        if len(block["series"]) > 1:
            drawn.legend(loc="outside upper center", ncols=2)
        ends = ((label, [y for y in ys if y is not None]) for label, (_, ys) in block["series"].items())
        return _svg(
            drawn, name, _said(block, (f"{label} from {figure(ys[0])} to {figure(ys[-1])}" for label, ys in ends if ys))
        )


def thin(xs: Any, ys: Any) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 points of a line: means of neighbours where there are more. None reads as a gap.

    >>> x, y = thin(range(1000), range(1000))
    >>> len(x), y[:2].tolist()
    (200, [2.0, 7.0])
    """
    pairs = np.array([list(xs), list(ys)], float)
    group = -(-pairs.shape[1] // MAX_POINTS)
    if group <= 1:
        return pairs[0], pairs[1]
    starts = np.arange(0, pairs.shape[1], group)
    means = np.add.reduceat(pairs, starts, axis=1) / np.diff(np.append(starts, pairs.shape[1]))
    return means[0], means[1]


def _scatter(block: Block, name: str) -> Markup:
    sizes, xs, ys = (np.array(block[key], float) for key in ("sizes", "xs", "ys"))
    with _drawing((4.4, 3.6)) as (drawn, axes):
        axes.set(xlabel=block["x"], ylabel=block["y"])
        if block["diagonal"]:
            low, high = (pick([end, *xs, *ys]) for pick, end in ((min, 0.0), (max, 1.0)))
            axes.plot((low, high), (low, high), color=SOFT, linestyle="--", linewidth=1)
            limits = low * 1.02, high * 1.02
            axes.set(xlim=limits, ylim=limits)
        points = (f"{figure(x)}: {figure(y)}" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))
        area = 12 + 200 * sizes / max(1e-12, float(sizes.sum()))
        axes.scatter(xs, ys, s=area, color=SERIES[0], alpha=0.85, clip_on=not block["diagonal"])
        return _svg(drawn, name, _said(block, points))


def _matrix(block: Block, name: str) -> Markup:
    """Names and numbers are written where there is room."""
    counts, names = np.array(block["counts"], float), [_short(one) for one in block["names"]]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    colours = np.empty((*share.shape, 4))
    colours[..., :3], colours[..., 3] = _BLUE, share  # opacity is the share: right on light and dark ground
    side = float(np.clip(1.8 + 0.32 * len(names), 2.6, 6.5))
    with _drawing((side, side * 0.92)) as (drawn, axes):
        axes.imshow(colours, interpolation="none")
        if len(names) <= NUMBERED_CLASSES:
            for row, column in np.argwhere(counts).tolist():
                colour = "white" if share[row, column] > 0.55 else INK
                text = f"{counts[row, column]:g}"
                case = block["links"].get(f"{row}-{column}")
                url = f"{LINK}{case}" if case else None
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, url=url)
        if len(names) <= NAMED_CLASSES:
            axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 4 else 0)
            axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.tick_params(length=0)
        return _svg(drawn, name, _said(block, [f"{np.trace(counts):g} of {counts.sum():g} on the diagonal"]))


def _said(block: Block, values: Iterable[str]) -> str:
    """What a chart shows, for readers who do not see it."""
    return f"{block['title']}: {'; '.join(values)}"


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


# Kind of block -> the block, and a name of word characters and hyphens, unique on the page, as an <svg> element
DRAW: dict[str, Callable[[Block, str], Markup]] = {
    "lines": _lines,
    "bars": _bars,
    "scatter": _scatter,
    "matrix": _matrix,
}
