"""Images that are copies of each other though their files differ: re-encoded, resized, slightly cropped, mirrored.

Works on thumbnails in two steps. The search compares the low frequencies of all images and names a few candidates
for each. The proof lays the two images of a candidate over each other (Lucas and Kanade 1981: scale and shift along
each axis) and measures what still differs. benchmarks/leakage.py measures it beside perceptual hashes.

Legend: N images, P pairs, S = SIDE, D numbers a descriptor.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dctn  # type: ignore[import-untyped]
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.functional import gaussian_blur

SIDE = 32  # px of a thumbnail: the size of the smallest photographs that people train on
BLOCK = 1024  # images or pairs at once
FREQUENCIES = 8  # half waves an axis that the search looks at
SHARPENING = 0.7  # the spectrum of photographs falls as 1/f; 1 would make all frequencies count alike
CANDIDATES = 6  # of each query
LEAST_COSINE = 0.7  # of a candidate; planted copies have 0.78 and more
STEPS = 6  # of the alignment
LARGEST_CHANGE = 0.15  # of scale and shift: two opposite crops of 5% a side, and a little more

# The proof. Chosen on copies planted in CIFAR-10's data_batch_1, of which the benchmark plants none.
LEAST_FORM = 0.95  # correlation of brightness: the coarse form
LEAST_LIKENESS = 0.75  # correlation of its details, which tells two white cars apart
MOST_COLOUR = 0.1  # root mean square difference of colour, of 1: two prints in other colours are two images
FINE, COARSE = 0.85, 1.5  # px, sigma of the blurs between which details lie; finer ones get lost in a copy of half size
NOISE = 4e-6  # variance of half a grey level: what varies less has no details

_PLANES = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0], [0.25, 0.25, -0.5]], dtype=np.float32)


class Pairs(NamedTuple):
    """Copies found: both images (P, 2) int64, the smaller number first; the correlation of their details (P,) float32;
    whether left and right are exchanged (P,) bool."""

    ends: np.ndarray
    likeness: np.ndarray
    mirrored: np.ndarray


def find_pairs(thumbnails: np.ndarray) -> Pairs:
    """Finds copies by brightness and colour alone: what is as alike as a copy counts as one.

    An image of one colour is nobody's copy. Of more than 6 copies of one image not every pair is named, but as a rule
    enough of them to connect all. Glyphs and drawings of few lines may be as alike as copies of photographs.

    Args:
        thumbnails: (N, S, S, 3) uint8, the whole images, whatever their shape was.
    """
    plain, flipped = (_candidates(thumbnails, mirrored) for mirrored in (False, True))
    ends, mirrored = np.concatenate([plain, flipped]), np.repeat([False, True], [len(plain), len(flipped)])
    alike = np.empty(len(ends), dtype=np.float32)
    for start in range(0, len(ends), BLOCK):
        rows = slice(start, start + BLOCK)
        alike[rows] = likeness(thumbnails[ends[rows, 0]], thumbnails[ends[rows, 1]], mirrored[rows])
    kept = np.flatnonzero(alike >= LEAST_LIKENESS)
    kept = kept[np.unique(ends[kept], axis=0, return_index=True)[1]]  # a symmetric image is not called mirrored
    return Pairs(ends[kept], alike[kept], mirrored[kept])


def _candidates(thumbnails: np.ndarray, mirrored: bool) -> np.ndarray:
    """(P, 2): for each image, whole and without its border, those that resemble it most."""
    search = NearestNeighbors(n_neighbors=min(CANDIDATES + 1, len(thumbnails)), algorithm="brute")
    search.fit(describe(thumbnails))
    queries, found = thumbnails[:, :, ::-1] if mirrored else thumbnails, []
    for query in (queries, queries[:, 1:-1, 1:-1]):  # the border: about half of the largest crop that is to be found
        distances, columns = search.kneighbors(describe(query))
        row, rank = np.nonzero(distances**2 <= 2 - 2 * LEAST_COSINE)
        found.append(np.sort([row, columns[row, rank]], axis=0).T)
    ends = np.unique(np.concatenate(found), axis=0)
    return np.asarray(ends[ends[:, 0] < ends[:, 1]])


def describe(thumbnails: np.ndarray) -> np.ndarray:
    """Weighted low frequencies (DCT-II) of brightness and colour, without mean brightness.

    Args:
        thumbnails: (N, height, width, 3) uint8.

    Returns:
        (N, D) float32 of length 1; about 0 for an image of one colour without hue.
    """
    blocks = np.array_split(thumbnails, len(thumbnails) // BLOCK + 1)
    rows = np.concatenate([_low_frequencies(block) for block in blocks])
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3), dtype=np.float32)


def _low_frequencies(thumbnails: np.ndarray) -> np.ndarray:
    spectra = dctn(_planes(thumbnails), axes=(2, 3), norm="forward", orthogonalize=True)
    weights = np.hypot(*np.indices((3, FREQUENCIES, FREQUENCIES))[1:]) ** SHARPENING
    weights[1:, 0, 0] = 1  # mean colour counts, mean brightness does not
    return np.asarray((spectra[:, :, :FREQUENCIES, :FREQUENCIES] * weights).reshape(len(thumbnails), -1))


def _planes(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 3, S, S) float32: brightness from 0 to 1, two differences of colour from -0.5 to 0.5."""
    return np.ascontiguousarray((thumbnails @ (_PLANES.T / 255)).transpose(0, 3, 1, 2), dtype=np.float32)


