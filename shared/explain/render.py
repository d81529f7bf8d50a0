"""Pictures of attributions, as PNG bytes: an input beside its heat maps, and deletion and insertion curves.

Figures are made without pyplot, so there is no global state and no display. Text from the data is drawn as it is,
never read as markup.
"""

import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

PANEL_IN, LEGEND_IN, TITLES_IN, DPI = 1.5, 0.7, 0.5, 100  # side of a panel, what is beside and above, dots an inch
ROBUST_PERCENTILE = 99  # of |attribution|: a single pixel does not fade all others
GREY_RANGE = (0.35, 0.65)  # the input under a heat map: enough to find one's way, too little to hide the colours
EVIDENCE_COLOUR = "#00a000"
SIGNED_COLOURS = "bwr"  # blue, white at zero, red
OPACITY_POWER = 0.7  # below 1: weak values can still be seen
STYLE = {"font.size": 8, "axes.titlesize": 8, "axes.linewidth": 0.5}


def attribution_row(image: Tensor, maps: Mapping[str, Tensor], evidence: Tensor | None, title: str) -> bytes:
    """One row of panels: the input, then every method's heat map over the grey input.

    Each map is scaled to its own 99th percentile, symmetrically: methods have different units. Red speaks for the
    target, blue against it; maps of methods without a sign have no blue. The evidence is outlined in green.

    Args:
        image: (C, H, W) float in [0, 1], C 1 or 3.
        maps: title -> (H, W).
        evidence: (H, W) bool, or None.
        title: of the row.

    Returns:
        PNG.
    """
    with matplotlib.rc_context(STYLE):
        width, height = PANEL_IN * (1 + len(maps)) + LEGEND_IN, PANEL_IN + TITLES_IN
        figure = Figure(figsize=(width, height))
        # Placed by hand: matplotlib's own layouts take longer than all the rest
        figure.subplots_adjust(0.005, 0.02, 1 - LEGEND_IN / width, 1 - TITLES_IN / height, wspace=0.04)
        panels = figure.subplots(1, 1 + len(maps), squeeze=False)[0]
        figure.suptitle(title, fontsize=9, y=0.99, va="top", parse_math=False)
        _show_input(panels[0], image)
        for panel, (name, values) in zip(panels[1:], maps.items(), strict=True):
            _show_map(panel, image, values.cpu().double().numpy())
            panel.set_title(name, parse_math=False)
        for panel in panels:
            _outline(panel, evidence)
            panel.set_axis_off()
        _legend(figure, figure.add_axes((1 - 0.9 * LEGEND_IN / width, 0.08, 0.1 / width, 0.65)))
        return _png(figure)


def _show_input(panel: Axes, image: Tensor) -> None:
    pixels = image.cpu().double().clamp(0, 1).permute(1, 2, 0).numpy()
    panel.imshow(pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels, interpolation="nearest")
    panel.set_title("input")


def _show_map(panel: Axes, image: Tensor, values: np.ndarray) -> None:
    """The colour says the sign, its opacity the strength, so that the input stays visible where nothing is said."""
    low, high = GREY_RANGE
    panel.imshow(low + (high - low) * image.mean(0).cpu().numpy(), cmap="gray", vmin=0, vmax=1)
    scaled = robust_scale(values)
    colours = matplotlib.colormaps[SIGNED_COLOURS](0.5 + scaled / 2)
    colours[..., 3] = np.abs(scaled) ** OPACITY_POWER
    panel.imshow(colours, interpolation="nearest")


def robust_scale(values: np.ndarray) -> np.ndarray:
    """(H, W) -> the same in [-1, 1]: divided by the 99th percentile of the absolute values, zero stays zero."""
    scale = np.percentile(np.abs(values), ROBUST_PERCENTILE) or np.abs(values).max() or 1.0
    scaled: np.ndarray = (values / scale).clip(-1, 1)
    return scaled


def _outline(panel: Axes, evidence: Tensor | None) -> None:
    if evidence is not None and evidence.any() and not evidence.all():
        panel.contour(evidence.cpu().numpy().astype(float), levels=[0.5], colors=EVIDENCE_COLOUR, linewidths=0.9)


def _legend(figure: Figure, place: Axes) -> None:
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), SIGNED_COLOURS), cax=place)
    bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"])


def curves_plot(fractions: Tensor, curves: Mapping[str, Mapping[str, Tensor]], random: str) -> bytes:
    """Deletion and insertion curves side by side, the random order's dashed.

    Args:
        fractions: (T,) of pixels changed.
        curves: panel -> order -> (T,) mean probability of the target.
        random: which of the orders is the random one.

    Returns:
        PNG.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(curves), 2.4), layout="constrained")
        panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
        for panel, (name, lines) in zip(panels, curves.items(), strict=True):
            for order, line in lines.items():
                style = {"color": "0.4", "linestyle": "--"} if order == random else {}
                panel.plot(fractions.cpu(), line.cpu(), label=order, linewidth=1.2, **style)
            panel.set(title=name, xlabel="fraction of pixels", ylim=(0, 1.02), xlim=(0, 1))
        panels[0].set_ylabel("probability of the target")
        panels[-1].legend(fontsize=7, frameon=False)
        return _png(figure)


def _png(figure: Figure) -> bytes:
    """The same figure is the same bytes: no date, no version in it."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
