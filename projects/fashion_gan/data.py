"""What a step of training reads: noise and labels to generate from, and the augmentation of the discriminator's input.

B batch, N images, C channels, S side in pixels, L numbers of noise, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.data.batches import Batch
from shared.data.draws import Draws, generator
from shared.data.table import Table
from shared.training.distributed import World

from .params import Train


def draw_latent(
    seed: int, number: int, size: int, counts: Sequence[int], *keys: int | str, device: torch.device | str = "cpu"
) -> Batch:
    """What N images are generated from: a function of the seed, the keys and the kind of device alone.

    Args:
        size: L.
        counts: (K,) training images of each class; classes are drawn as frequently.

    Returns:
        noise (N, L) float, standard normal; label (N,) int64.
    """
    noise = torch.randn(number, size, generator=generator(seed, "noise", *keys, device=device), device=device)
    frequency = torch.tensor(counts, dtype=torch.float64)
    label = torch.multinomial(frequency, number, replacement=True, generator=generator(seed, "labels", *keys))
    return {"noise": noise, "label": label.to(device, non_blocking=True)}


@dataclass(frozen=True)
class Latents:
    """Noise and labels by step: to the generator what `Batches` is to the discriminator.

    Drawn for the batch over all ranks, then divided as the real images are.

    Args:
        counts: (K,) training images of each class.
    """

    params: Train
    counts: Sequence[int]
    world: World

    @property
    def group(self) -> int:
        """Images that batch norm sees at once."""
        return min(self.params.micro_batch_size, self.params.batch_size // self.world.size)

    def draw(self, number: int, *keys: int | str) -> Batch:
        """A batch for one purpose, the same on every rank, on its device."""
        params = self.params
        return draw_latent(params.seed, number, params.model.latent_size, self.counts, *keys, device=self.world.device)

    def share(self, *keys: int | str) -> list[Batch]:
        """This rank's micro-batches of a training batch; place (N,) int64 is the index in the batch over all ranks."""
        batch = self.draw(self.params.batch_size, *keys)
        batch["place"] = torch.arange(self.params.batch_size, device=self.world.device)
        mine = {name: part.tensor_split(self.world.size)[self.world.rank] for name, part in batch.items()}
        cut = (torch.split(part, self.params.micro_batch_size) for part in mine.values())  # type: ignore[no-untyped-call]
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
