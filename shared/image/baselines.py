"""What simple models make of images: the baselines of every image classifier.

N images, C channels, H height, W width, K classes.
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from shared.data.table import Table

# Of the linear model: squared weights against the mean loss, for each pixel, so that it suits any size of data.
# A point below its best accuracy on 6,000 images of CIFAR-10 (0.375 of 0.385), in half the time.
REGULARISATION = 5e-4
_MAX_ITERATIONS = 60
_SIDE_PX = 32  # largest that it sees
_CHUNK = 500  # images averaged down at once


def image_baselines(train: Table, test: Table, num_images: int, seed: int) -> dict[str, np.ndarray]:
    """Predicted classes of the test images, (N,) int64, by

    linear: multinomial logistic regression on standardised pixels, what a model without depth reaches;
    majority: the most frequent class of train, always.

    Args:
        train, test: columns image (N, C, H, W) uint8 and label (N,) int64.
        num_images: training images that the linear model learns from at most, drawn with the seed.
    """
    labels, size = train.fixed("label"), len(test)
    chosen = np.random.default_rng(seed).permutation(len(train))[:num_images]
    some = labels[chosen]
    majority = np.full(size, np.bincount(labels).argmax())
    if len(np.unique(some)) == 1:
        return {"linear": np.full(size, some[0]), "majority": majority}
    pixels = _flat(train.fixed("image")[chosen])
    mean, std = pixels.mean(axis=0), pixels.std(axis=0) + 1
    tolerance = min(1e-2, 0.1 / len(np.unique(some)))  # of 200 classes each has a gradient below 1e-2 at the start
    model = LogisticRegression(C=1 / (REGULARISATION * pixels.size), tol=tolerance, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():  # what it reaches in so many iterations is the baseline
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((pixels - mean) / std, some)
    return {"linear": model.predict((_flat(test.fixed("image")) - mean) / std), "majority": majority}


def _flat(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) uint8 -> (N, D) float64, large images averaged down to 32 x 32, where a linear model still fits."""
    sides = min(images.shape[2], _SIDE_PX), min(images.shape[3], _SIDE_PX)
    parts = (torch.from_numpy(np.array(images[start : start + _CHUNK])) for start in range(0, len(images), _CHUNK))
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), sides) for part in parts])
    return small.flatten(1).double().numpy()
