"""Masks of objects as COCO's run lengths: how many pixels lie outside, inside, outside, ..., down column after column.

They take some hundred numbers where a mask of the image has millions of pixels. The runs of the objects of an image are
kept one behind the other: each object's add up to the pixels of the image.

N, M masks of an image of H x W px.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from shared.image.boxes import ious_of, unplace_boxes

INSIDE = 0.5  # probability of a pixel from which on it belongs to the object

Array = np.ndarray[Any, Any]


def encode_runs(mask: Array, corner: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> Array:
    """Run lengths (R,) int32 of a mask (h, w) bool that lies in an image.

    Args:
        corner: x, y in px where it begins.
        size: (width, height) of the image; None: the mask's own.

    >>> encode_runs(np.array([[True, True], [False, True]]))
    array([0, 1, 1, 2], dtype=int32)
    """
    width, height = size or (mask.shape[1], mask.shape[0])
    steps = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    column, row = np.nonzero(steps)
    edges, times = np.unique((column + corner[0]) * height + row + corner[1], return_counts=True)
    edges = edges[times == 1]  # a run that goes on at the top of the next column has no edge there
    runs = np.diff(np.concatenate([[0], edges, [width * height]])).astype(np.int32)
    return runs if runs[-1] else runs[:-1]


def split_runs(runs: Array, count: int) -> list[Array]:
    """The run lengths of each of `count` masks of an image, which lie one behind the other."""
    if not count:
        return []
    ends = np.cumsum(runs)
    pixels = ends[-1] // count
    return np.split(runs, np.searchsorted(ends, pixels * np.arange(1, count)) + 1)


def mask_areas(masks: Sequence[Array]) -> Array:
    """(N,) float: pixels."""
    return np.array([runs[1::2].sum() for runs in masks], float)


def mask_ious(first: Sequence[Array], second: Sequence[Array], crowd: Array) -> Array:
    """Intersection over union of each pair (N, M), as `box_ious` has it, from run lengths of one image."""
    edges = [np.cumsum(runs) for runs in first]
    owner = np.repeat(np.arange(len(first)), [len(runs) // 2 for runs in first])
    starts, ends = (
        np.concatenate([edge[side : len(edge) // 2 * 2 : 2] for edge in edges] or [np.zeros(0)]) for side in (0, 1)
    )
    both = np.zeros((len(first), len(second)))
    for column, runs in enumerate(second):
        at, inside = np.append(0, np.cumsum(runs)), np.append(0, np.cumsum(runs * (np.arange(len(runs)) % 2)))
        # How much of it lies before a pixel is linear between its edges
        shared = np.interp(ends, at, inside) - np.interp(starts, at, inside)
        both[:, column] = np.bincount(owner, shared, len(first))
    return ious_of(both, mask_areas(first), mask_areas(second), crowd)


def paste_mask(mask: Array, box: Array, place: Array, size: tuple[int, int]) -> Array:
    """Run lengths, in the file's own pixels, of a mask that was predicted within a box of the prepared image.

    Args:
        mask: (S, S) probabilities, on a grid over the box.
        box: (4,) in the prepared image, also beyond the image in it.
        place: see `shared.image.boxes.Place`.
        size: (width, height) of the upright file.
    """
    x0, y0, x1, y1 = unplace_boxes(box[None], place, size)[0]
    left, top = int(x0), int(y0)
    step_x, step_y = len(mask) / max(1e-6, box[2] - box[0]), len(mask) / max(1e-6, box[3] - box[1])
    # From a pixel of the file to the grid, which has a border of zeros
    columns = (place[0] * step_x, 0.0, (left * place[0] + place[2] - box[0]) * step_x + 1)
    rows = (0.0, place[1] * step_y, (top * place[1] + place[3] - box[1]) * step_y + 1)
    sides = (int(np.ceil(x1)) - left, int(np.ceil(y1)) - top)
    if min(sides) < 1:
        return encode_runs(np.zeros((0, 0), bool), size=size)
    grid = Image.fromarray(np.pad(mask, 1).astype(np.float32))
    found = grid.transform(sides, Image.Transform.AFFINE, (*columns, *rows), Image.Resampling.BILINEAR)
    return encode_runs(np.asarray(found) >= INSIDE, (left, top), size)
