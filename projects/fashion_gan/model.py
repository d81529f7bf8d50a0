"""DCGAN (Radford et al. 2016, arXiv:1511.06434) for any side = base * 2^n with base 4 to 7, with classes or without.

The generator scales its batch norm by class, the discriminator adds a product with the class's embedding (Miyato &
Koyama 2018, arXiv:1802.05637). The discriminator has no batch norm: the R1 penalty keeps it smooth (see losses.py).

N images, C channels, S side in pixels, K classes, L numbers of noise, F features.
"""

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.image.augment import to_float
from shared.training.weights import load_weights, read_config

from .params import Model, num_doublings

WIDEST = 8  # times `width`: a discriminator of 128 px would take 512 MB otherwise
SLOPE = 0.2  # of the discriminator's leaky ReLU, below 0
STD = 0.02  # of the initial weights, as in the paper


class ClassNorm(nn.BatchNorm2d):
    """Batch norm with a gain and a bias for each class: (N, F, H, W), (N,) int64 -> (N, F, H, W).

    Its running statistics stay as they are in training: an averaged generator has no batches of its own.
    `measure_batch_norm` sets them when a generator is to be used.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, momentum=0.0, affine=False)
        self.gain, self.offset = nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        gain, offset = self.gain(label)[:, :, None, None], self.offset(label)[:, :, None, None]
        scaled: Tensor = super().forward(images) * gain + offset
        return scaled


class Generator(nn.Module):
    """(N, L) float, (N,) int64 -> (N, C, S, S) float in [0, 1]. One that is not conditional ignores the label."""

    def __init__(self, params: Model, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes if params.conditional else 1
        sizes = widths(params, side)[::-1]
        self.first = sizes[0], side >> len(sizes), side >> len(sizes)  # the smallest map
        self.stem = nn.Linear(params.latent_size, sizes[0] * self.first[1] ** 2)
        self.norms = nn.ModuleList([ClassNorm(size, self.num_classes) for size in sizes])
        pairs = pairwise([*sizes, channels])
        self.convs = nn.ModuleList([nn.ConvTranspose2d(*pair, 4, stride=2, padding=1) for pair in pairs])
        initialise(self)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        images = self.stem(noise).view(-1, *self.first).contiguous(memory_format=torch.channels_last)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            images = conv(norm(images, label % self.num_classes).relu())
        scaled: Tensor = (images.tanh().to(noise.dtype) + 1) / 2  # under autocast they come in 16 bits
        return scaled


class Discriminator(nn.Module):
    """(N, C, S, S) float in [0, 1], (N,) int64 -> (N,) logits: higher is more real. One that is not conditional
    ignores the label."""

    def __init__(self, params: Model, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes if params.conditional else 1
        sizes = widths(params, side)
        layers: list[nn.Module] = []
        for first, second in pairwise([channels, *sizes]):
            layers += [nn.Conv2d(first, second, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        num_features = sizes[-1] * (side >> len(sizes)) ** 2
        self.output, self.classes = nn.Linear(num_features, 1), nn.Embedding(self.num_classes, num_features)
        initialise(self)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        features = self.layers(2 * images - 1)
        logits: Tensor = self.output(features).squeeze(1) + (self.classes(label % self.num_classes) * features).sum(1)
        return logits.to(images.dtype)  # losses are summed in full precision


def widths(params: Model, side: int) -> list[int]:
    """Channels of the maps of side/2, side/4, ... px."""
    number = num_doublings(side)
    assert number, f"{side} px: prepare refuses it"
    return [params.width * min(2**level, WIDEST) for level in range(number)]


def initialise(network: nn.Module) -> None:
    """Small normal weights, as in the paper, and no biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def build(config: Mapping[str, Any]) -> nn.ModuleDict:
    """Both networks, untrained, as `discriminator` and `generator`.

    Args:
        config: classes, channels, image_size and model (see params.py), as in model.json.
    """
    form = Model(**config["model"]), config["channels"], config["image_size"], len(config["classes"])
    return nn.ModuleDict({"discriminator": Discriminator(*form), "generator": Generator(*form)})


def load_model(folder: Path) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """The trained discriminator and generator (the averaged one) in eval mode, and their config, from results/train."""
    config = read_config(folder, Model)
    networks = build(config)
    load_weights(folder, networks)
    return networks.eval(), config


@torch.no_grad()
def measure_batch_norm(generator: nn.Module, latents: Iterable[Batch]) -> nn.Module:
    """A copy in eval mode whose batch norm has the mean statistics of these batches (the standing statistics of Brock
    et al. 2019), so that an image does not depend on the others of its batch."""
    generator = copy.deepcopy(generator).train()
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over batches
    for latent in latents:
        generator(latent["noise"], latent["label"])
    return generator.eval()


@torch.no_grad()
def generate(generator: nn.Module, latent: Batch, batch_size: int) -> Tensor:
    """(N, C, S, S) uint8 images, on the CPU, of a generator in eval mode."""
    assert not generator.training, "in training mode an image depends on the others of its batch"
    device = next(generator.parameters()).device
    parts = zip(*(torch.split(latent[name], batch_size) for name in ("noise", "label")), strict=True)
    images = [generator(noise.to(device), label.to(device)) for noise, label in parts]
    return torch.cat([(255 * image).round().to(torch.uint8).cpu() for image in images])


@torch.no_grad()
def logits_of(discriminator: nn.Module, images: Tensor, label: Tensor, batch_size: int) -> Tensor:
    """(N,) float logits on the CPU, of (N, C, S, S) uint8 images with (N,) labels."""
    device = next(discriminator.parameters()).device
    parts = zip(torch.split(images, batch_size), torch.split(label, batch_size), strict=True)
    return torch.cat([discriminator(to_float(part.to(device)), of.to(device)).cpu() for part, of in parts])
