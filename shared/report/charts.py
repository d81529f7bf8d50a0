"""Charts as SVG elements that live inside the page and so take its colours, light or dark, and its fonts."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = (4.4, 2.9)  # inches; small, so that the letters stay readable on a phone
MAX_POINTS = 200  # of a line
NUMBERS_UP_TO, NAMES_UP_TO = 12, 30  # classes, in the confusion matrix
NAME_LENGTH = 16

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
def drawing(size: tuple[float, float] = SIZE) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes in the report's style."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(size, layout="constrained")
        yield figure, figure.add_subplot()


def svg(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an <svg> element.

    Args:
        figure: drawn inside `drawing`.
        name: unique on the page; keeps the ids of two charts apart.
        label: what it shows, for who cannot see it.
    """
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # measured with another font than it is shown in
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{escape(label)}">',
        text,
        count=1,
    )
    text = re.sub(r'(id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return Markup(text)  # matplotlib escapes the texts


def bars(name: str, label: str, rows: dict[str, float], interval: tuple[float, float]) -> Markup:
    """Horizontal bars from 0 to 1, or to the largest where that is more, the first with its interval."""
    with drawing((4.4, 0.5 + 0.36 * len(rows))) as (figure, axes):
        places = np.arange(len(rows))
        values = np.array(list(rows.values()))
        end = max(1.0, values.max(), interval[1])
        axes.barh(places, values, color=[SERIES[0]] + [SOFT] * (len(rows) - 1), height=0.6)
        axes.plot(interval, (0, 0), color=INK, linewidth=1.2, marker="|")
        for place, value in enumerate(values.tolist()):
            right = max(value, interval[1]) if place == 0 else value
            axes.text(right + 0.02 * end, place, f"{value:.3f}", va="center")
        axes.set(xlim=(0, 1.12 * end), yticks=places)
        axes.set_xticks([0, 0.5, 1]) if end == 1 else axes.locator_params("x", nbins=5)
        axes.set_yticklabels(list(rows))
        axes.invert_yaxis()
        return svg(figure, name, label)


def lines(
    name: str,
    label: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    unit: bool = False,
) -> Markup:
    """Lines, thinned to a few hundred points; a name that ends in ` (random)` is dashed in the colour before it.

    Args:
        series: name -> (x values, y values).
        unit: the y axis goes from 0 to 1.
    """
    with drawing() as (figure, axes):
        colour = SERIES[0]
        solid = iter(SERIES)
        for key, (xs, ys) in series.items():
            reference = key.endswith(")")
            colour = colour if reference else next(solid, SOFT)
            few = len(xs) <= 30
            axes.plot(
                *thin(xs, ys),
                label=key,
                color=colour,
                linestyle="--" if reference else "-",
                alpha=0.75 if reference else 1,
                marker="o" if few and not reference else "",
                markersize=3,
            )
        axes.set(xlabel=x, ylabel=y)
        if unit:
            axes.set_ylim(-0.02, 1.02)
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=2)
        return svg(figure, name, label)


def thin(xs: Sequence[float], ys: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 points: means of neighbours, where there are more."""
    group = -(-len(xs) // MAX_POINTS)
    pairs = np.array([xs, ys], float)
    starts = np.arange(0, len(xs), max(1, group))
    if group <= 1:
        return pairs[0], pairs[1]
    means = np.add.reduceat(pairs, starts, axis=1) / np.diff(np.append(starts, len(xs)))
    return means[0], means[1]


def reliability(name: str, label: str, confidence: list[float], accuracy: list[float], count: list[int]) -> Markup:
    """Accuracy over confidence, dots as large as their share of the samples, against the diagonal."""
    with drawing((4.4, 3.6)) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=SOFT, linestyle="--", linewidth=1, label="perfectly calibrated")
        size = 12 + 200 * np.array(count) / max(1, sum(count))
        axes.scatter(
            confidence,
            accuracy,
            s=size,
            color=SERIES[0],
            alpha=0.85,
            clip_on=False,
            label="this model (larger: more samples)",
        )
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
        figure.legend(loc="outside upper center", ncols=2, markerscale=0.5)
        return svg(figure, name, label)


def confusion(name: str, label: str, counts: np.ndarray, classes: list[str]) -> Markup:
    """(K, K) counts, rows the actual class, as shares of their row; names and numbers where there is room."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = np.empty((*share.shape, 4))
    colours[..., :3], colours[..., 3] = _BLUE, share  # opacity is the share: right on light and dark ground
    side = float(np.clip(1.8 + 0.32 * len(classes), 3.2, 6.5))
    with drawing((side, side * 0.92)) as (figure, axes):
        axes.imshow(colours, interpolation="none")
        if len(classes) <= NUMBERS_UP_TO:
            for row, column in np.ndindex(*counts.shape):
                _cell(axes, row, column, int(counts[row, column]), float(share[row, column]))
        if len(classes) <= NAMES_UP_TO:
            names = [short(one) for one in classes]
            axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 4 else 0)
            axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.tick_params(length=0)
        return svg(figure, name, label)


def _cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    if count:
        colour = "white" if share > 0.55 else INK
        axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)


def short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "\u2026"
