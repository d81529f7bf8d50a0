"""What a step of training reads: noise and labels to generate from, and the augmentation of the discriminator's input.

B batch, N images, C channels, S side in pixels, L numbers of noise, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.data.batches import Batch
from shared.data.draws import Draws, generator
from shared.data.table import Table
from shared.training.distributed import World

from .params import Train


@dataclass(frozen=True)
class Latents:
    """What images are generated from: a function of the seed, the keys and the kind of device alone.

    Args:
        config: of the networks: class_counts, the training images of each class, and model.latent_size, L.
    """

    config: Mapping[str, Any]
    seed: int
    device: torch.device | str = "cpu"

    def draw(self, number: int, *keys: int | str) -> Batch:
        """noise (N, L) float, standard normal; label (N,) int64, classes as frequent as among training images."""
        draws = generator(self.seed, "noise", *keys, device=self.device)
        noise = torch.randn(number, self.config["model"]["latent_size"], generator=draws, device=self.device)
        counts = torch.tensor(self.config["class_counts"], dtype=torch.float64)
        label = torch.multinomial(counts, number, replacement=True, generator=generator(self.seed, "labels", *keys))
        return {"noise": noise, "label": label.to(self.device, non_blocking=True)}


def share(latents: Latents, params: Train, world: World, *keys: int | str) -> list[Batch]:
    """A rank's micro-batches of noise and labels, drawn for all ranks and divided as the real images are; place (N,)
    int64 is the index in the whole batch."""
    batch = latents.draw(params.batch_size, *keys)
    batch["place"] = torch.arange(params.batch_size, device=latents.device)
    mine = {name: part.tensor_split(world.size)[world.rank] for name, part in batch.items()}
    cut = (torch.split(part, params.micro_batch_size) for part in mine.values())
    return [dict(zip(mine, parts, strict=True)) for parts in zip(*cut, strict=True)]


def pick(table: Table, number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of a split in random order, (N, C, S, S) uint8, and their labels (N,) int64."""
    index = torch.randperm(len(table), generator=generator(seed, "chosen"))[:number].numpy()
    return torch.from_numpy(table.fixed("image")[index]), torch.from_numpy(table.fixed("label")[index])


def augment(images: Tensor, draws: Draws, translation: float) -> Tensor:
    """Moves each image by up to a fraction of its side, both ways: differentiable augmentation (Zhao et al. 2020,
    arXiv:2006.10738), a function of (seed, step, sample).

    The border that appears is mid grey, also on a black ground: the discriminator sees how far an image was moved, so
    that the generator gains nothing by moving its images itself.

    Args:
        images: (N, C, S, S) float in [0, 1].
        draws: of these images.
        translation: in [0, 1); 0: none.
    """
    side = images.shape[-1]
    most, centred = round(translation * side), images - 0.5
    if most:
        with torch.autocast(images.device.type, enabled=False):  # the penalty needs images of 32 bits
            rows, columns = (_shift(draws.integers(-most, most), side).to(images.dtype) for _ in range(2))
            centred = rows[:, None] @ centred @ columns[:, None].mT
    return centred + 0.5


def _shift(pixels: Tensor, side: int) -> Tensor:
    """(N,) -> (N, S, S) of ones and zeros, which moves rows when multiplied. Not indexing, whose gradient is summed
    in an order that differs from run to run on a GPU."""
    place = torch.arange(side, device=pixels.device)
    return place[None, :, None] - place[None, None, :] == pixels[:, None, None]
