"""Scenes of shapes: overlapping objects of four classes, of many sizes, on cluttered ground, with all that is true of
them. The embedded samples of detection and segmentation are made of these.

H height, W width of a scene in px, K objects in it, F points of the fine grid along a side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shape = Callable[[Array, Array], Array]  # x, y in units of the radius, y downwards -> inside

FINE = 2  # points along a pixel: edges are averaged over them
MOST_OBJECTS = 8
RADIUS = (0.1, 0.26)  # of the shorter side: half the extent of an object, small ones more often
LEAST_VISIBLE, LEAST_PX = 0.5, 24  # of an object: share of its area, and pixels, that nothing hides
CONTRAST = (0.16, 0.5)  # of an object and the ground, in [0, 1]
BESIDE = 0.5  # share of objects that are put beside or before another one
TRIES = 12  # places that are tried for an object before it is left out
STROKES, SCRAPS, BARS = 5, 4, 2  # behind the objects: strokes, pieces of no class; before them: thin bars, at most
SIGN_PX, SIGN_CLEAR = 3.2, 2.6  # radius of a sign, and how far from its own disc and from other discs, in disc radii


def _star(x: Array, y: Array) -> Array:
    inside: Array = np.hypot(x, y) < 0.42 + 0.6 * np.abs(np.arctan2(x, -y) / (np.pi / 5) % 2 - 1) ** 1.5
    return inside


SHAPES: dict[str, Shape] = {
    "disc": lambda x, y: np.hypot(x, y) < 0.9,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.78,
    "star": _star,
    "triangle": lambda x, y: (y < 0.7) & (y > 1.75 * np.abs(x) - 0.95),
}
SCRAP_SHAPES: list[Shape] = [  # of no class: what a detector must leave alone
    lambda x, y: (np.maximum(np.abs(x), np.abs(y)) < 0.9) & (np.minimum(np.abs(x), np.abs(y)) < 0.25),
    lambda x, y: (np.hypot(x, y) < 0.95) & (np.hypot(x - 0.45, y) > 0.75),
    lambda x, y: (np.abs(y) < 0.2) & (np.abs(x) < 1),
]
SIGNED = "signed disc"  # a disc as any other, with a sign beside it: only scenes with signs have this class


@dataclass(frozen=True)
class ShapeScene:
    """An image, and what is true of it. Objects are in the order in which they were painted: later ones hide earlier.

    Args:
        image: (H, W, 3) uint8.
        masks: (K, H, W) bool, the visible pixels of each object; no pixel belongs to two.
        classes: (K,) int64, index into `shape_names`.
        boxes: (K, 4) int64, x0, y0, x1, y1 in pixels, half-open: the tight box of the visible pixels.
        visible: (K,) float, the share of the whole object that is seen.
        signs: (K, H, W) bool, the sign beside an object; empty where it has none.
    """

    image: Array
    masks: Array
    classes: Array
    boxes: Array
    visible: Array
    signs: Array

    @property
    def semantic(self) -> Array:
        """(H, W) int64: 0 for the ground, 1 + class where an object is seen."""
        found = np.zeros(self.image.shape[:2], np.int64)
        for mask, label in zip(self.masks, self.classes, strict=True):
            found[mask] = label + 1
        return found


def shape_names(*, signs: bool = False) -> list[str]:
    """The classes of scenes, in the order of their index."""
    return [*SHAPES, SIGNED] if signs else list(SHAPES)


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """The tight half-open box x0, y0, x1, y1 of a mask (H, W) that is not empty.

    >>> box_of(np.eye(4, dtype=bool)[:, :3])
    (0, 0, 3, 3)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def make_scene(height: int, width: int, rng: np.random.Generator, *, signs: bool = False) -> ShapeScene:
    """Draws one scene of 1 to 8 objects.

    Args:
        height: in px, at least 48.
        width: likewise.
        signs: whether half of the discs are "signed discs": they look like any disc, but a small ring stands beside
            them. So their class can be told by the neighbour alone, whose pixels `ShapeScene.signs` keeps.
    """
    return _Painter(height, width, rng, signs).scene()


@dataclass
class _Piece:
    """A shape at a place: the share of each pixel (h, w) that it covers, in a window that lies inside the scene."""

    cover: Array
    window: tuple[slice, slice]
    area: float  # in px, with what lies outside of the scene


