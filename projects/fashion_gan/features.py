"""The features that metrics are computed in: those of a small classifier, trained here on the same data.

They describe what matters in this data; Inception's, which papers use, describe photographs of 299 px. The classifier
has a seed of its own, so that all generators trained on one data set are evaluated in the same features. Where the data
has no classes it learns which of four quarter turns an image was given (RotNet, Gidaris et al. 2018, arXiv:1803.07728).

N images, C channels, S side in pixels, K outputs: classes, or turns where there is one class; D features.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from shared.core.seed import derive
from shared.data.draws import Draws, generator
from shared.image.augment import translate
from shared.image.batches import to_float

from .params import Evaluate

NUM_FEATURES = 64  # D
CHANNELS = (16, 32, 64, 64)  # of the convolutions, while the map is larger than SMALLEST_MAP
SMALLEST_MAP = 8  # px a side, that the features are made from
TURNS = 4
BATCH_SIZE, LR, WEIGHT_DECAY, WARMUP = 128, 3e-3, 0.05, 0.1
SHIFT = 1 / 14  # of the side, that training images are moved by at most: it must know kinds of images, not these


class Classifier(nn.Module):
    """(N, C, S, S) float in [0, 1] -> (N, K) logits; `features` is what stands before the last layer.

    Those are taken before the ReLU, as batch norm leaves them: near to the Gaussians that the Frechet distance takes
    them for, and each with variance about 1 on real images.
    """

    def __init__(self, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in CHANNELS:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
            if side <= SMALLEST_MAP:
                break
            layers, side = [*layers, nn.MaxPool2d(2)], side // 2
        side = min(side, SMALLEST_MAP)
        layers += [nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(channels * side**2, NUM_FEATURES, bias=False)]
        self.features = nn.Sequential(*layers, nn.BatchNorm1d(NUM_FEATURES))
        self.turns = num_classes == 1
        self.head = nn.Linear(NUM_FEATURES, TURNS if self.turns else num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).relu())
        return logits


class Described(NamedTuple):
    """Images as the classifier describes them. features: (N, D) float64; label: (N,) int64. Both on the CPU."""

    features: Tensor
    label: Tensor


@torch.inference_mode()
def describe_images(classifier: Classifier, images: np.ndarray, batch_size: int) -> Described:
    """Features and predicted labels of (N, C, S, S) uint8 images, which may be a mapped file."""
    device = next(classifier.parameters()).device
    parts = (torch.tensor(images[start : start + batch_size]) for start in range(0, len(images), batch_size))
    found = torch.cat([classifier.features(to_float(part.to(device))) for part in parts])
    return Described(found.cpu().double(), classifier.head(found.relu()).argmax(1).cpu())


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """(N, C, S, S) images by (N,) quarter turns against the clock."""
    for turn in range(1, TURNS):
        images = torch.where((turns == turn)[:, None, None, None], images.rot90(turn, (2, 3)), images)
    return images


def accuracy(classifier: Classifier, images: np.ndarray, labels: np.ndarray, batch_size: int) -> float:
    """Share of correct predictions: of the class, or of the turn that each image is given, 0 to 3 in order."""
    if classifier.turns:
        turns = torch.arange(len(images)) % TURNS
        images, labels = turned(torch.tensor(images), turns).numpy(), turns.numpy()
    return float((describe_images(classifier, images, batch_size).label.numpy() == labels).mean())


def train_classifier(
    images: np.ndarray, labels: np.ndarray, num_classes: int, params: Evaluate, device: torch.device
) -> Classifier:
    """A classifier in eval mode: a function of the images (N, C, S, S), their labels (N,), `evaluate.seed` and
    `evaluate.classifier_epochs`."""
    torch.manual_seed(derive(params.seed, "classifier"))
    classifier = Classifier(images.shape[1], images.shape[2], num_classes)
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = min(BATCH_SIZE, len(images))
    steps_an_epoch = len(images) // size
    steps = max(1, round(params.classifier_epochs * steps_an_epoch))
    optimizer = AdamW(classifier.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = LambdaLR(optimizer, lambda step: min((step + 1) / WARMUP, (steps - step) / (1 - WARMUP)) / steps)
    for step in range(steps):
        epoch, place = divmod(step, steps_an_epoch)
        if place == 0:
            order = torch.randperm(len(images), generator=generator(params.seed, "classifier", epoch))
        chosen = order[place * size :][:size]
        draws = Draws(params.seed, epoch, chosen.to(device))
        batch = translate(to_float(torch.tensor(images[chosen]).to(device)), draws, round(SHIFT * images.shape[2]))
        label = torch.tensor(labels[chosen]).to(device)
        if classifier.turns:
            label = draws.integers(0, TURNS - 1)
            batch = turned(batch, label)
        F.cross_entropy(classifier(batch), label).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return classifier.eval()
