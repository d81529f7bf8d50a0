"""Boxes around objects in images: half-open pixel corners x0, y0, x1, y1, float, y downwards, as COCO measures them.

N boxes. A box covers x0 <= x < x1: one of 10 px from the left border is 0 to 10, and its width is x1 - x0.
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.image.files import REDUCING_GAP

COLOURS = (
    (230, 25, 75), (0, 130, 200), (60, 180, 75), (245, 130, 48), (145, 30, 180), (0, 128, 128), (240, 50, 230),
    (128, 128, 0), (170, 110, 40), (0, 0, 128),
)  # fmt: skip

Array = np.ndarray[Any, Any]


class Place(NamedTuple):
    """Where an image lies in a larger one: x -> x * scale_x + left, y -> y * scale_y + top."""

    scale_x: float
    scale_y: float
    left: float
    top: float


def letterbox(
    image: Image.Image, size: tuple[int, int], full: tuple[int, int], ground: int
) -> tuple[Image.Image, Place]:
    """The whole of an 8-bit image in the middle of one of another size, its shape kept, with grey borders.

    Args:
        image: perhaps reduced already.
        size: (width, height) in px of the result.
        full: (width, height) of the image before it was reduced, which the place is measured in.
        ground: grey level of the borders.
    """
    factor = min(size[0] / full[0], size[1] / full[1])
    width, height = (max(1, round(side * factor)) for side in full)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    whole = Image.new(image.mode, size, (ground,) * len(image.getbands()))
    whole.paste(image, (left, top))
    return whole, Place(width / full[0], height / full[1], left, top)


def place_boxes(boxes: Array, place: Array) -> Array:
    """Boxes (N, 4) of an image -> where they are in the letterboxed one.

    >>> place_boxes(np.array([[0.0, 0.0, 10.0, 20.0]]), np.array(Place(0.5, 0.5, 3, 0)))
    array([[ 3.,  0.,  8., 10.]])
    """
    scale_x, scale_y, left, top = place
    moved: Array = boxes * [scale_x, scale_y, scale_x, scale_y] + [left, top, left, top]
    return moved


def unplace_boxes(boxes: Array, place: Array, full: tuple[float, float]) -> Array:
    """The way back, clipped to the image of `full` (width, height)."""
    scale_x, scale_y, left, top = place
    moved = (boxes - [left, top, left, top]) / [scale_x, scale_y, scale_x, scale_y]
    clipped: Array = moved.clip(0, [*full, *full])
    return clipped


def orient_boxes(boxes: Array, orientation: int, size: tuple[int, int]) -> Array:
    """Boxes (N, 4) of the stored pixels -> of the upright image, as EXIF says.

    Args:
        orientation: EXIF's, 1 to 8.
        size: (width, height) of the stored pixels.

    >>> orient_boxes(np.array([[0.0, 0.0, 2.0, 1.0]]), 6, (4, 3))  # turned clockwise: its left side is now on top
    array([[2., 0., 3., 2.]])
    """
    width, height = size
    x0, y0, x1, y1 = boxes.reshape(-1, 4).T
    if orientation in (2, 3, 7, 8):
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    corners = (y0, x0, y1, x1) if orientation >= 5 else (x0, y0, x1, y1)
    return np.stack(corners, 1)


def box_areas(boxes: Array) -> Array:
    """(N,)."""
    found: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return found


def box_ious(first: Array, second: Array, crowd: Array | None = None) -> Array:
    """Intersection over union of each pair, (N, 4) and (M, 4) -> (N, M); of a crowd (M,) bool among the second, the
    intersection over the first, as COCO does it. 0 for two empty boxes."""
    low, high = (
        np.maximum(first[:, None, :2], second[None, :, :2]),
        np.minimum(first[:, None, 2:], second[None, :, 2:]),
    )
    return ious_of((high - low).clip(0).prod(2), box_areas(first), box_areas(second), crowd)


def ious_of(both: Array, first: Array, second: Array, crowd: Array | None = None) -> Array:
    """The same from areas: of the intersections (N, M), of the first (N,) and of the second (M,), perhaps crowds."""
    alone = first[:, None]
    union = alone + second[None] - both
    if crowd is not None:
        union = np.where(crowd[None], alone, union)
    found: Array = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return found


def draw_boxes(
    image: Image.Image, boxes: Array, names: list[str], colours: list[tuple[int, int, int]], width: int = 2
) -> Image.Image:
    """A copy of an RGB image with boxes (N, 4) and their names over it."""
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(max(9, min(drawn.size) // 40))
    for box, name, colour in zip(boxes.tolist(), names, colours, strict=True):
        x0, y0, x1, y1 = box[0], box[1], max(box[0] + 1, box[2] - 1), max(box[1] + 1, box[3] - 1)
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=width)
        if name:
            left, top, right, bottom = pen.textbbox((x0, y0), name, font=font, anchor="lb" if y0 > 12 else "lt")
            pen.rectangle((left, top, right + 1, bottom + 1), fill=colour)
            pen.text((left, top), name, font=font, fill=(255, 255, 255), anchor="lt")
    return drawn
