"""Two pairs of networks for any side = base * 2^n, base 4 to 7: DCGAN and a residual pair.

`dcgan` (Radford et al. 2016, arXiv:1511.06434): strided convolutions of 4x4, one for each doubling of the side.
`residual` (Miyato et al. 2018, arXiv:1802.05957): a residual block of two 3x3 convolutions for each doubling.

Either discriminator may be held in bounds by batch norm or by spectral normalisation. Told the class (`conditional`),
the generator scales its batch norm by class, and the discriminator adds a product with the class's embedding (Miyato &
Koyama 2018, arXiv:1802.05637).

N images, C channels, S side in pixels, K classes, L numbers of noise, F features.
"""

import copy
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from shared.data.draws import generator
from shared.training.weights import load_weights, read_config

from .params import Model, halvings

WIDEST = 8  # times `width`: a discriminator of 128 px would grow to 512 MB otherwise
SLOPE = 0.2  # of the discriminator's leaky ReLU, below 0
SIGMA_EPS = 1e-12
FIRST_ITERATIONS = 15  # of the power method on random weights: it starts near the truth

# --- spectral normalisation ---------------------------------------------------------------------------------------


class SpectralNorm(nn.Module):
    """A weight over its largest singular value, as estimated by the power method (Miyato et al. 2018).

    torch's own makes an iteration in every forward: the estimate then depends on how many forwards a step is cut
    into, and the real and the generated images of one step meet different discriminators. Here the vectors move when
    `power_iteration` says so, once a step of the discriminator, and never in a forward.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0], dtype=weight.dtype), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1], dtype=weight.dtype), dim=0))
        for _ in range(FIRST_ITERATIONS):
            self.iterate(weight)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Moves both vectors once. New tensors: a backward may still hold the old ones."""
        matrix = weight.flatten(1)
        self.right = F.normalize(matrix.mT @ self.left, dim=0, eps=SIGMA_EPS)
        self.left = F.normalize(matrix @ self.right, dim=0, eps=SIGMA_EPS)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # three digits would not hold the bound
            return weight / (self.left @ (weight.flatten(1) @ self.right))


def power_iteration(network: nn.Module) -> None:
    """One iteration of every spectrally normalised weight: to be called once a step of the discriminator."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            weight: Any = module.parametrizations
            weight.weight[0].iterate(weight.weight.original)


def _normalised(network: nn.Module) -> None:
    """Spectral normalisation of all convolutions, linear layers and embeddings."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight))


# --- batch norm ---------------------------------------------------------------------------------------------------


def batch_norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    """Batch norm whose running statistics stand still in training.

    They would be of no use: an averaged generator has no batches of its own, and a discriminator's batches are real
    and generated in turn. `standing` measures them when a network is to be used.
    """
    return nn.BatchNorm2d(channels, momentum=0.0, affine=affine)


class ClassNorm(nn.Module):
    """Batch norm with a gain and a bias for each class; without classes, batch norm: (N, C, H, W), (N,) -> the same."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = batch_norm(channels, affine=not num_classes)
        if num_classes:
            self.gain, self.bias = nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)
        self.conditional = bool(num_classes)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        images = self.norm(images)
        if self.conditional:
            images = images * self.gain(label)[:, :, None, None] + self.bias(label)[:, :, None, None]
        return images


@torch.no_grad()
def standing(network: nn.Module, batches: Iterable[Sequence[Tensor]]) -> nn.Module:
    """A copy in eval mode whose batch norm has the mean statistics of these batches (Brock et al. 2019's standing
    statistics), so that what becomes of an image does not depend on those beside it.

    Args:
        batches: arguments of the network.
    """
    network = copy.deepcopy(network).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over batches
    for batch in batches:
        network(*batch)
    return network.eval()


# --- networks -----------------------------------------------------------------------------------------------------


def widths(params: Model, side: int) -> list[int]:
    """Channels at side, side/2, side/4, ...: the first two are `width`, each further one is twice as many."""
    number = halvings(side)
    assert number, f"{side} px: prepare refuses it"
    return [params.width * min(2 ** max(0, level - 1), WIDEST) for level in range(number + 1)]


class Stem(nn.Linear):
    """Noise -> the smallest map: (N, L) -> (N, F, base, base)."""

    def __init__(self, latent_size: int, channels: int, base: int) -> None:
        super().__init__(latent_size, channels * base**2)
        self.shape = channels, base, base

    def forward(self, noise: Tensor) -> Tensor:
        maps: Tensor = super().forward(noise).view(-1, *self.shape)
        return maps.contiguous(memory_format=torch.channels_last)


class Upward(nn.Module):
    """Twice the side by a strided convolution: the layer of DCGAN's generator, behind norm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int, num_classes: int) -> None:
        super().__init__()
        self.norm = ClassNorm(channels_in, num_classes)
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        enlarged: Tensor = self.conv(self.norm(images, label).relu())
        return enlarged


