"""COCO annotations -> class indices of each pixel: polygons and run lengths.

H height, W width, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.errors import Problems
from shared.core.paths import show
from shared.image.masks import MAX_CLASSES

BACKGROUND = "background"  # the class of pixels without an annotation: index 0


@dataclass(frozen=True)
class Outline:
    """An annotation: class index, its polygons (P, 2) as x, y in pixels, or run lengths, and its area in pixels."""

    label: int
    polygons: Sequence[np.ndarray]
    runs: Sequence[int]
    area: float


@dataclass(frozen=True)
class Drawn:
    """An image in an annotation file: file name, stored size in px, outlines with the largest first."""

    name: str
    width: int
    height: int
    outlines: list[Outline]


def read_coco(path: Path, problems: Problems) -> tuple[list[str], list[Drawn]]:
    """The classes of a COCO file, background first, and its images; those without annotations are all background.

    Classes are in the order of their category ids, which may have gaps. Crowds count as any other annotation.

    Args:
        problems: gets what is wrong: no JSON, missing keys, ids that are there twice or lead nowhere, polygons of fewer
            than three points or with numbers that are not finite, run lengths that do not fit the image.
    """
    where = show(path)
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
        images, categories, annotations = (tree[key] for key in ("images", "categories", "annotations"))
        ids = sorted((int(one["id"]), str(one["name"])) for one in categories)
        of_image = {int(one["id"]): one for one in images}
        sizes = {number: (int(one["width"]), int(one["height"])) for number, one in of_image.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        problems.add(where, f"not a COCO file ({said}); expected images, categories and annotations with their ids")
        return [], []
    for kind, listed, unique in (("images", images, of_image), ("categories", ids, dict(ids))):
        if len(unique) < len(listed):
            problems.add(where, f"{len(listed) - len(unique)} of {len(listed)} {kind} have the id of another")
    names = list(dict.fromkeys(name for _, name in ids if name != BACKGROUND))
    if len(names) >= MAX_CLASSES:
        problems.add(where, f"{len(names) + 1} classes with the background, expected at most {MAX_CLASSES}")
        return [], []
    labels = {number: 0 if name == BACKGROUND else 1 + names.index(name) for number, name in ids}
    found: dict[int, list[Outline]] = {number: [] for number in of_image}
    for row, one in enumerate(annotations):
        place = f"{where}, annotation {one.get('id', row) if isinstance(one, dict) else row}"
        try:
            image, category, drawn = one["image_id"], one["category_id"], one["segmentation"]
        except (KeyError, TypeError) as error:
            problems.add(place, f"without {error}" if isinstance(error, KeyError) else "not an object")
            continue
        for kind, key, known in (("image", image, of_image), ("category", category, labels)):
            if key not in known:
                problems.add(place, f"of the {kind} {key!r}, which is not in the file")
        if image in of_image and category in labels:
            found[image] += read_outline(labels[category], drawn, sizes[image], place, problems)
    drawn_images = [
        Drawn(str(one["file_name"]), *sizes[number], sorted(found[number], key=lambda outline: -outline.area))
        for number, one in of_image.items()
        if "file_name" in one or problems.add(where, f"image {number} has no file_name")  # type: ignore[func-returns-value]
    ]
    return [BACKGROUND, *names], drawn_images


def read_outline(label: int, drawn: Any, size: tuple[int, int], place: str, problems: Problems) -> list[Outline]:
    """An annotation's `segmentation`: a list of polygons, or run lengths; none where something is wrong with it.

    Args:
        size: (width, height) in px of the image that it is drawn on.
        place: of the annotation, for messages.
        problems: gets what is wrong, as `read_coco` says.
    """
    if isinstance(drawn, Mapping):
        runs, sides = drawn.get("counts"), drawn.get("size", [size[1], size[0]])
        if isinstance(runs, str):
            runs = decode_runs(runs)
        if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
            problems.add(place, "counts that are no run lengths, expected a list of integers from 0 on, or COCO's text")
            return []
        if sum(runs) != size[0] * size[1]:
            problems.add(place, f"run lengths of {sum(runs):,} pixels, but its image has {size[0] * size[1]:,}")
            return []
        if sides != [size[1], size[0]]:
            problems.add(place, f"a mask of the size {sides}, but its image has {[size[1], size[0]]} (height, width)")
            return []
        return [Outline(label, [], runs, float(sum(runs[1::2])))]
    try:
        polygons = [np.asarray(one, float).reshape(-1, 2) for one in drawn]
    except (ValueError, TypeError):
        problems.add(place, "a polygon that is not a list of x, y, x, y, ...")
        return []
    if not polygons or any(len(one) < 3 or not np.isfinite(one).all() for one in polygons):
        problems.add(place, "no polygon of three points or more with finite numbers")
        return []
    area = sum(abs(_area(one)) for one in polygons)
    inside = any(((one >= 0) & (one <= size)).all(axis=1).any() for one in polygons)
    if not inside and not any(fill(one, size[1], size[0]).any() for one in polygons):
        problems.add(place, f"outside of its image of {size[0]}x{size[1]} px")
        return []
    return [Outline(label, polygons, [], area)]


def _area(polygon: np.ndarray) -> float:
    """Signed, by the shoelace formula."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def draw_outlines(image: Drawn) -> np.ndarray:
    """(H, W) uint8 class indices. Smaller annotations lie on larger ones, so that none is hidden as a whole."""
    indices = np.zeros((image.height, image.width), np.uint8)
    for outline in image.outlines:
        indices[outline_mask(outline, image.height, image.width)] = outline.label
    return indices


def outline_mask(outline: Outline, height: int, width: int) -> np.ndarray:
    """(H, W) bool: the pixels of an annotation, those of all its polygons."""
    if outline.runs:
        return runs_mask(outline.runs, height, width)
    inside = np.zeros((height, width), bool)
    for polygon in outline.polygons:
        inside |= fill(polygon, height, width)
    return inside


def runs_mask(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """(H, W) bool from run lengths: how many pixels lie outside, inside, outside, ..., down column after column.

    >>> runs_mask([1, 2, 1], 2, 2).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def fill(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) bool: the pixels whose centre is inside a polygon (P, 2) of x, y, by the even-odd rule.

    >>> fill(np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0], [1.0, 2.0]]), 2, 4).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0]])
    """
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5))))
        if len(rows):
            xs = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossings, (rows, np.clip(np.ceil(xs - 0.5), 0, width).astype(int)), 1)
    filled: np.ndarray = crossings[:, :-1].cumsum(axis=1) % 2 == 1
    return filled


def decode_runs(text: str) -> list[int]:
    """The run lengths of COCO's compressed form: numbers of 5 bits a character with a sign, each from the fourth on as
    the difference to the one before the last.

    >>> decode_runs("52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    at = 0
    while at < len(text):
        number, shift, more = 0, 0, True
        while more and at < len(text):
            code = ord(text[at]) - 48
            at += 1
            number |= (code & 31) << shift
            shift += 5
            more = bool(code & 32)
            if not more and code & 16:
                number -= 1 << shift
        runs.append(number + runs[-2] if len(runs) > 2 else number)
    return runs
