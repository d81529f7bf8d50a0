"""What preparing an image leaves out or cannot show: seen file by file, said in one line a kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from shared.image.params import Reading

CUT_GREY = 128  # what decoders leave where a JPEG has no data
LEAST_END, LEAST_CUT = 0.02, 0.05  # shares of an image that are worth a word
ALIKE, MOST_OF = 8, 0.9  # grey levels, and the share of a border that must be so alike to be the image's ground


@dataclass(frozen=True)
class Seen:
    """What a file holds besides the pixels that are kept.

    Args:
        id: its name in messages.
        cut: share of its area that a crop leaves out.
        transparent: whether some of its pixels are.
        pages: of a TIFF; frames of an animation.
        brightest: the largest number of a file of more than 8 bits; None for others.
        grey_end: share of its height, at the end, that has the grey of missing data; 0 but for JPEGs.
        even: whether all of it has one colour.
        border: grey level of its border, where that is even and grey.
    """

    id: str
    cut: float = 0.0
    transparent: bool = False
    pages: int = 1
    brightest: float | None = None
    grey_end: float = 0.0
    even: bool = False
    border: int | None = None


def cut_share(size: tuple[int, int]) -> float:
    """Share of the area of (width, height) outside of the central square."""
    return 1 - min(size) / max(size)


def grey_end(pixels: np.ndarray) -> float:
    """Share of the rows (H, W) or (H, W, 3) uint8, at the end, that are all CUT_GREY; 0 where all are."""
    rows, lower = len(pixels), len(pixels)
    while lower and (pixels[lower - 1] == CUT_GREY).all():
        lower -= 1
    share = 1 - lower / rows
    return share if lower and share >= LEAST_END else 0.0


def is_even(image: Image.Image) -> bool:
    """Whether all pixels of an 8-bit L or RGB image are equal."""
    extrema: Any = image.getextrema()
    return all(low == high for low, high in (extrema if image.mode == "RGB" else [extrema]))


def border_level(image: Image.Image) -> int | None:
    """The grey level of the border of an 8-bit L or RGB image; None where it is not even or not grey."""
    width, height = image.size
    boxes = (0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height)
    border = np.concatenate([np.asarray(image.crop(box)).reshape(-1, len(image.getbands())) for box in boxes])
    level = np.median(border)
    alike = (np.abs(border - level) <= ALIKE).all(axis=1).mean()
    return int(level) if alike >= MOST_OF else None


def loss_lines(seen: Sequence[Seen], reading: Reading) -> list[str]:
    """What is lost of these images when they are read so: one sentence a kind, none where nothing is."""
    lines = [_shape_line(seen, reading), _range_line(seen, reading)]
    clear, pages = [one for one in seen if one.transparent], [one for one in seen if one.pages > 1]
    if clear:
        lines.append(f"{_images(clear)} transparent: laid on grey level {reading.ground} (prepare.ground).")
    if pages:
        most = max(pages, key=lambda one: one.pages)
        lines.append(f"{_images(pages)} of several pages or frames, up to {most.pages} ({most.id}): the first is read.")
    if ends := [one for one in seen if one.grey_end]:
        worst = max(ends, key=lambda one: one.grey_end)
        lines.append(
            f"{_images(ends)} ending in plain grey, up to {worst.grey_end:.0%} of the height ({worst.id}): probably "
            "JPEGs that were cut off; look at them."
        )
    if even := [one for one in seen if one.even]:
        lines.append(f"{_images(even)} of one even colour, with nothing to see (first: {even[0].id}).")
    return [line for line in lines if line]


def _images(some: Sequence[Seen]) -> str:
    return f"{len(some):,} image{'s' * (len(some) > 1)}"


def _shape_line(seen: Iterable[Seen], reading: Reading) -> str:
    long = [one for one in seen if one.cut >= LEAST_CUT]
    if not long:
        return ""
    if reading.fit == "pad":
        return f"{_images(long)} not square: kept whole, bordered by grey level {reading.ground} (prepare.fit)."
    most = max(long, key=lambda one: one.cut)
    if reading.fit == "squash":
        ratio = 1 / (1 - most.cut)
        return f"{_images(long)} not square: squashed, by up to {ratio:.1f} to 1 ({most.id}; prepare.fit)."
    return (
        f"{_images(long)} not square: the crop leaves out {mean(one.cut for one in long):.0%} of their area on "
        f"average, {most.cut:.0%} at most ({most.id}); prepare.fit=pad keeps all."
    )


def _range_line(seen: Iterable[Seen], reading: Reading) -> str:
    deep = [one for one in seen if one.brightest is not None]
    if not deep:
        return ""
    most = max(one.brightest or 0.0 for one in deep)
    line = f"{_images(deep)} of more than 8 bits: numbers up to {most:,.6g}, with {reading.white:,.6g} as white"
    levels = min(255, round(most / reading.white * 255))
    return f"{line} (prepare.white); brightest grey level: {levels} of 255."