class UpBlock(nn.Module):
    """Twice the side by a residual block: norm, ReLU, nearest neighbours, 3x3, norm, ReLU, 3x3."""

    def __init__(self, channels_in: int, channels_out: int, num_classes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ClassNorm(channels, num_classes) for channels in (channels_in, channels_out)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, channels_out, 3, padding=1) for channels in (channels_in, channels_out)]
        )
        self.skip = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        hidden = self.convs[0](_doubled(self.norms[0](images, label).relu()))
        hidden = self.convs[1](self.norms[1](hidden, label).relu())
        enlarged: Tensor = hidden + _doubled(self.skip(images))  # 1x1 before doubling: the same, at a quarter
        return enlarged


class Generator(nn.Module):
    """(N, L) float, (N,) int64 -> (N, C, S, S) float in [0, 1]."""

    def __init__(self, params: Model, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        sizes, classes = widths(params, side)[::-1], num_classes if params.conditional else 0
        self.stem = Stem(params.latent_size, sizes[0], side >> len(sizes) - 1)
        if params.name == "dcgan":
            self.head: nn.Module = nn.Identity()
            layers = [Upward(first, second, classes) for first, second in pairwise([*sizes[:-1], channels])]
        else:
            self.head = nn.Sequential(batch_norm(sizes[-1]), nn.ReLU(), nn.Conv2d(sizes[-1], channels, 3, padding=1))
            layers = [UpBlock(first, second, classes) for first, second in pairwise(sizes)]  # type: ignore[misc]
        self.layers = nn.ModuleList(layers)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        images = self.stem(noise)
        for layer in self.layers:
            images = layer(images, label)
        squashed: Tensor = self.head(images).tanh().to(noise.dtype)  # autocast made them short
        return (squashed + 1) / 2


class DownBlock(nn.Module):
    """A residual block of two 3x3 convolutions; `down` halves the side by taking means."""

    def __init__(self, channels_in: int, channels_out: int, norm: bool, first: bool = False, down: bool = True) -> None:
        super().__init__()
        self.before = nn.Identity() if first else nn.Sequential(_norm(channels_in, norm), nn.ReLU())
        self.convs = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            _norm(channels_out, norm),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
        )
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if down else nn.Identity()
        self.halve = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.halve(self.convs(self.before(images)))
        short: Tensor = hidden + self.skip(self.halve(images))
        return short


