"""The evaluate stage of an image classifier, and the simple models that it is compared with.

N images, C channels, H height, W width, K classes.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from shared.data.batches import even_shares, gather
from shared.data.table import Table
from shared.evaluation.classification import Case, evaluate_classes
from shared.image.augment import to_float
from shared.image.show import show_images
from shared.report.blocks import Block
from shared.training.stage import Trained

# Of the linear model: squared weights against the mean loss, for each pixel, so that it suits any size of data.
# A point below its best accuracy on 6,000 images of CIFAR-10 (0.375 of 0.385), in half the time.
REGULARISATION = 5e-4
_MAX_ITERATIONS = 60
_SIDE_PX = 32  # of the linear model's input, at most
_CHUNK = 500  # images averaged down at once


def evaluate_images(trained: Trained[Any], logits: Callable[[Tensor], Tensor]) -> None:
    """The whole stage, see shared/evaluation/classification.py.

    Args:
        trained: whose params.evaluate are EvaluateImages.
        logits: (N, C, H, W) float in [0, 1], on the model's device -> (N, K).
    """
    chosen, test, world = trained.params.evaluate, trained.prepared.table("test"), trained.world

    def show_errors(rows: Sequence[int], cases: Sequence[Case], folder: Path) -> Block:
        return show_images(folder, [test.fixed("image")[row] for row in rows], cases)

    evaluate_classes(
        trained,
        lambda batch: logits(to_float(batch["image"])),
        gather(test, "image", "label", device=world.device),
        even_shares(len(test), chosen.batch_size, world),
        unit="images",
        baselines=lambda train, test: image_baselines(train, test, chosen.baseline_images, chosen.seed),
        show_errors=show_errors,
    )


def image_baselines(train: Table, test: Table, num_images: int, seed: int) -> dict[str, np.ndarray]:
    """Predicted classes of the test images, (N,) int64, by

    linear: multinomial logistic regression on standardised pixels, what a model without depth reaches;
    majority: the most frequent class of train, always.

    Args:
        train, test: columns image (N, C, H, W) uint8 and label (N,) int64.
        num_images: most training images of the linear model, drawn with the seed.
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
