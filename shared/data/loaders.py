"""Batches as a function of the step: which samples, in which order, dealt to which rank and micro-batch.

Nothing here has a state: resume needs a step number, worker processes read what one process would, and any batch can
be made again to look at it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shared.errors import UserError
from shared.seed import generator
from shared.training.distributed import World

Read = Callable[[Tensor], Any]  # (B,) int64 indices -> the raw items, as tensors or a tuple of tensors
Finish = Callable[[Any, Tensor, float], Any]  # raw items on the device, (B,) indices, epoch -> a batch


class Batches:
    """Training batches by step, in an order of their own for each epoch. The last, smaller batch is left out.

    Args:
        read: gives raw items by index: from tensors on the device, or from a mapped file in a worker.
        finish: goes on from there on the device: augmentation, to float. Its epoch is a fraction: 1.5 is half of the
            second pass.
        size: number of samples.
        batch_size: samples of a step, over all ranks and micro-batches.
        micro_batch_size: largest number of samples of one forward in one process.
        seed: of the order.
        world: this process takes its rank's share.
        workers: processes that read ahead; 0: `read` is called here.

    Raises:
        UserError: the batch is larger than the data or does not divide among the ranks.
    """

    def __init__(
        self,
        read: Read,
        finish: Finish,
        *,
        size: int,
        batch_size: int,
        micro_batch_size: int,
        seed: int,
        world: World,
        workers: int = 0,
    ) -> None:
        if batch_size > size:
            raise UserError(f"train.batch_size: {batch_size}, but there are only {size} training samples")
        if batch_size % world.size:
            raise UserError(f"train.batch_size: {batch_size} does not divide among {world.size} processes")
        self.read, self.finish, self.size, self.world = read, finish, size, world
        self.batch_size, self.micro_batch_size = batch_size, micro_batch_size
        self.seed, self.workers = seed, workers
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        """Steps of an epoch."""
        return self.size // self.batch_size

    def samples(self, step: int) -> Tensor:
        """(batch_size,) int64: the samples of a step, over all ranks."""
        epoch, index = divmod(step, len(self))
        if self._order[0] != epoch:
            self._order = (epoch, torch.randperm(self.size, generator=generator(self.seed, "order", epoch)))
        return self._order[1][index * self.batch_size : (index + 1) * self.batch_size]

    def share(self, step: int) -> Sequence[Tensor]:
        """This rank's micro-batches of a step, as indices."""
        count = self.batch_size // self.world.size
        mine = self.samples(step)[self.world.rank * count : (self.world.rank + 1) * count]
        return torch.split(mine, self.micro_batch_size) if count > self.micro_batch_size else [mine]

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


class _Reader(Dataset[Any]):
    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, index: Tensor) -> Any:  # a whole micro-batch at once
        return self.read(index)


def _to(raw: Any, device: torch.device) -> Any:
    if isinstance(raw, Tensor):
        return raw.to(device, non_blocking=True)
    return tuple(_to(part, device) for part in raw)
