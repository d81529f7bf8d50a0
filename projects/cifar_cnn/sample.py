"""The embedded sample: ten shapes of any colour, texture and size on cluttered ground, many of them partly hidden.

Most objects stand upright near the middle and are lighter than their ground, as in photographs, so a linear model of
pixels learns something. Some are turned by any angle, some are darker, many are small or of low contrast, and half
have a bar across. The outline alone decides the class: the mask of what is visible of the object is kept as evidence
for the test images. Written as an image folder, the form a user's own data has.

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
RADIUS_PX = (7.0, 12.0)  # half the extent of an object
SHIFT_PX = 1.5  # standard deviation of an object's centre, as far as the image has room
UPRIGHT, TILT_RAD = 0.85, 0.25  # share of objects that are turned by this at most; the others by any angle
LIGHTER = 0.9  # share of objects that are lighter than their ground
CONTRAST = (0.15, 0.5)  # of object and ground, in [0, 1]
CLUTTER = 7  # strokes and dots behind the object
HIDDEN = 0.5  # share of objects with a bar across, which leaves enough of the outline to tell the class

Array = np.ndarray[Any, Any]
Range = tuple[float, float]
Shape = Callable[[Array, Array], Array]  # x, y in units of the radius, y downwards -> inside


SHAPES: dict[str, Shape] = {
    "arrow": lambda x, y: (
        ((np.abs(x) < 0.25) & (y > -0.1) & (y < 0.95)) | ((y > -0.95) & (y < 0.05) & (np.abs(x) < 0.85 * (y + 0.95)))
    ),
    "crescent": lambda x, y: (np.hypot(x, y) < 0.95) & (np.hypot(x - 0.45, y) > 0.75),
    "cross": lambda x, y: (np.maximum(np.abs(x), np.abs(y)) < 0.9) & (np.minimum(np.abs(x), np.abs(y)) < 0.28),
    "disc": lambda x, y: np.hypot(x, y) < 0.85,
    "heart": lambda x, y: ((1.15 * x) ** 2 + (u := 0.15 - 1.2 * y) ** 2 - 0.6) ** 3 < 1.3 * (1.15 * x) ** 2 * u**3,
    "hourglass": lambda x, y: (np.abs(y) < 0.9) & (np.abs(x) < 0.12 + 0.8 * np.abs(y)),
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.68) < 0.24,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.76,
    "star": lambda x, y: np.hypot(x, y) < 0.45 + 0.6 * np.abs(np.arctan2(x, -y) / (np.pi / 5) % 2 - 1) ** 1.5,
    "triangle": lambda x, y: (y < 0.7) & (y > 1.75 * np.abs(x) - 0.95),
}


def make_images(labels: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws one image a label.

    Args:
        labels: (N,) index into SHAPES in alphabetical order.

    Returns:
        images (N, S, S, 3) uint8, masks (N, S, S) bool: at least half of the pixel is object, and nothing hides it.
    """
    count = len(labels)
    lighter = np.where(rng.random((count, 1)) < LIGHTER, 1, -1) * rng.uniform(*CONTRAST, (count, 1))
    ground = 0.5 - lighter / 2 + rng.uniform(-0.2, 0.2, (count, 3))
    canvas = _textured(ground, rng)
    for _ in range(CLUTTER):
        _stroke(canvas, rng.uniform(0, SIDE, (2, count)), (0, 7), (0.8, 2.0), rng)
    radius = rng.uniform(*RADIUS_PX, count)
    room = SIDE / 2 - radius
    centre = SIDE / 2 + np.clip(rng.normal(0, SHIFT_PX, (2, count)), -room, room)
    cover = _cover(labels, radius, centre, rng)
    surface = _textured(ground + lighter + rng.uniform(-0.05, 0.05, (count, 3)), rng)
    canvas += (surface - canvas) * cover[..., None]
    place = np.where(rng.random(count) < HIDDEN, centre + rng.uniform(-0.4, 0.4, (2, count)) * radius, -99)
    hidden = _stroke(canvas, place, (6, 16), (0.7, 1.4), rng)
    return (canvas.clip(0, 1) * 255).round().astype(np.uint8), (cover >= 0.5) & ~hidden


def _cover(labels: Array, radius: Array, centre: Array, rng: np.random.Generator) -> Array:
    """(N, S, S) float: the share of each pixel that is object."""
    turn = np.where(rng.random(len(labels)) < UPRIGHT, TILT_RAD, np.pi) * rng.uniform(-1, 1, len(labels))
    cover = np.empty((len(labels), SIDE, SIDE))
    points = (np.arange(SIDE * FINE) + 0.5) / FINE
    for label, shape in enumerate(SHAPES.values()):
        of = labels == label
        (x0, y0), r, a = centre[:, of, None, None], radius[of, None, None], turn[of, None, None]
        x, y = (points[None, None, :] - x0) / r, (points[None, :, None] - y0) / r
        inside = shape(x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a))
        cover[of] = inside.reshape(-1, SIDE, FINE, SIDE, FINE).mean((2, 4))
    return cover


def _textured(colour: Array, rng: np.random.Generator) -> Array:
    """(N, 3) -> (N, S, S, 3) float: the colour with stripes of any direction and width, and grain."""
    count = len(colour)
    angle, width = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(3, 9, (count, 1, 1))
    along = np.arange(SIDE)[None, None, :] * np.cos(angle) + np.arange(SIDE)[None, :, None] * np.sin(angle)
    stripes = np.sin(2 * np.pi * along / width + rng.uniform(0, 2 * np.pi, (count, 1, 1)))
    strength = rng.uniform(-0.18, 0.18, (count, 1, 1, 3))
    return colour[:, None, None, :] + stripes[..., None] * strength + rng.normal(0, 0.05, (count, SIDE, SIDE, 3))


def _stroke(canvas: Array, place: Array, length: Range, width: Range, rng: np.random.Generator) -> Array:
    """Draws one stroke an image in any colour and direction, in place; (N, S, S) bool: where."""
    count = len(canvas)
    x, y = place[:, :, None, None]
    angle, half = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(*length, (count, 1, 1))
    rows, columns = np.arange(SIDE)[None, :, None] - y, np.arange(SIDE)[None, None, :] - x
    along, across = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
    where: Array = np.hypot(np.maximum(np.abs(along) - half, 0), across) < rng.uniform(*width, (count, 1, 1))
    np.copyto(canvas, rng.uniform(0.1, 0.9, (count, 1, 1, 3)), where=where[..., None])
    return where


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes train/<class>/*.png, test/<class>/*.png and the masks of the test images under evidence/."""
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        rng = np.random.default_rng([params.seed, count, split == "test"])
        labels = np.arange(count) % len(SHAPES)
        images, masks = make_images(labels, rng)
        _write(folder / split, labels, images)
        if split == "test":
            _write(folder / "evidence", labels, masks)


def _write(folder: Path, labels: Array, pictures: Array) -> None:
    for label, shape in enumerate(SHAPES):
        (folder / shape).mkdir(parents=True)
        for number in np.flatnonzero(labels == label):
            Image.fromarray(pictures[number]).save(folder / shape / f"{number:05d}.png", compress_level=1)
