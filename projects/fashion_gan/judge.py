"""Who judges the images: a small classifier, trained on the same data, whose inner features the figures are taken in.

Its features know what matters in this data; Inception's, which papers use, know photographs of 299 px. It has a seed of
its own, so that all generators trained on one data set are judged by the same classifier. Where the data has no classes
it learns which of four quarter turns an image was given (RotNet, Gidaris et al. 2018, arXiv:1803.07728).

N images, C channels, S side in pixels, K outputs: classes, or turns where there is one class; D features.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from shared.data.arrays import Split
from shared.image.batches import ImageBatch, reader, to_float
from shared.training.optim import linear
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.paths import ROOT
from shared.core.sections import FitParams, Runtime
from shared.core.seed import derive
from shared.data.batches import Batches, EqualBatches
from shared.data.draws import Draws
from shared.image.augment import translate
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World
from shared.training.fit import fit
from shared.training.weights import load_weights, read_config, save_model

from .params import Evaluate

FEATURES = 64  # D
CHANNELS = (16, 32, 64, 64)  # of the convolutions, while the map is larger than SMALLEST_MAP
SMALLEST_MAP = 8  # px a side, that the features are made from
TURNS = 4
BATCH, LR, WEIGHT_DECAY, WARMUP = 128, 3e-3, 0.05, 0.1
SHIFT = 1 / 14  # of the side, that training images are moved by at most: it must know kinds of images, not these


class Judge(nn.Module):
    """(N, C, S, S) float in [0, 1] -> (N, K) logits; `features` is what stands before the last layer.

    Those are taken before the ReLU, as batch norm leaves them: near to the Gaussians that the Frechet distance takes
    them for, and each with variance about 1 on real images.
    """

    def __init__(self, channels: int, side: int, num_outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in CHANNELS:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
            if side <= SMALLEST_MAP:
                break
            layers, side = [*layers, nn.MaxPool2d(2)], side // 2
        # What is larger than CHANNELS bring it down to is averaged.
        layers += [nn.AdaptiveAvgPool2d(min(side, SMALLEST_MAP)), nn.Flatten()]
        flat = channels * min(side, SMALLEST_MAP) ** 2
        self.body = nn.Sequential(*layers, nn.Linear(flat, FEATURES, bias=False), nn.BatchNorm1d(FEATURES))
        self.head = nn.Linear(FEATURES, num_outputs)

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images).relu())
        return logits


class Judged(NamedTuple):
    """features: (N, D) float64; label: (N,) int64, what the classifier says. Both on the CPU."""

    features: Tensor
    label: Tensor


def outputs_of(classes: list[str]) -> int:
    """K: what the classifier tells apart."""
    return len(classes) if len(classes) > 1 else TURNS


@torch.inference_mode()
def judge(network: Judge, images: np.ndarray, batch_size: int) -> Judged:
    """What a trained classifier makes of (N, C, S, S) uint8 images, a mapped file among them."""
    device = next(network.parameters()).device
    features = []
    for start in range(0, len(images), batch_size):
        part = torch.tensor(images[start : start + batch_size])  # a copy: a mapped file cannot be written to
        features.append(network.features(to_float(part.to(device))))
    found = torch.cat(features)
    return Judged(found.cpu().double(), network.head(found.relu()).argmax(1).cpu())


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """(N, C, S, S) images by (N,) quarter turns against the clock."""
    for turn in range(1, TURNS):
        images = torch.where((turns == turn)[:, None, None, None], images.rot90(turn, (2, 3)), images)
    return images


def accuracy(network: Judge, split: Split, classes: list[str], batch_size: int) -> float:
    """Share of a split that the classifier is right about: their class, or the turn each is given, 0 to 3 in order."""
    labels, images = torch.from_numpy(split.labels), torch.from_numpy(np.array(split.images))
    if len(classes) == 1:
        labels = torch.arange(len(split)) % TURNS
        images = turned(images, labels)
    return (judge(network, images.numpy(), batch_size).label == labels).double().mean().item()


def train_judge(
    split: Split, classes: list[str], params: Evaluate, runtime: Runtime, world: World, checkpoint: Checkpoint
) -> Judge:
    """A classifier of the training images, in eval mode: a function of the data, `evaluate.seed` and nothing else."""
    channels, side = split.images.shape[1:3]
    torch.manual_seed(derive(params.seed, "judge"))
    network = Judge(channels, side, outputs_of(classes))
    network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = _batches(split, len(classes) == 1, params, world)
    updates = max(1, round(params.classifier_epochs * len(batches)))
    fit(
        network,
        _loss,
        train=batches,
        validate=None,
        optimizers=[AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)],
        schedule=linear(updates, warmup=round(WARMUP * updates)),
        params=_fit_params(params),
        runtime=runtime,
        world=world,
        checkpoint=checkpoint,
        scratch=ROOT / ".profile" / "judge",
    )
    return network.eval()


def _loss(model: nn.Module, batch: ImageBatch) -> tuple[Tensor, int, dict[str, Tensor]]:
    logits = model(batch.image)
    total = F.cross_entropy(logits, batch.label, reduction="sum")
    return total, len(batch.label), {"accuracy": (logits.argmax(1) == batch.label).sum()}


def _fit_params(params: Evaluate) -> FitParams:
    return FitParams(
        seed=params.seed,
        epochs=params.classifier_epochs,
        batch_size=BATCH,
        micro_batch_size=BATCH,
        precision="fp32",
        clip_norm=0.0,
        ema_decay=0.0,
        validate_epochs=params.classifier_epochs,
        monitor="",
        keep="last",
        patience=0,
    )


def _batches(split: Split, turn: bool, params: Evaluate, world: World) -> Batches:
    """Training images moved a little, with their class or with the turn they are given."""
    size, pixels = min(BATCH, len(split)), round(SHIFT * split.images.shape[2])

    def finish(raw: tuple[Tensor, Tensor], sample: Tensor, epoch: float) -> ImageBatch:
        draws = Draws(params.seed, int(epoch), sample)
        images, labels = translate(to_float(raw[0]), draws, pixels), raw[1]
        if turn:
            labels = draws.integers(0, TURNS - 1)
            images = turned(images, labels)
        return ImageBatch(images, labels, sample)

    plan = EqualBatches(len(split), size, size, world)
    return Batches(reader(split, world.device), finish, plan=plan, seed=params.seed, world=world)


def save_judge(folder: Path, network: Judge, config: dict[str, Any]) -> None:
    """Writes model.safetensors and model.json into a new folder. config: classes, channels, image_size."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, network, {key: config[key] for key in ("classes", "channels", "image_size")})


def load_judge(folder: Path, command: str) -> tuple[Judge, dict[str, Any]]:
    """The classifier in eval mode, and its config: classes, channels, image_size.

    Args:
        folder: results/evaluate/classifier.
        command: what makes it, told to the user where there is none.
    """
    config = read_config(folder, command)
    network = Judge(config["channels"], config["image_size"], outputs_of(config["classes"]))
    load_weights(folder, network)
    return network.eval(), config
