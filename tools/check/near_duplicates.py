"""Pictures that are copies of each other though their files differ: re-encoded, resized, slightly cropped, mirrored.

Two steps, both on thumbnails of 32x32 px. The search compares low frequencies of all with all, one product of
matrices a block, and names a few candidates for each picture. The proof lays the two pictures of a candidate over
each other (Lucas and Kanade 1981: scale and shift along each axis) and measures what still differs.

Legend: N pictures, P pairs, S = SIDE, F frequencies an axis, D numbers a descriptor.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SIDE = 32  # px of a thumbnail: the size of the smallest photographs that people train on
FREQUENCIES, COLOUR_FREQUENCIES = 8, 4  # half waves an axis that the search looks at
SHARPENING = 0.7  # the spectrum of photographs falls as 1/f; 1 would make all frequencies count alike
CROP = 0.025  # off each side, for the second query: halfway to the largest crop that is to be found
CANDIDATES = 6  # of each query
LEAST_COSINE = 0.7  # of a candidate; planted copies have 0.78 and more
BLOCK = 1024  # queries at once: with 60,000 pictures, 0.25 GB of cosines
PAIRS_AT_ONCE = 256  # what the alignment holds of them fits into a cache: twice as fast as 2048
STEPS = 6  # of the alignment
LARGEST_CHANGE = 0.15  # of scale and shift: two opposite crops of 5% a side, and a little more

# Brightness, and two differences of colour.
_PLANES = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0], [0.25, 0.25, -0.5]], dtype=np.float32)

# The proof. Chosen on copies planted in CIFAR-10's data_batch_1 and on the candidates found in it;
# benchmarks/leakage.py reports on other images.
LEAST_FORM = 0.95  # correlation of brightness: the coarse form
LEAST_LIKENESS = 0.75  # correlation of its details, which tells two white cars apart
MOST_COLOUR = 0.1  # root mean square difference of colour, of 1: two prints in other colours are two pictures
NOISE = 4e-6  # variance of half a grey level: what varies less has no details


class Pairs(NamedTuple):
    """Copies found.

    Args:
        ends: (P, 2) int64, the two pictures, the smaller number first.
        mirrored: (P,) bool, left and right are exchanged.
        likeness: (P,) float32 from LEAST_LIKENESS to 1: the correlation of their details.
    """

    ends: np.ndarray
    mirrored: np.ndarray
    likeness: np.ndarray


def find_pairs(thumbnails: np.ndarray) -> Pairs:
    """Finds copies among pictures, by brightness and colour alone: what is as alike as a copy counts as one.

    A picture of one colour is no one's copy. Of more than 6 copies of one picture not every pair is named, though as
    a rule enough of them to connect all. Glyphs and drawings of few lines may be as alike as copies of photographs.

    Args:
        thumbnails: (N, S, S, 3) uint8, the whole pictures, whatever their shape was.
    """
    found = [_proved(thumbnails, mirrored) for mirrored in (False, True)] if len(thumbnails) > 1 else []
    index = np.concatenate([pairs.ends for pairs in found] or [np.empty((0, 2), dtype=np.int64)])
    index, first = np.unique(index, axis=0, return_index=True)  # the first: a symmetric picture is not called mirrored
    parts = [np.concatenate([pairs[part] for pairs in found] or [np.empty(0)])[first] for part in (1, 2)]
    return Pairs(index, parts[0].astype(bool), parts[1].astype(np.float32))


def _proved(thumbnails: np.ndarray, mirrored: bool) -> Pairs:
    index = _candidates(thumbnails, mirrored)
    parts = np.split(index, range(PAIRS_AT_ONCE, len(index), PAIRS_AT_ONCE))
    alike = np.concatenate(
        [likeness(thumbnails[one], thumbnails[other], mirrored) for one, other in (part.T for part in parts)]
    )
    kept = alike >= LEAST_LIKENESS
    return Pairs(index[kept], np.full(kept.sum(), mirrored), alike[kept])


# --- the search ---------------------------------------------------------------------------------------------------


def describe(thumbnails: np.ndarray, crop: float = 0.0, mirrored: bool = False) -> np.ndarray:
    """What the search compares: weighted low frequencies (DCT-II) of brightness and colour, without mean brightness.

    Args:
        thumbnails: (N, S, S, 3) uint8.
        crop: share of each side that is cut off first.
        mirrored: whether left and right are exchanged first.

    Returns:
        (N, D) float32 of length 1; 0 for a picture of one colour without hue.
    """
    blocks = np.split(thumbnails, range(BLOCK, len(thumbnails), BLOCK))
    rows = np.concatenate([_spectra(block, crop, mirrored) for block in blocks])
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3), dtype=np.float32)


def _spectra(thumbnails: np.ndarray, crop: float, mirrored: bool) -> np.ndarray:
    """(N, D): the weighted frequencies of each plane, one after the other."""
    planes, rows = _planes(thumbnails), []
    for number, frequencies in enumerate((FREQUENCIES, COLOUR_FREQUENCIES, COLOUR_FREQUENCIES)):
        basis = _basis(planes.shape[-1], crop, frequencies)
        waves = np.hypot(*np.indices((frequencies, frequencies))) + (1 if number else 0)
        spectrum = (basis @ planes[:, number] @ basis.T) * waves**SHARPENING
        if mirrored:
            spectrum[:, :, 1::2] *= -1  # cosines of odd order are odd
        rows.append(spectrum.reshape(len(planes), -1))
    return np.concatenate(rows, axis=1)


def _planes(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 3, S, S) float32: brightness from 0 to 1, two differences of colour from -0.5 to 0.5."""
    return np.ascontiguousarray((thumbnails @ (_PLANES.T / 255)).transpose(0, 3, 1, 2), dtype=np.float32)