class _Painter:
    """A scene while it is drawn."""

    def __init__(self, height: int, width: int, rng: np.random.Generator, signs: bool) -> None:
        self.size, self.rng, self.signs = (height, width), rng, signs
        self.ground = rng.uniform(0.25, 0.75, 3)
        self.canvas = _texture(self.ground, (height, width), rng)
        self.owner = np.full((height, width), -1)  # the object that is seen at a pixel
        self.classes: list[int] = []
        self.places: list[tuple[float, float, float]] = []  # x, y, radius
        self.areas: list[float] = []
        self.sign_places: dict[int, tuple[float, float]] = {}
        self.sign_masks: dict[int, Array] = {}

    def scene(self) -> ShapeScene:
        rng, shortest = self.rng, min(self.size)
        for _ in range(STROKES):
            self._bar(rng.uniform(0.05, 0.25) * shortest, rng.uniform(0.8, 2.5), hides=False)
        for _ in range(rng.integers(0, SCRAPS + 1)):
            scrap = SCRAP_SHAPES[rng.integers(len(SCRAP_SHAPES))]
            radius = rng.uniform(0.04, 0.11) * shortest
            self._paint(self._piece(scrap, *self._anywhere(), radius), self._colour())
        for _ in range(rng.integers(1, MOST_OBJECTS + 1)):
            self._add_object()
        while not self.classes:
            self._add_object()
        for index in self.sign_places:
            self._add_sign(index)
        for _ in range(rng.integers(0, BARS + 1)):
            self._bar(rng.uniform(0.1, 0.35) * shortest, rng.uniform(0.6, 1.1), hides=True)
        return self._finished()

    def _finished(self) -> ShapeScene:
        seen = [index for index in range(len(self.classes)) if (self.owner == index).sum() >= LEAST_PX / 2]
        masks = np.stack([self.owner == index for index in seen])
        none = np.zeros(self.size, bool)
        return ShapeScene(
            image=(self.canvas.clip(0, 1) * 255).round().astype(np.uint8),
            masks=masks,
            classes=np.array([self.classes[index] for index in seen], np.int64),
            boxes=np.array([box_of(mask) for mask in masks], np.int64),
            visible=(masks.sum((1, 2)) / np.array([self.areas[index] for index in seen])).clip(0, 1),
            signs=np.stack([self.sign_masks.get(index, none) for index in seen]),
        )

    def _add_object(self) -> None:
        """At a place where it hides no other object too much; nothing where none is found."""
        rng, names = self.rng, list(SHAPES)
        label = int(rng.integers(len(names)))
        signed = self.signs and names[label] == "disc" and rng.random() < 0.5
        for _ in range(TRIES):
            radius = float(np.exp(rng.uniform(*np.log(RADIUS)))) * min(self.size)
            x, y = self._beside() if self.places and rng.random() < BESIDE else self._anywhere()
            sign = self._sign_place(x, y, radius) if signed else None
            if (signed and sign is None) or (names[label] == "disc" and self._near_sign(x, y, radius)):
                continue
            piece = self._piece(SHAPES[names[label]], x, y, radius)
            inside = piece.cover >= 0.5
            if inside.sum() < max(LEAST_PX, 2 * LEAST_VISIBLE * piece.area) or self._hides(piece, inside):
                continue
            index = len(self.classes)
            self._paint(piece, self._colour())
            self.owner[piece.window][inside] = index
            self.classes.append(len(names) if signed else label)
            self.places.append((x, y, radius))
            self.areas.append(piece.area)
            if sign is not None:
                self.sign_places[index] = sign
            return

    def _hides(self, piece: _Piece, inside: Array) -> bool:
        """Whether this would leave too little of an object that is there."""
        left = np.where(inside, -1, self.owner[piece.window])
        for index in np.unique(self.owner[piece.window][inside]).tolist():
            if index < 0:
                continue
            lost = (self.owner[piece.window] == index).sum() - (left == index).sum()
            seen = (self.owner == index).sum() - lost
            if seen < max(LEAST_PX, LEAST_VISIBLE * self.areas[index]):
                return True
        return any(np.hypot(*np.subtract(place, _middle(piece))) < 1.3 * SIGN_PX + max(piece.cover.shape) / 2
                   for place in self.sign_places.values())  # fmt: skip

    def _sign_place(self, x: float, y: float, radius: float) -> tuple[float, float] | None:
        """Beside a disc, inside the scene, away from all other discs; None where this draw is not."""
        angle = self.rng.uniform(0, 2 * np.pi)
        far = radius + 2.2 * SIGN_PX
        place = (x + far * np.cos(angle), y + far * np.sin(angle))
        margin = 1.5 * SIGN_PX
        if not (margin < place[0] < self.size[1] - margin and margin < place[1] < self.size[0] - margin):
            return None
        blocked = any(np.hypot(place[0] - u, place[1] - v) < r + 1.3 * SIGN_PX for u, v, r in self.places)
        discs = [one for one, label in zip(self.places, self.classes, strict=True) if label in (0, len(SHAPES))]
        near = any(np.hypot(place[0] - u, place[1] - v) < SIGN_CLEAR * r for u, v, r in discs)
        return None if blocked or near else place

    def _near_sign(self, x: float, y: float, radius: float) -> bool:
        return any(np.hypot(x - u, y - v) < SIGN_CLEAR * radius for u, v in self.sign_places.values())

    def _add_sign(self, index: int) -> None:
        piece = self._piece(lambda x, y: np.abs(np.hypot(x, y) - 0.7) < 0.28, *self.sign_places[index], SIGN_PX)
        self._paint(piece, np.where(self.ground < 0.5, 0.95, 0.05))
        mask = np.zeros(self.size, bool)
        mask[piece.window] = piece.cover >= 0.5
        self.owner[mask] = -1
        self.sign_masks[index] = mask

    def _anywhere(self) -> tuple[float, float]:
        return float(self.rng.uniform(0, self.size[1])), float(self.rng.uniform(0, self.size[0]))

    def _beside(self) -> tuple[float, float]:
        x, y, radius = self.places[self.rng.integers(len(self.places))]
        angle, far = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.8, 1.8) * radius
        return x + far * np.cos(angle), y + far * np.sin(angle)

    def _colour(self) -> Array:
        """(3,): one that differs from the ground in at least one channel."""
        away = self.rng.uniform(*CONTRAST, 3) * self.rng.choice([-1, 1], 3) * (self.rng.random(3) < 0.7)
        if not away.any():
            away[self.rng.integers(3)] = self.rng.choice([-1, 1]) * CONTRAST[1]
        colour: Array = (self.ground + away).clip(0.02, 0.98)
        return colour

    def _piece(self, shape: Shape, x: float, y: float, radius: float) -> _Piece:
        """A shape turned by any angle."""
        turn, half = self.rng.uniform(0, 2 * np.pi), int(np.ceil(1.3 * radius)) + 1
        left, top, side = int(x) - half, int(y) - half, 2 * half + 1
        points = (np.arange(side * FINE) + 0.5) / FINE
        u, v = (points[None, :] + left - x) / radius, (points[:, None] + top - y) / radius
        inside = shape(u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn))
        cover = inside.reshape(side, FINE, side, FINE).mean((1, 3))
        rows = slice(max(0, -top), max(0, min(side, self.size[0] - top)))
        columns = slice(max(0, -left), max(0, min(side, self.size[1] - left)))
        window = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
        return _Piece(cover[rows, columns], window, float(cover.sum()))

    def _paint(self, piece: _Piece, colour: Array) -> None:
        surface = _texture(colour, piece.cover.shape, self.rng)
        self.canvas[piece.window] += (surface - self.canvas[piece.window]) * piece.cover[..., None]

    def _bar(self, half_length: float, half_width: float, *, hides: bool) -> None:
        """A stroke of one colour in any direction; one before the objects hides them."""
        (x, y), angle = self._anywhere(), self.rng.uniform(0, np.pi)
        rows, columns = np.arange(self.size[0])[:, None] - y, np.arange(self.size[1])[None, :] - x
        along = columns * np.cos(angle) + rows * np.sin(angle)
        across = rows * np.cos(angle) - columns * np.sin(angle)
        where = np.hypot(np.maximum(np.abs(along) - half_length, 0), across) < half_width
        for mask in self.sign_masks.values():
            where &= ~mask
        self.canvas[where] = self.rng.uniform(0.1, 0.9, 3)
        if hides:
            self.owner[where] = -1


def _middle(piece: _Piece) -> tuple[float, float]:
    rows, columns = piece.window
    return (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2


def _texture(colour: Array, size: tuple[int, ...], rng: np.random.Generator) -> Array:
    """(H, W, 3) float: the colour with stripes of any direction and width, and grain."""
    angle, width = rng.uniform(0, np.pi), rng.uniform(4, 14)
    along = np.arange(size[1])[None, :] * np.cos(angle) + np.arange(size[0])[:, None] * np.sin(angle)
    stripes = np.sin(2 * np.pi * along / width + rng.uniform(0, 2 * np.pi))[..., None] * rng.uniform(-0.08, 0.08, 3)
    textured: Array = colour + stripes + rng.normal(0, 0.03, (*size, 3))
    return textured
