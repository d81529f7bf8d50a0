"""Batches as a function of the step: which samples, in which order, dealt to which rank and micro-batch.

Nothing here has a state: resume needs a step number, worker processes read what one process would, and any batch can
be made again to look at it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shared.core.errors import UserError
from shared.data.draws import generator
from shared.training.distributed import World

Read = Callable[[Tensor], Any]  # (B,) int64 indices -> the raw items, as tensors or a tuple of tensors
Finish = Callable[[Any, Tensor, float], Any]  # raw items on the device, (B,) indices, epoch -> a batch
JITTER = 0.1  # of a length: how far apart two samples of a batch may be


class Plan(Protocol):
    """Which samples make a batch: a way to deal an epoch."""

    def __len__(self) -> int:
        """Batches of an epoch."""

    def deal(self, draws: torch.Generator) -> Sequence[Tensor]:
        """The batches of one epoch, over all ranks, as (b,) int64 samples."""

    def split(self, mine: Tensor) -> Sequence[Tensor]:
        """A rank's samples of a batch -> micro-batches, each small enough for one forward."""


class EqualBatches:
    """Batches of one size, in random order. The last, smaller batch is left out.

    Args:
        size: number of samples.
        batch_size: samples of a step, over all ranks and micro-batches.
        micro_batch_size: largest number of samples of one forward in one process.
        world: each rank takes as many samples, or batch norm would differ from one process.

    Raises:
        UserError: the batch is larger than the data or does not divide among the ranks.
    """

    def __init__(self, size: int, batch_size: int, micro_batch_size: int, world: World) -> None:
        if batch_size > size:
            raise UserError(f"train.batch_size: {batch_size}, but there are only {size} training samples")
        if batch_size % world.size:
            raise UserError(f"train.batch_size: {batch_size} does not divide among {world.size} processes")
        self.size, self.batch_size, self.micro_batch_size = size, batch_size, micro_batch_size

    def __len__(self) -> int:
        return self.size // self.batch_size

    def deal(self, draws: torch.Generator) -> Sequence[Tensor]:
        order = torch.randperm(self.size, generator=draws)
        return torch.split(order, self.batch_size)

    def split(self, mine: Tensor) -> Sequence[Tensor]:
        return torch.split(mine, self.micro_batch_size) if len(mine) > self.micro_batch_size else [mine]