def _basis(side: int, crop: float, frequencies: int) -> np.ndarray:
    """(F, S): resampling of the inner part of an axis, then its cosine transform. So a crop costs nothing more."""
    inner = (np.arange(side) + 0.5) * (1 - 2 * crop) + crop * side - 0.5
    resample = np.maximum(0, 1 - np.abs(inner[:, None] - np.arange(side)))
    waves = np.cos(np.pi / side * np.arange(frequencies)[:, None] * (np.arange(side) + 0.5))
    waves[0] *= np.sqrt(0.5)  # so that all cosines have one length
    return np.asarray(waves @ resample / side, dtype=np.float32)


def _candidates(thumbnails: np.ndarray, mirrored: bool) -> np.ndarray:
    """(P, 2): for each picture, as it is and cropped, those that resemble it most; the smaller number first."""
    base = torch.from_numpy(describe(thumbnails))
    queries = [torch.from_numpy(describe(thumbnails, crop, mirrored)) for crop in (0.0, CROP)]
    found = []
    for query in queries:
        for start, cosines, columns in nearest(query, base, CANDIDATES):
            row, rank = torch.nonzero(cosines >= LEAST_COSINE, as_tuple=True)
            found.append(torch.stack((start + row, columns[row, rank]), dim=1).numpy())
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def nearest(queries: Tensor, base: Tensor, count: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For blocks of queries the rows of `base` with the largest products, best first; query i never finds row i.

    Args:
        queries, base: (N, D) float32.
        count: how many of each query; N - 1 at most are given.

    Yields:
        The block's first query, and the products and the rows, both (B, count).
    """
    for start in range(0, len(queries), BLOCK):
        products = queries[start : start + BLOCK] @ base.T
        rows = torch.arange(len(products))
        products[rows, start + rows] = -torch.inf
        values, columns = products.topk(min(count, len(base) - 1), dim=1)
        yield start, values, columns


# --- the proof ----------------------------------------------------------------------------------------------------


def likeness(one: np.ndarray, other: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """How alike the details of pictures are that were laid over each other; 0 where form or colour already differ.

    Args:
        one, other: (P, S, S, 3) uint8.
        mirrored: whether `one` is mirrored first.

    Returns:
        (P,) float32 from 0 to 1.
    """
    moving, fixed = (_blurred(torch.from_numpy(_planes(images))) for images in (one, other))
    moving = moving.flip(-1) if mirrored else moving
    moving, inside = warp(moving, align(moving[:, 0], fixed[:, 0]))
    form = _correlation(moving[:, 0], fixed[:, 0], inside)
    detail = _correlation(_details(moving[:, 0]), _details(fixed[:, 0]), inside)
    apart = (((moving - fixed)[:, 1:] ** 2).mean(1) * inside).sum((1, 2)) / inside.sum((1, 2))
    return torch.where((form >= LEAST_FORM) & (apart.sqrt() <= MOST_COLOUR), detail.clamp_min(0), 0).numpy()


def _blurred(planes: Tensor) -> Tensor:
    """By [1 2 1] / 4 along both axes, which takes away what a copy of half the size has lost."""
    for axis in (-1, -2):
        size = planes.shape[axis]
        wide = torch.cat((planes.narrow(axis, 0, 1), planes, planes.narrow(axis, size - 1, 1)), axis)
        planes = (wide.narrow(axis, 0, size) + 2 * planes + wide.narrow(axis, 2, size)) / 4
    return planes


def _details(planes: Tensor) -> Tensor:
    return planes - _blurred(_blurred(_blurred(planes)))


def _correlation(one: Tensor, other: Tensor, inside: Tensor) -> Tensor:
    """(P,): Pearson's, over the pixels inside; near 0 where there is hardly any variance."""
    count = inside.sum((1, 2), keepdim=True)
    one, other = ((x - (x * inside).sum((1, 2), keepdim=True) / count) * inside for x in (one, other))
    variances = [(x * x).sum((1, 2)) / count[:, 0, 0] for x in (one, other)]
    return (one * other).sum((1, 2)) / count[:, 0, 0] / ((variances[0] * variances[1]).sqrt() + NOISE)


def align(moving: Tensor, fixed: Tensor) -> Tensor:
    """Where `moving` must be read to look like `fixed`: Gauss-Newton on the squared difference of brightness.

    Args:
        moving, fixed: (P, S, S) float32.

    Returns:
        (P, 4) float32: scale - 1 and shift down, scale - 1 and shift to the right; half a side is 1.
    """
    change = torch.zeros(len(moving), 4)
    for _ in range(STEPS):
        seen, inside = warp(moving[:, None], change)
        change = (change + _step(seen[:, 0], fixed, inside)).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)
    return change