def likeness(one: np.ndarray, other: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """How alike the details of images are that were laid over each other; 0 where form or colour already differ.

    Args:
        one, other: (P, S, S, 3) uint8.
        mirrored: (P,) bool, whether `one` is mirrored first.

    Returns:
        (P,) float32 from 0 to 1.
    """
    one = np.where(mirrored[:, None, None, None], one[:, :, ::-1], one)
    moving, fixed = (gaussian_blur(torch.from_numpy(_planes(images)), [3, 3], [FINE]) for images in (one, other))
    moving, inside = warp(moving, align(moving[:, :1], fixed[:, :1]))
    form = _correlation(moving[:, :1], fixed[:, :1], inside)
    details = [planes[:, :1] - gaussian_blur(planes[:, :1], [9, 9], [COARSE]) for planes in (moving, fixed)]
    detail = _correlation(details[0], details[1], inside)
    apart = ((moving - fixed)[:, 1:].square().mean(1, keepdim=True) * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
    return torch.where((form >= LEAST_FORM) & (apart.sqrt() <= MOST_COLOUR), detail.clamp_min(0), 0).numpy()


def _correlation(one: Tensor, other: Tensor, inside: Tensor) -> Tensor:
    """(P,): Pearson's, over the pixels inside; near 0 where there is hardly any variance."""
    count = inside.sum((1, 2, 3), keepdim=True)
    one, other = ((x - (x * inside).sum((1, 2, 3), keepdim=True) / count) * inside for x in (one, other))
    products = [((x * y).sum((1, 2, 3)) / count.flatten()) for x, y in ((one, other), (one, one), (other, other))]
    return products[0] / ((products[1] * products[2]).sqrt() + NOISE)


def align(moving: Tensor, fixed: Tensor) -> Tensor:
    """Where `moving` must be read to look like `fixed`: Gauss-Newton on the squared difference of brightness.

    Args:
        moving, fixed: (P, 1, S, S) float32.

    Returns:
        (P, 2, 2) float32: scale - 1 and shift, along x and along y; half a side is 1.
    """
    change = torch.zeros(len(moving), 2, 2)
    place = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    for _ in range(STEPS):
        seen, inside = warp(moving, change)
        down, right = torch.gradient(seen, spacing=2 / SIDE, dim=(2, 3))
        slopes = torch.cat([right * place, right, down * place[:, None], down], dim=1) * inside
        slopes, error = slopes.flatten(2), ((fixed - seen) * inside).flatten(2)
        normal = slopes @ slopes.mT
        damping = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1) + 1e-6
        step = torch.linalg.solve(normal + damping[:, None, None] * torch.eye(4), slopes @ error.mT)
        change = (change + step.view(-1, 2, 2)).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)
    return change


def warp(planes: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Reads images (P, C, S, S) at scaled and shifted places, as `align` returns them.

    Returns:
        (P, C, S, S) float32, and (P, 1, S, S) float32: 1 where the place lay inside of the image, else 0.
    """
    theta = torch.zeros(len(planes), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = (1 + change[:, :, 0]).unbind(1)
    theta[:, :, 2] = change[:, :, 1]
    grid = affine_grid(theta, list(planes.shape), align_corners=False)
    inside = (grid.abs() <= 1).all(dim=-1)[:, None].float()
    return grid_sample(planes, grid, padding_mode="border", align_corners=False), inside
