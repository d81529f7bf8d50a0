"""What a step sees: noise, labels to generate for; how the discriminator sees an image; images drawn from a split.

B batch, N images of a micro-batch, C channels, S side in pixels, L numbers of noise, K classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from shared.data.arrays import Split
from torch import Tensor

from shared.data.draws import Draws, generator
from shared.training.distributed import World

from .model import draw_labels, draw_noise
from .params import Train


class Latent(NamedTuple):
    """What images are generated from.

    noise: (N, L) float; label: (N,) int64; place: (N,) int64, where in the batch over all ranks each one is.
    """

    noise: Tensor
    label: Tensor
    place: Tensor


class Latents:
    """What images are generated from, by step: to the generator what `Batches` is to the discriminator.

    Drawn for the batch over all ranks, then cut as the real images are.

    Args:
        counts: (K,) training images of each class; classes are drawn as frequently.
    """

    def __init__(self, params: Train, counts: Sequence[int], world: World) -> None:
        self.params, self.counts, self.world = params, counts, world
        self.group = min(params.micro_batch_size, params.batch_size // world.size)  # what batch norm sees at once

    def draw(self, number: int, *keys: int | str) -> Latent:
        """A batch for one purpose, the same on every rank, on its device."""
        seed, size, device = self.params.seed, self.params.model.latent_size, self.world.device
        noise = draw_noise(seed, number, size, *keys, device=device)  # there: a copy of it would cost a GPU's step more
        label = draw_labels(seed, number, self.counts, *keys).to(device, non_blocking=True)
        return Latent(noise, label, torch.arange(number, device=device))

    def share(self, *keys: int | str) -> list[Latent]:
        """This rank's micro-batches of a training batch."""
        mine = [
            part.tensor_split(self.world.size)[self.world.rank] for part in self.draw(self.params.batch_size, *keys)
        ]
        cut = (torch.split(part, self.params.micro_batch_size) for part in mine)
        return [Latent(*parts) for parts in zip(*cut, strict=True)]


class Picked(NamedTuple):
    """images: (N, C, S, S) uint8; label: (N,) int64."""

    images: Tensor
    label: Tensor


def pick(split: Split, number: int, seed: int) -> tuple[np.ndarray, Picked]:
    """Which images of a split are drawn, without replacement and in random order, and these: all where it has fewer."""
    chosen = torch.randperm(len(split), generator=generator(seed, "chosen"))[:number].numpy()
    return chosen, Picked(torch.from_numpy(split.images[chosen]), torch.from_numpy(split.labels[chosen]))


def augment(images: Tensor, draws: Draws, kinds: Sequence[str]) -> Tensor:
    """Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738), as (seed, step, sample) say.

    What is moved or cut out becomes mid grey, also on a black ground: the discriminator sees how far an image was
    moved, so a generator that moves its images itself is found out.

    Args:
        images: (N, C, S, S) float in [0, 1].
        draws: of these images.
        kinds: of "colour", "translation", "cutout", in any order.

    Returns:
        (N, C, S, S) of the same type, also under autocast; colours may leave [0, 1].
    """
    centred = images - 0.5
    with torch.autocast(images.device.type, enabled=False):  # the penalty takes no images of 16 bit
        for kind in AUGMENTATIONS:
            if kind in kinds:
                centred = AUGMENTATIONS[kind](centred, draws)
    return centred + 0.5


def _colour(images: Tensor, draws: Draws) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = (_column(draws).to(images.dtype) for _ in range(3))
    images = images + (brightness - 0.5) / 2
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def _translation(images: Tensor, draws: Draws) -> Tensor:
    """By up to an eighth of the side, both ways."""
    side = images.shape[-1]
    most = max(1, round(side / 8))
    rows, columns = (_shift(draws.integers(-most, most), side).to(images.dtype) for _ in range(2))
    return rows[:, None] @ images @ columns[:, None].mT


def _shift(pixels: Tensor, side: int) -> Tensor:
    """(N,) -> (N, S, S) of ones and zeros: a product with it moves rows. Its gradient is a product as well, which is
    the same on every machine; that of an index adds up in any order."""
    place = torch.arange(side, device=pixels.device)
    return place[None, :, None] - place[None, None, :] == pixels[:, None, None]


def _cutout(images: Tensor, draws: Draws) -> Tensor:
    """A square of half the side, anywhere; parts of it may lie outside."""
    side = images.shape[-1]
    half = side // 4
    rows, columns = (_outside(draws.integers(0, side - 1), half, side) for _ in range(2))
    keep = rows[:, None, :, None] | columns[:, None, None, :]
    return images * keep


def _outside(centre: Tensor, half: int, side: int) -> Tensor:
    """(N,) -> (N, S) bool."""
    distance = torch.arange(side, device=centre.device) - centre[:, None]
    return (distance < -half) | (distance >= half)


def _column(draws: Draws) -> Tensor:
    return draws.uniform().view(-1, 1, 1, 1)


AUGMENTATIONS = {"colour": _colour, "translation": _translation, "cutout": _cutout}
