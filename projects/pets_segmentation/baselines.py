"""Simple models that the network is compared with: a classifier of each pixel by its surroundings, and the class that
is most frequent at a place.

N images, H, W height and width of an image, K classes, F features.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor
from torch.nn import functional as F

from shared.image.masks import IGNORED

RADII_PX = 1, 3, 7, 15  # of the squares around a pixel whose colours are averaged
CELLS = 24  # of the grid of places, along both sides
PREDICTED = 500_000  # pixels that the classifier is asked about, at most: others take the nearest answer
_ROUNDS = 60  # of boosting

Guess = Callable[[np.ndarray], np.ndarray]  # image (3, H, W) uint8 -> class indices (H, W) uint8
Labelled = tuple[np.ndarray, np.ndarray]  # image (3, H, W) uint8, mask (H, W) uint8


def features(image: np.ndarray, step: int = 1) -> np.ndarray:
    """(3, H, W) uint8 -> (H / step, W / step, F) float32: a pixel's colour, means and deviations of the squares around
    it, and its place."""
    pixels = torch.from_numpy(image)[None].float() / 255
    height, width = image.shape[1:]
    maps: list[Tensor] = [pixels]
    for radius in RADII_PX:
        mean = _mean(pixels, radius)
        spread = (_mean(pixels.square(), radius) - mean.square()).clamp_min(0).sqrt()
        maps += [mean, spread.mean(1, keepdim=True)]
    rows = torch.linspace(0, 1, height)[:, None].expand(height, width)
    columns = torch.linspace(0, 1, width)[None].expand(height, width)
    whole = torch.cat([*maps, rows[None, None], columns[None, None]], 1)[0]
    return whole[:, ::step, ::step].permute(1, 2, 0).numpy()


def _mean(maps: Tensor, radius: int) -> Tensor:
    """Over squares, which end at the image's borders."""
    for axis in ((1, 0), (0, 1)):
        size = [2 * radius * one + 1 for one in axis]
        maps = F.avg_pool2d(maps, size, 1, [radius * one for one in axis], count_include_pad=False)
    return maps


def surroundings(
    train: Iterator[Labelled], num_images: int, num_pixels: int, pixels_to_predict: int, seed: int
) -> Guess:
    """Gradient boosting over the features of single pixels.

    Args:
        train: labelled training images, num_images of them.
        num_pixels: most training pixels, about equally many from each image.
        pixels_to_predict: of all test images, which says how many of them are asked about.
    """
    draws, each = np.random.default_rng(seed), max(1, -(-num_pixels // num_images))
    inputs, labels = [], []
    for image, mask in train:
        counted = np.flatnonzero(mask.ravel() != IGNORED)
        chosen = draws.permutation(counted)[:each]
        inputs.append(features(image).reshape(mask.size, -1)[chosen])
        labels.append(mask.ravel()[chosen])
    model = HistGradientBoostingClassifier(max_iter=_ROUNDS, early_stopping=False, random_state=seed)
    known = np.concatenate(labels)
    if len(np.unique(known)) == 1:
        return lambda image: np.full(image.shape[1:], known[0])
    model.fit(np.concatenate(inputs), known)
    step = max(1, int(np.ceil(np.sqrt(pixels_to_predict / PREDICTED))))

    def guess(image: np.ndarray) -> np.ndarray:
        some = features(image, step)
        found = model.predict(some.reshape(-1, some.shape[-1])).reshape(some.shape[:2])
        large = found.repeat(step, axis=0).repeat(step, axis=1)
        cut: np.ndarray = large[: image.shape[1], : image.shape[2]].astype(np.uint8)
        return cut

    return guess


def place(train: Iterator[Labelled], num_classes: int) -> Guess:
    """The most frequent class of train at a place of the image."""
    counts = np.zeros((CELLS, CELLS, num_classes), np.int64)
    for _, mask in train:
        rows, columns = _cells(mask.shape)
        where = (rows[:, None] * CELLS + columns[None]).astype(np.int64)
        counted = mask != IGNORED
        flat = where[counted] * num_classes + mask[counted]
        counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
    overall = counts.sum((0, 1)).argmax()
    likely = np.where(counts.any(axis=2), counts.argmax(axis=2), overall).astype(np.uint8)

    def guess(image: np.ndarray) -> np.ndarray:
        rows, columns = _cells(image.shape[1:])
        found: np.ndarray = likely[rows[:, None], columns[None]]
        return found

    return guess


def _cells(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (np.arange(side) * CELLS // side for side in shape)
    return rows, columns
