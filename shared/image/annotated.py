"""Images with what is annotated in them, as a project's prepare reads them and gives them to the data check.

L objects.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.core.errors import Problems
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


def group_keys(keys: Sequence[str], names: Sequence[str], pattern: str, problems: Problems) -> list[str]:
    """A key for each image, so that what belongs together stays in one split: copies of a file have the same key,
    and images whose names share a match of the pattern. Copies with different matches make one group of both.

    Args:
        keys: that copies of a file share, see `find_copies`.
        names: of the images.
        pattern: a regular expression (prepare.group), searched for in the names; "": copies alone.
        problems: gets a pattern that is no regular expression.

    >>> group_keys(["a", "b", "a", "c"], ["v1_a", "v1_b", "v2_a", "c"], "^v[0-9]", Problems(""))
    ['v1', 'v1', 'v1', 'c']
    """
    try:
        matches = [re.search(pattern, name) if pattern else None for name in names]
    except re.error as error:
        problems.add("prepare.group", f"{pattern!r} is no regular expression: {error}")
        return list(keys)
    groups = [match[0] if match else key for match, key in zip(matches, keys, strict=True)]
    joined, of_copy = dict[str, str](), dict[str, str]()

    def first(group: str) -> str:
        """The group that this one was joined to, perhaps by way of others."""
        while joined.get(group, group) != group:
            group = joined[group]
        return group

    for key, group in zip(keys, groups, strict=True):
        joined[first(group)] = first(of_copy.setdefault(key, group))
    return [first(group) for group in groups]
