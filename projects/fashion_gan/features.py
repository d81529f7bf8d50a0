"""The features that metrics are computed in: those of a small classifier, trained here on the same data.

They describe what matters in this data; Inception's, which papers use, describe photographs of 299 px. The classifier
has a seed of its own, so that all generators trained on one data set are evaluated in the same features. Where the data
has no classes it learns which of four quarter turns an image was given (RotNet, Gidaris et al. 2018, arXiv:1803.07728).

N images, C channels, S side in pixels, K outputs: classes, or turns where there is one class; D features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.seed import derive
from shared.data.draws import Draws, generator
from shared.image.augment import to_float, translate
from shared.training.step import linear, set_rates

from .params import Evaluate

NUM_FEATURES, TURNS = 64, 4  # D; K where there is one class
CHANNELS, SMALLEST_MAP = (16, 32, 64), 8  # of the convolutions; px a side, below which a map is not halved
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
            layers += [nn.MaxPool2d(2)] * (side > SMALLEST_MAP)
            channels, side = width, side // 2 if side > SMALLEST_MAP else side
        layers += [nn.AdaptiveAvgPool2d(side := min(side, SMALLEST_MAP)), nn.Flatten()]
        layers += [nn.Linear(channels * side**2, NUM_FEATURES, bias=False), nn.BatchNorm1d(NUM_FEATURES)]
        self.features, self.turns = nn.Sequential(*layers), num_classes == 1
        self.head = nn.Linear(NUM_FEATURES, TURNS if self.turns else num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).relu())
        return logits


@torch.inference_mode()
def describe_images(classifier: Classifier, images: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Features (N, D) float64 and predicted labels (N,) int64, on the CPU, of (N, C, S, S) uint8 images, which may be a
    mapped file."""
    parts = torch.split(images, batch_size)
    device = classifier.head.weight.device
    found = torch.cat([classifier.features(to_float(part.to(device))) for part in parts])
    return found.cpu().double(), classifier.head(found.relu()).argmax(1).cpu()


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """(N, C, S, S) images by (N,) quarter turns against the clock."""
    for turn in range(1, TURNS):
        images = torch.where((turns == turn)[:, None, None, None], images.rot90(turn, (2, 3)), images)
    return images


def accuracy(classifier: Classifier, images: Tensor, labels: Tensor, batch_size: int) -> float:
    """Share of correct predictions: of the class, or of the turn that each image is given, 0 to 3 in order."""
    if classifier.turns:
        labels = torch.arange(len(images)) % TURNS
        images = turned(images, labels)
    return (describe_images(classifier, images, batch_size)[1] == labels).double().mean().item()


def train_classifier(
    images: Tensor, labels: Tensor, num_classes: int, params: Evaluate, device: torch.device
) -> Classifier:
    """A classifier in eval mode: a function of the images (N, C, S, S) uint8, their labels (N,) int64, `evaluate.seed`
    and `evaluate.classifier_epochs`."""
    torch.manual_seed(derive(params.seed, "classifier"))
    classifier = Classifier(images.shape[1], images.shape[2], num_classes)
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = min(BATCH_SIZE, len(images))
    steps_an_epoch = len(images) // size
    steps = max(1, round(params.classifier_epochs * steps_an_epoch))
    optimizer = AdamW(classifier.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = linear(steps, warmup=round(WARMUP * steps))
    for step in range(steps):
        epoch, place = divmod(step, steps_an_epoch)
        if place == 0:
            order = torch.randperm(len(images), generator=generator(params.seed, "classifier", epoch))
        chosen = order[place * size :][:size]
        draws = Draws(params.seed, epoch, chosen.to(device))
        batch = translate(to_float(images[chosen].to(device)), draws, round(SHIFT * images.shape[2]))
        label = labels[chosen].to(device)
        if classifier.turns:
            label = draws.integers(0, TURNS - 1)
            batch = turned(batch, label)
        set_rates([optimizer], schedule(step))
        F.cross_entropy(classifier(batch), label).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return classifier.eval()