def _step(seen: Tensor, fixed: Tensor, inside: Tensor) -> Tensor:
    place = _places(seen.shape[-1])
    down, right = torch.gradient(seen, spacing=2 / seen.shape[-1], dim=(1, 2))
    slopes = torch.stack((down * place[:, None], down, right * place, right), dim=-1) * inside[..., None]
    slopes, error = slopes.flatten(1, 2), ((fixed - seen) * inside).flatten(1)[..., None]
    normal = slopes.mT @ slopes
    damping = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1) + 1e-6
    step: Tensor = torch.linalg.solve(normal + damping[:, None, None] * torch.eye(4), slopes.mT @ error)
    return step[..., 0]


def warp(planes: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Reads pictures at scaled and shifted places, linearly interpolated.

    Args:
        planes: (P, C, S, S) float32.
        change: (P, 4), as `align` returns it.

    Returns:
        (P, C, S, S) float32, and (P, S, S) float32: 1 where the place lay inside of the picture, else 0.
    """
    rows, row_inside = _resampling(planes.shape[2], change[:, 0], change[:, 1])
    columns, column_inside = _resampling(planes.shape[3], change[:, 2], change[:, 3])
    return rows[:, None] @ planes @ columns[:, None].mT, row_inside[:, :, None] * column_inside[:, None, :]


def _resampling(side: int, zoom: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """(P, S, S) weights of the pixels of one axis, and (P, S) whether the place is inside."""
    place = _places(side) * (1 + zoom[:, None]) + shift[:, None]
    pixel = ((place + 1) * side - 1) / 2
    weights = (1 - (pixel.clamp(0, side - 1)[..., None] - torch.arange(side)).abs()).clamp_min(0)
    return weights, (place.abs() <= 1).float()


def _places(side: int) -> Tensor:
    """(S,) the middles of the pixels, between -1 and 1."""
    return (2 * torch.arange(side) + 1) / side - 1
