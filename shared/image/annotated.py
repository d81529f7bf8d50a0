"""Images with what is annotated in them, as a project's prepare reads them and gives them to the data check.

L objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data.folder import SampleFile
from shared.image.masks import Labels, Legend


@dataclass(frozen=True)
class Boxes:
    """The objects of an image.

    Args:
        boxes: (L, 4) float64, half-open corners in pixels of the upright image, as they are annotated: perhaps outside
            of it, reversed, or not numbers.
        names: L, of their classes.
        places: L, in the annotation, for messages.
        size: (width, height) of the upright image.
        problems: what prepare refuses of them.
    """

    boxes: np.ndarray
    names: list[str]
    places: list[str]
    size: tuple[int, int]
    problems: list[str]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and its annotation.

    Args:
        file: the image; its class is "".
        annotated: whether there is anything in its annotation.
        read: the boxes, or the class of each pixel. Raises UserError.
        mask: the label image that is read; None without.
    """

    file: SampleFile
    annotated: bool
    read: Callable[[], Boxes | Labels]
    mask: Path | None = None


@dataclass(frozen=True)
class AnnotatedImages:
    """The content of a folder.

    Args:
        what: it was taken for, in words.
        images: all that have an annotation, also an empty one.
        classes: their names.
        notes: sentences: what was taken for what, what was left out.
        legend: what the values or colours of masks mean; None for boxes.
    """

    what: str
    images: list[AnnotatedImage]
    classes: list[str]
    notes: list[str]
    legend: Legend | None = None
