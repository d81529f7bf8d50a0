"""What all annotation formats are read into, and what is wrong with boxes of any format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.split import SPLIT_NAMES

EVIDENCE = "evidence"  # the folder of pictures that say which object is seen at a pixel
LEAST_PX = 1.0  # sides of a box are longer: corners of one place, in VOC's inclusive pixels, are a click gone wrong
ROUNDING_PX = 1.0  # boxes that leave the image by this much are clipped: tools round, or count from 0 or 1
LEAST_INSIDE = 0.5  # share of a box that must lie in the image to be kept, clipped, where faulty boxes are dropped

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Object:
    """One annotated object.

    Args:
        where: its place in the annotation, for messages.
        name: of its class.
        box: x0, y0, x1, y1 in pixels of the image, half-open.
        ignored: difficult, or a crowd: neither to be found nor wrong to be found.
        crowd: many objects in one box: any number of detections may lie in it.
        area: in square pixels, where the annotation gives that of the object itself.
        mask: polygons or run lengths in the box's pixels, as COCO's `segmentation` has them; None: none.
    """

    where: str
    name: str
    box: Box
    ignored: bool = False
    crowd: bool = False
    area: float | None = None
    mask: Any = None


@dataclass(frozen=True)
class Picture:
    """One image with what is annotated in it.

    Args:
        path: of the image file.
        id: its name in the data set.
        split: that the data give it; None: none.
        size: (width, height) that the annotation gives; None where it does not.
        objects: in the order of the annotation.
    """

    path: Path
    id: str
    split: str | None
    size: tuple[int, int] | None
    objects: Sequence[Object]


@dataclass
class Found:
    """Everything that a reader found.

    Args:
        form: in words: "Pascal VOC".
        pictures: in the order of their ids.
        classes: in the order of the format; sorted by name where it has none.
        notes: sentences: what was taken for what.
        relative: whether boxes are shares of the image's sides, as YOLO's are.
    """

    form: str
    pictures: list[Picture] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    relative: bool = False

    @property
    def has_masks(self) -> bool:
        """Whether some object has a mask."""
        return any(one.mask for picture in self.pictures for one in picture.objects)


def split_of_folders(path: Path, root: Path) -> str | None:
    """By the folders that a file lies in: train/, valid/, test/."""
    parts = [part.lower() for part in path.relative_to(root).parts[:-1]]
    return next((SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES), None)


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of them, and how many more.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def in_pixels(picture: Picture, size: tuple[int, int]) -> Picture:
    """The same with boxes in pixels, which were shares of the image's sides (width, height)."""
    objects = [
        replace(one, box=(one.box[0] * size[0], one.box[1] * size[1], one.box[2] * size[0], one.box[3] * size[1]))
        for one in picture.objects
    ]
    return replace(picture, objects=objects)


def check_boxes(
    picture: Picture, size: tuple[int, int], classes: Sequence[str], drop: bool, problems: Problems, dropped: list[str]
) -> Picture:
    """The picture with boxes that lie inside of its image; what is wrong goes to `problems`, or is left out.

    Args:
        size: (width, height) that the boxes are measured in.
        drop: whether faulty boxes are left out, or clipped where most of them is in the image; `dropped` names them.
    """
    kept = []
    for one in picture.objects:
        where = f"{show(picture.path)}, {one.where}"
        if one.name not in classes:
            problems.add(where, f"unknown class {one.name!r}, expected one of {listed(list(classes), 8)}")
            continue
        box = np.array(one.box, float)
        clipped = np.clip(box, 0, [*size, *size])
        fault = _fault(box, clipped, size)
        if not fault:
            kept.append(replace(one, box=as_box(clipped)))
        elif not drop:
            problems.add(where, f"{fault}; prepare.faulty_boxes=drop leaves such boxes out")
        else:
            dropped.append(f"{where} ({fault})")
            if np.isfinite(box).all() and _area(clipped) > LEAST_INSIDE * _area(box) > 0:
                kept.append(replace(one, box=as_box(clipped)))
    return replace(picture, objects=kept)


def as_box(edges: np.ndarray) -> Box:
    x0, y0, x1, y1 = edges.tolist()
    return x0, y0, x1, y1


def _fault(box: np.ndarray, clipped: np.ndarray, size: tuple[int, int]) -> str:
    shown = ", ".join(f"{edge:g}" for edge in box)
    if not np.isfinite(box).all():
        return f"box {shown}: not numbers"
    if box[2] < box[0] or box[3] < box[1]:
        return f"box {shown}: corners reversed"
    if min(box[2] - box[0], box[3] - box[1]) <= LEAST_PX:
        return f"box {shown}: without area, or a line of {LEAST_PX:g} px"
    over = np.abs(box - clipped).max()
    if over > ROUNDING_PX or _area(clipped) <= 0:
        return f"box {shown}: outside of the image of {size[0]}x{size[1]} px"
    return ""


def _area(box: np.ndarray) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def copies_of_boxes(pictures: Sequence[Picture]) -> Iterator[str]:
    """Objects that have the box and the class of another in their image: "image, object"."""
    for picture in pictures:
        seen = set()
        for one in picture.objects:
            if (key := (one.name, one.box)) in seen:
                yield f"{picture.id}, {one.where}"
            seen.add(key)
