"""The network: a compact residual-free CNN that learns fast from scratch, or any torchvision classifier by name.

The compact net follows the public CIFAR-10 speed records (Page 2019; Jordan 2024, arXiv:2404.00498): a first layer
that whitens 2x2 patches, three blocks of two convolutions that start as the identity, a small head.

N images, C channels, H height, W width, K classes. All networks take float images in [0, 1] and normalise inside.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.training.weights import load_weights, read_config

from .params import Model

PATCH = 2  # px, side of the patches that the first layer whitens
WHITEN_EPS = 5e-4  # added to the eigenvalues, so that flat directions are not blown up
BATCH_NORM_MOMENTUM = 0.4  # of the running statistics: short trainings need young ones


class Normalise(nn.Module):
    """(x - mean) / std by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def identity_conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution whose first filters pass their input through: a new net is shallow until it learns depth."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding="same", bias=False)
    nn.init.dirac_(conv.weight.data[:channels_in])
    return conv


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm without a gain: the convolution before it is scaled by its optimizer."""
    norm = nn.BatchNorm2d(channels, eps=1e-6, momentum=BATCH_NORM_MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        identity_conv(channels_in, channels_out),
        nn.MaxPool2d(2),
        batch_norm(channels_out),
        nn.GELU(),
        identity_conv(channels_out, channels_out),
        batch_norm(channels_out),
        nn.GELU(),
    )


class CompactNet(nn.Module):
    """Whitening, three blocks, largest activation of each channel, head: (N, C, H, W) -> (N, K) logits."""

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        filters = 2 * channels * PATCH**2
        self.whiten = nn.Conv2d(channels, filters, PATCH)
        self.whiten.weight.requires_grad_(False)
        self.blocks = nn.Sequential(
            nn.GELU(), block(filters, width), block(width, 4 * width), block(4 * width, 4 * width)
        )
        self.head = nn.Linear(4 * width, num_classes, bias=False)
        nn.init.normal_(self.head.weight, std=1 / self.head.in_features)  # small logits: early errors weigh alike

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.whiten(images)).amax(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


@torch.no_grad()
def whiten_from(model: nn.Sequential, images: Tensor) -> None:
    """Sets the compact net's first layer to the eigenvectors of the images' patches, each with both signs.

    Args:
        model: from `build_model`.
        images: (N, C, H, W) float in [0, 1]; some thousands are enough.
    """
    normalise, net = model
    if not isinstance(net, CompactNet):
        return
    patches = normalise(images).unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # N C H W P P
    flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, net.whiten.weight[0].numel()).double()
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    filters = (vectors / (values + WHITEN_EPS).sqrt()).T.reshape(-1, *net.whiten.weight.shape[1:])
    net.whiten.weight.copy_(torch.cat([filters, -filters]))


def torchvision_classifier(name: str, num_classes: int, channels: int) -> nn.Module:
    """Any classifier of torchvision, from scratch. Raises UserError on an unknown name."""
    from torchvision import models  # takes seconds to import: only who asks for it pays

    if name not in models.list_models(module=models):
        raise UserError(f"train.model.name: unknown network {name!r}", expected="compact, or a torchvision classifier")
    if channels != 3:
        raise UserError(f"{name} takes 3 channels, the data has {channels}", fix="train.model.name=compact")
    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    return network


def build_model(config: Mapping[str, Any]) -> nn.Sequential:
    """Normalisation and network: (N, C, H, W) float in [0, 1] -> (N, K) logits.

    Args:
        config: model (see params.py), classes, channels, mean, std: what model.json holds.
    """
    params, channels, num_classes = Model(**config["model"]), config["channels"], len(config["classes"])
    if params.name == "compact":
        net: nn.Module = CompactNet(channels, num_classes, params.width)
    else:
        net = torchvision_classifier(params.name, num_classes, channels)
    return nn.Sequential(Normalise(config["mean"], config["std"]), net)


def load_model(folder: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config


def _views(images: Tensor, views: int, flip: bool) -> Iterator[tuple[float, Tensor]]:
    """The views of test-time augmentation and their weights, which sum to one."""
    shifted: list[tuple[float, Tensor]] = [(1.0, images)]
    if views == 6:
        height, width = images.shape[2:]
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        corners = padded[:, :, 2:, 2:], padded[:, :, :height, :width]  # the image moved up-left, down-right
        shifted = [(0.5, images)] + [(0.25, corner) for corner in corners]
    for weight, image in shifted:
        yield from [(weight / 2, image), (weight / 2, image.flip(3))] if flip and views > 1 else [(weight, image)]


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Logits averaged over views of each image, as evaluate measures them and predict gives them.

    Args:
        model: in eval mode.
        images: (N, C, H, W) float in [0, 1], on the model's device.
        config: views: 1 as it is; 2 and its mirror image; 6 both also moved by a pixel up-left and down-right with
            reflected borders, where the two moves together weigh as much as staying (Jordan 2024, arXiv:2404.00498).
            flip: False leaves the mirror images out: the model has seen none.

    Returns:
        (N, K) logits.
    """
    views = _views(images, config["views"], config["flip"])
    return torch.stack([weight * model(view) for weight, view in views]).sum(0)