class LengthBatches:
    """Batches of sequences of about one length, so that little is padding; a budget of tokens each.

    Every epoch the samples are ordered by their length times a random number next to 1, so that neighbours change, and
    cut at places that depend on the sorted lengths alone, so that every epoch has as many batches. A batch's tokens
    are its samples times the longest of them: what is computed, padding included.

    Args:
        lengths: (N,) tokens of each sample.
        batch_size: most tokens of a step, over all ranks and micro-batches; a longer sample is a batch of its own.
        micro_batch_size: most tokens of one forward in one process, likewise.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, micro_batch_size: int) -> None:
        self.lengths = torch.from_numpy(np.maximum(lengths, 1)).double()
        self.micro_batch_size = micro_batch_size
        # Whoever comes to lie at a place of the order is at most this much longer than who belongs there.
        longest = self.lengths.sort().values * (1 + JITTER) / (1 - JITTER)
        self.sizes = _cut(longest.tolist(), batch_size)

    def __len__(self) -> int:
        return len(self.sizes)

    def deal(self, draws: torch.Generator) -> Sequence[Tensor]:
        jitter = 1 + JITTER * (2 * torch.rand(len(self.lengths), generator=draws, dtype=torch.float64) - 1)
        mixed = torch.randperm(len(self.lengths), generator=draws)  # equal ones would keep their order, were JITTER 0
        order = mixed[(self.lengths * jitter)[mixed].argsort(stable=True)]
        batches = torch.split(order, self.sizes)
        return [batches[index] for index in torch.randperm(len(batches), generator=draws).tolist()]

    def split(self, mine: Tensor) -> Sequence[Tensor]:
        ordered = mine[self.lengths[mine].argsort(stable=True)]
        return torch.split(ordered, _cut(self.lengths[ordered].tolist(), self.micro_batch_size))


def _cut(lengths: Sequence[float], budget: int) -> list[int]:
    """Sizes of consecutive groups whose number times their last, longest length is within the budget.

    >>> _cut([1, 2, 3, 3, 10], budget=6)
    [2, 2, 1]
    """
    sizes = [0]
    for length in lengths:
        if sizes[-1] and (sizes[-1] + 1) * length > budget:
            sizes.append(0)
        sizes[-1] += 1
    return sizes


class Batches:
    """Training batches by step, in an order of their own for each epoch.

    Args:
        read: gives raw items by index: from tensors on the device, or from a mapped file in a worker.
        finish: goes on from there on the device: augmentation, to float. Its epoch is a fraction: 1.5 is half of the
            second pass.
        plan: which samples make a batch.
        seed: of the order.
        world: this process takes its rank's share.
        workers: processes that read ahead; 0: `read` is called here.
    """

    def __init__(self, read: Read, finish: Finish, *, plan: Plan, seed: int, world: World, workers: int = 0) -> None:
        self.read, self.finish, self.plan, self.world = read, finish, plan, world
        self.seed, self.workers = seed, workers
        self._dealt: tuple[int, Sequence[Tensor]] = (-1, [])

    def __len__(self) -> int:
        """Steps of an epoch."""
        return len(self.plan)

    def samples(self, step: int) -> Tensor:
        """(b,) int64: the samples of a step, over all ranks. Raises UserError where they are fewer than the ranks."""
        epoch, index = divmod(step, len(self))
        if self._dealt[0] != epoch:
            self._dealt = (epoch, self.plan.deal(generator(self.seed, "order", epoch)))
        samples = self._dealt[1][index]
        if len(samples) < self.world.size:
            raise UserError(f"train.batch_size: a batch of {len(samples)} samples for {self.world.size} processes")
        return samples

    def share(self, step: int) -> Sequence[Tensor]:
        """This rank's micro-batches of a step, as indices."""
        return self.plan.split(torch.tensor_split(self.samples(step), self.world.size)[self.world.rank])

    def __getitem__(self, step: int) -> list[Any]:
        """This rank's micro-batches of one step, made in this process."""
        return [self._finish(self.read(index), index, step) for index in self.share(step)]

    def stream(self, start: int, stop: int) -> Iterator[list[Any]]:
        """The micro-batches of each step from `start` on."""
        if not self.workers:
            yield from (self[step] for step in range(start, stop))
            return
        shares = ((step, self.share(step)) for step in range(start, stop))
        raw = iter(self._ahead(start, stop))
        for step, share in shares:
            yield [self._finish(_to(next(raw), self.world.device), index, step) for index in share]

    def _ahead(self, start: int, stop: int) -> DataLoader[Any]:
        indices = (index for step in range(start, stop) for index in self.share(step))
        return DataLoader(
            _Reader(self.read),
            sampler=indices,  # lazily: a list of all steps would be long
            batch_size=None,
            num_workers=self.workers,
            pin_memory=self.world.device.type == "cuda",
        )

    def _finish(self, raw: Any, index: Tensor, step: int) -> Any:
        return self.finish(raw, index.to(self.world.device, non_blocking=True), step / len(self))


def evaluation_shares(size: int, batch_size: int, world: World) -> Iterator[Tensor]:
    """This rank's indices of a whole split in batches: each sample on one rank, none padded."""
    mine = torch.arange(size)[world.rank :: world.size]
    yield from torch.split(mine, batch_size)


def length_shares(lengths: np.ndarray, batch_size: int, world: World) -> Iterator[Tensor]:
    """The same for sequences: batches of about one length, of at most `batch_size` tokens with their padding."""
    mine = torch.from_numpy(np.argsort(lengths, kind="stable"))[world.rank :: world.size]
    yield from torch.split(mine, _cut(np.maximum(lengths, 1)[mine.numpy()].tolist(), batch_size))


class _Reader(Dataset[Any]):
    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, index: Tensor) -> Any:  # a whole micro-batch at once
        return self.read(index)


def _to(raw: Any, device: torch.device) -> Any:
    if isinstance(raw, Tensor):
        return raw.to(device, non_blocking=True)
    return tuple(_to(part, device) for part in raw)
