"""The embedded sample: ten shapes under changing colour, texture, size, place, turn, ground and clutter.

Object and ground draw their colours from the same range, and a piece of any colour lies anywhere in any class: what
decides is the outline alone, and its mask is kept as evidence for the test images. Written as an image folder, the
form a user's own data has.

N images, S side in pixels, F points of the fine grid along a side.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .params import Fetch

SIDE = 32  # px
FINE = 2  # points along a pixel: edges are averaged over them
RADIUS_PX = (6.5, 12.0)  # half the extent of an object
TURN_RAD = 2.0  # largest, either way
CONTRAST = 0.14  # least distance of object and ground, mean over channels of [0, 1]
CLUTTER = 6  # strokes and dots in an image

Array = np.ndarray[Any, Any]
Shape = Callable[[Array, Array], Array]  # x, y in units of the radius, y downwards -> inside


def _star(x: Array, y: Array) -> Array:
    angle = np.arctan2(x, -y) % (2 * np.pi / 5)
    inside: Array = np.hypot(x, y) < 0.45 + 0.6 * np.abs(angle / (np.pi / 5) - 1) ** 1.5
    return inside


def _heart(x: Array, y: Array) -> Array:
    x, y = 1.15 * x, 0.15 - 1.2 * y
    inside: Array = (x**2 + y**2 - 0.6) ** 3 < 1.3 * x**2 * y**3
    return inside


SHAPES: dict[str, Shape] = {
    "arrow": lambda x, y: (
        ((np.abs(x) < 0.25) & (y > -0.1) & (y < 0.95)) | ((y > -0.95) & (y < 0.05) & (np.abs(x) < 0.85 * (y + 0.95)))
    ),
    "crescent": lambda x, y: (np.hypot(x, y) < 0.95) & (np.hypot(x - 0.45, y) > 0.75),
    "cross": lambda x, y: (np.maximum(np.abs(x), np.abs(y)) < 0.9) & (np.minimum(np.abs(x), np.abs(y)) < 0.28),
    "disc": lambda x, y: np.hypot(x, y) < 0.85,
    "heart": _heart,
    "hourglass": lambda x, y: (np.abs(y) < 0.9) & (np.abs(x) < 0.12 + 0.8 * np.abs(y)),
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.68) < 0.24,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.76,
    "star": _star,
    "triangle": lambda x, y: (y < 0.7) & (y > 1.75 * np.abs(x) - 0.95),
}


def make_images(labels: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws one image a label.

    Args:
        labels: (N,) index into SHAPES in alphabetical order.

    Returns:
        images (N, S, S, 3) uint8, masks (N, S, S) bool: at least half of the pixel is object.
    """
    count = len(labels)
    ground, object_ = _contrasting(count, rng)
    canvas = _textured(ground, rng)
    _add_clutter(canvas, rng)
    cover = _coarse(_inside(labels, rng))[..., None]
    canvas = canvas * (1 - cover) + _textured(object_, rng) * cover
    return (canvas.clip(0, 1) * 255).round().astype(np.uint8), cover[..., 0] >= 0.5


def _inside(labels: Array, rng: np.random.Generator) -> Array:
    """(N, F, F) bool: the points of the fine grid inside each object."""
    count = len(labels)
    radius = rng.uniform(*RADIUS_PX, (count, 1, 1))
    centre = radius + rng.uniform(0, 1, (2, count, 1, 1)) * (SIDE - 2 * radius)
    turn = rng.uniform(-TURN_RAD, TURN_RAD, (count, 1, 1))
    points = (np.arange(SIDE * FINE) + 0.5) / FINE
    x, y = (points[None, None, :] - centre[0]) / radius, (points[None, :, None] - centre[1]) / radius
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = np.empty(x.shape, bool)
    for label, shape in enumerate(SHAPES.values()):
        inside[labels == label] = shape(x[labels == label], y[labels == label])
    return inside


def _coarse(fine: Array) -> Array:
    """(N, F, F) -> (N, S, S): the share of each pixel's points."""
    share: Array = fine.reshape(len(fine), SIDE, FINE, SIDE, FINE).mean((2, 4))
    return share


def _contrasting(count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two (N, 3) colours from the same range, at least CONTRAST apart: too near ones are drawn again."""
    first, second = rng.uniform(0.1, 0.9, (2, count, 3))
    while (near := np.abs(first - second).mean(1) < CONTRAST).any():
        first[near], second[near] = rng.uniform(0.1, 0.9, (2, near.sum(), 3))
    return first, second


def _textured(colour: Array, rng: np.random.Generator) -> Array:
    """(N, 3) -> (N, S, S, 3) float: the colour with stripes of any direction and width, and grain."""
    count = len(colour)
    angle, width = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(3, 9, (count, 1, 1))
    along = np.arange(SIDE)[None, None, :] * np.cos(angle) + np.arange(SIDE)[None, :, None] * np.sin(angle)
    stripes = np.sin(2 * np.pi * along / width + rng.uniform(0, 2 * np.pi, (count, 1, 1)))
    strength = rng.uniform(-0.18, 0.18, (count, 1, 1, 3))
    return colour[:, None, None, :] + stripes[..., None] * strength + rng.normal(0, 0.05, (count, SIDE, SIDE, 3))


def _add_clutter(canvas: Array, rng: np.random.Generator) -> None:
    """Strokes and dots in colours of the same range, in place, under the object."""
    count = len(canvas)
    rows, columns = np.arange(SIDE)[None, :, None], np.arange(SIDE)[None, None, :]
    for _ in range(CLUTTER):
        x, y = rng.uniform(0, SIDE, (2, count, 1, 1))
        angle, length = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(0, 7, (count, 1, 1))
        along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        stroke = np.hypot(np.maximum(np.abs(along) - length, 0), across) < rng.uniform(0.8, 2.2, (count, 1, 1))
        colour = rng.uniform(0.1, 0.9, (count, 1, 1, 3))
        np.copyto(canvas, colour, where=stroke[..., None])


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes train/<class>/*.png, test/<class>/*.png and the masks of the test images under evidence/."""
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        rng = np.random.default_rng([params.seed, count, split == "test"])
        labels = np.arange(count) % len(SHAPES)
        images, masks = make_images(labels, rng)
        names = [f"{list(SHAPES)[label]}/{index:05d}.png" for index, label in enumerate(labels)]
        _write(folder / split, names, images)
        if split == "test":
            _write(folder / "evidence", names, masks)


def _write(folder: Path, names: list[str], pictures: Array) -> None:
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
    for name, picture in zip(names, pictures, strict=True):
        Image.fromarray(picture).save(folder / name, compress_level=1)