class Discriminator(nn.Module):
    """(N, C, S, S) float in [0, 1], (N,) int64 -> (N,) logits: higher is more real."""

    def __init__(self, params: Model, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        sizes, norm = widths(params, side)[1:], params.normalise == "batch"
        if params.name == "dcgan":
            self.layers, size = _strided(channels, sizes, norm), sizes[-1] * (side >> len(sizes)) ** 2
        else:
            self.layers, size = _residual(channels, sizes, norm), sizes[-1]
        self.output = nn.Linear(size, 1)
        self.classes = nn.Embedding(num_classes, size) if params.conditional else None

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        features = self.layers(2 * images - 1)
        logits: Tensor = self.output(features).squeeze(1)
        if self.classes is not None:
            logits = logits + (self.classes(label) * features).sum(1)
        return logits.to(images.dtype)  # losses are summed up in full precision


class SumPixels(nn.Module):
    """(N, C, H, W) -> (N, C)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum((2, 3))


def _strided(channels: int, sizes: Sequence[int], norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (first, second) in enumerate(pairwise([channels, *sizes])):
        layers += [nn.Conv2d(first, second, 4, stride=2, padding=1), _norm(second, norm and index > 0)]
        layers.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers, nn.Flatten())


def _residual(channels: int, sizes: Sequence[int], norm: bool) -> nn.Sequential:
    blocks = [
        DownBlock(first, second, norm, first=index == 0)
        for index, (first, second) in enumerate(pairwise([channels, *sizes]))
    ]
    last = DownBlock(sizes[-1], sizes[-1], norm, down=False)
    return nn.Sequential(*blocks, last, nn.ReLU(), SumPixels())


def _norm(channels: int, active: bool) -> nn.Module:
    return batch_norm(channels) if active else nn.Identity()


def _doubled(images: Tensor) -> Tensor:
    return F.interpolate(images, scale_factor=2, mode="nearest")


# --- building, loading, using -------------------------------------------------------------------------------------


def build_generator(params: Model, channels: int, side: int, num_classes: int) -> nn.Module:
    """`generator(noise (N, L) float, label (N,) int64)` -> (N, C, S, S) float in [0, 1].

    The label is always given; a network that is not conditional does not look at it.
    """
    network = Generator(params, channels, side, num_classes)
    _initialise(network, params)
    return network


def build_discriminator(params: Model, channels: int, side: int, num_classes: int) -> nn.Module:
    """`discriminator(image (N, C, S, S) float in [0, 1], label (N,) int64)` -> (N,) logits: higher is more real."""
    network = Discriminator(params, channels, side, num_classes)
    _initialise(network, params)
    if params.normalise == "spectral":
        _normalised(network)
    return network


def _initialise(network: nn.Module, params: Model) -> None:
    """As the papers do: small normal weights for DCGAN; for residual blocks orthogonal ones (Brock et al. 2019)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02) if params.name == "dcgan" else nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_model(folder: Path, command: str) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    """The trained generator (the averaged one) and discriminator in eval mode, and their config: classes,
    class_counts, channels, image_size, model.

    Args:
        folder: results/train.
        command: what makes the weights, told to the user where there are none.
    """
    config = read_config(folder, command, Model)
    form = Model(**config["model"]), config["channels"], config["image_size"], len(config["classes"])
    both = nn.ModuleDict({"generator": build_generator(*form), "discriminator": build_discriminator(*form)})
    load_weights(folder, both)
    both.eval()
    return both["generator"], both["discriminator"], config


def draw_noise(
    seed: int, number: int, latent_size: int, *keys: int | str, device: torch.device | str = "cpu"
) -> Tensor:
    """(number, L) standard normal: a function of the seed, the keys and the kind of device alone."""
    return torch.randn(number, latent_size, generator=generator(seed, "noise", *keys, device=device), device=device)


def draw_labels(seed: int, number: int, counts: Sequence[int], *keys: int | str) -> Tensor:
    """(number,) int64, on the CPU: classes as frequent as in the training images.

    Args:
        counts: (K,) training images of each class: `class_counts` of the config.
    """
    weights = torch.tensor(counts, dtype=torch.float64)
    return torch.multinomial(weights, number, replacement=True, generator=generator(seed, "labels", *keys))


@torch.no_grad()
def generate(generator: nn.Module, noise: Tensor, label: Tensor, batch_size: int) -> Tensor:
    """Images of a generator in eval mode: (N, L) float, (N,) int64 -> (N, C, S, S) uint8, on the CPU."""
    assert not generator.training, "in training mode an image depends on those beside it"
    device = next(generator.parameters()).device
    parts = zip(torch.split(noise, batch_size), torch.split(label, batch_size), strict=True)
    images = [generator(*(part.to(device) for part in pair)) for pair in parts]
    return torch.cat([(255 * image).round().to(torch.uint8).cpu() for image in images])
