import io

import numpy as np
import pytest
import torch
from PIL import Image

from shared.explain.render import attribution_row, curves_plot, robust_scale

from .toys import pictures

MAX_BYTES = 60_000  # a page embeds a dozen


def opened(png):
    assert len(png) < MAX_BYTES
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def row(values, *, evidence=None, channels=3, title="true: cat"):
    return attribution_row(pictures(1, 16, channels)[0], {"method": values}, evidence, title)


def reddish(pixels):
    return ((pixels[..., 0] - pixels[..., 2]) > 120) & ((pixels[..., 0] - pixels[..., 1]) > 120)


def bluish(pixels):
    return ((pixels[..., 2] - pixels[..., 0]) > 120) & ((pixels[..., 2] - pixels[..., 1]) > 120)


def test_red_is_for_and_blue_against():
    values = torch.zeros(16, 16)
    values[:4] = 1.0
    right_half = (slice(None), slice(150, 285))  # without input and legend
    assert reddish(opened(row(values))[right_half]).sum() > 1000 > bluish(opened(row(values))[right_half]).sum()
    assert bluish(opened(row(-values))[right_half]).sum() > 1000 > reddish(opened(row(-values))[right_half]).sum()


def test_one_extreme_pixel_does_not_fade_the_others():
    values = np.ones((20, 20))
    values[0, 0] = -1e6
    scaled = robust_scale(values)
    assert (scaled.ravel()[1:] == 1).all()
    assert scaled[0, 0] == -1
    assert (robust_scale(np.zeros((4, 4))) == 0).all()
    lone = np.zeros((20, 20))
    lone[3, 3] = 5  # the percentile is zero
    assert robust_scale(lone).max() == 1


def test_the_evidence_is_outlined_where_there_is_any():
    values, evidence = torch.zeros(16, 16), torch.zeros(16, 16, dtype=torch.bool)
    evidence[4:12, 4:12] = True
    plain = row(values)
    assert row(values, evidence=evidence) != plain
    assert row(values, evidence=torch.zeros_like(evidence)) == plain == row(values, evidence=None)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_picture_is_the_same_bytes(channels):
    values = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    assert row(values, channels=channels) == row(values, channels=channels)


def test_titles_are_not_markup():
    opened(row(torch.zeros(16, 16), title="true: $\\frac{ <b>"))


def test_curves_have_a_line_each():
    fractions = torch.linspace(0, 1, 11)
    lines = {"method": fractions**2, "random order": fractions}
    both = curves_plot(fractions, {"deletion": lines, "insertion": lines}, "random order")
    one = curves_plot(fractions, {"deletion": {"random order": fractions}}, "random order")
    assert opened(both).shape[1] == 2 * opened(one).shape[1]
