"""Batches as a function of the step: which samples, in which order, dealt to which rank and micro-batch.

Nothing here has state: resuming needs only a step number, worker processes read the same batches as one process, and
any batch can be rebuilt for inspection. A batch is a dict of tensors, one row per sample.

B batch size, L longest row of a batch, N samples, M lengths per sample.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shared.core.errors import UserError
from shared.data.draws import generator
from shared.data.table import Ragged, Table

Batch = dict[str, Tensor]
Read = Callable[[Tensor], Batch]  # (B,) int64 indices -> their fields
Augment = Callable[[Batch, float], Batch]  # fields on the device, epoch -> the batch
JITTER = 0.1  # relative noise on lengths, so that batches differ from epoch to epoch


class Ranks(Protocol):
    """This process among all: rank in [0, size), and the device it computes on."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


# Reading


def gather(table: Table, *names: str, device: torch.device | str = "cpu") -> Read:
    """A function from indices to fields, for columns of a table.

    A fixed column gives (B, ...); a ragged one gives (B, L, ...), 0 where padded, and `<name>_mask` (B, L) bool.
    Floats have torch's default dtype, which is that of the weights; all else keeps its own.

    Args:
        device: where the columns are kept and the fields are made; on "cpu" they stay in the mapped file.
    """
    fields = {name: _field(name, table[name], torch.device(device)) for name in names}
    dtype = torch.get_default_dtype()

    def read(index: Tensor) -> Batch:
        index = index.to(device, non_blocking=True)
        found = (pair for field in fields.values() for pair in field(index).items())
        return {key: value.to(dtype) if value.is_floating_point() else value for key, value in found}

    return read


def _field(name: str, column: Any, device: torch.device) -> Read:
    if isinstance(column, Ragged):
        pad = Padded(column, device)
        return lambda index: dict(zip((name, f"{name}_mask"), pad(index), strict=True))
    values = torch.from_numpy(column).to(device)
    return lambda index: {name: values[index]}


class Padded:
    """`padded(index)`: rows of different lengths as one tensor, without a loop.

    Args:
        rows: values (T, ...) of any type.
        device: where they are kept and the result is made.
    """

    def __init__(self, rows: Ragged, device: torch.device | str = "cpu") -> None:
        self.values, self.offsets = (torch.from_numpy(part).to(device) for part in rows)

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) int64 -> values (B, L, ...), 0 where padded, and mask (B, L) bool; L is at least 1."""
        start = self.offsets[index]
        length = self.offsets[index + 1] - start
        place = torch.arange(max(1, int(length.max())), device=start.device)
        mask = place < length[:, None]
        if not len(self.values):
            return self.values.new_zeros(*mask.shape, *self.values.shape[1:]), mask
        values = self.values[torch.where(mask, start[:, None] + place, 0)]
        return values.masked_fill_(~mask.view(*mask.shape, *(1,) * (values.ndim - 2)), 0), mask


def unpad(values: Tensor, mask: Tensor) -> list[Tensor]:
    """(B, L, ...) and (B, L) bool, padded on the right -> B tensors (l, ...)."""
    return [row[:length] for row, length in zip(values, mask.sum(1).tolist(), strict=True)]


# Planning


class Plan(Protocol):
    """How the samples of an epoch are divided into batches."""

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
        world: each rank takes equally many samples, or batch norm would differ from one process.

    Raises:
        UserError: the batch is larger than the data or does not divide among the ranks.
    """

    def __init__(self, size: int, batch_size: int, micro_batch_size: int, world: Ranks) -> None:
        if batch_size > size:
            raise UserError(
                f"train.batch_size: {batch_size}, but there are only {size} training samples",
                fix=f"train.batch_size={size}, or less",
            )
        if batch_size % world.size:
            raise UserError(
                f"train.batch_size: {batch_size} does not divide among {world.size} processes",
                fix=f"train.batch_size={batch_size - batch_size % world.size or world.size}",
            )
        self.size, self.batch_size, self.micro_batch_size = size, batch_size, micro_batch_size

    def __len__(self) -> int:
        return self.size // self.batch_size

    def deal(self, draws: torch.Generator) -> Sequence[Tensor]:
        order = torch.randperm(self.size, generator=draws)
        return torch.split(order, self.batch_size)[: len(self)]

    def split(self, mine: Tensor) -> Sequence[Tensor]:
        # torch.split costs some 15 us of a step, also where there is nothing to split
        return torch.split(mine, self.micro_batch_size) if len(mine) > self.micro_batch_size else (mine,)


class CostBatches:
    """Batches of samples of similar length, to save padding, each within a cost budget.

    The cost of a batch is its samples times the longest of them, padding included; where a sample has several lengths
    (source and target), times the sum of the longest of each. Every epoch the samples are ordered by their length times
    a random number near 1, so that neighbours change, and cut at positions that depend on the sorted lengths alone, so
    that every epoch has the same number of batches.

    Args:
        lengths: (N,) or (N, M) integers.
        batch_size: largest cost of a step, over all ranks and micro-batches; a longer sample is a batch of its own.
            With several lengths it holds on average, and for micro-batches strictly.
        micro_batch_size: largest cost of one forward in one process, likewise.
        world: every rank gets at least one sample of each batch.

    Raises:
        UserError: a batch has fewer samples than there are ranks.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, micro_batch_size: int, world: Ranks) -> None:
        self.lengths = torch.from_numpy(np.maximum(lengths.reshape(len(lengths), -1), 1)).double()
        self.total = self.lengths.sum(1)
        self.micro_batch_size = micro_batch_size
        # After shuffling, the sample at a position is at most this much longer than the one sorted there.
        longest = self.total.sort().values * (1 + JITTER) / (1 - JITTER)
        self.sizes = _cut(longest[:, None].numpy(), batch_size)
        if min(self.sizes) < world.size:
            raise UserError(
                f"train.batch_size: {batch_size} makes a batch of {min(self.sizes)} samples for {world.size} processes",
                fix="a larger train.batch_size, or fewer processes",
            )

    def __len__(self) -> int:
        return len(self.sizes)

    def deal(self, draws: torch.Generator) -> Sequence[Tensor]:
        jitter = 1 + JITTER * (2 * torch.rand(len(self.total), generator=draws, dtype=torch.float64) - 1)
        mixed = torch.randperm(len(self.total), generator=draws)  # equal ones would keep their order, were JITTER 0
        order = mixed[(self.total * jitter)[mixed].argsort(stable=True)]
        batches = torch.split(order, self.sizes)
        return [batches[index] for index in torch.randperm(len(batches), generator=draws).tolist()]

    def split(self, mine: Tensor) -> Sequence[Tensor]:
        ordered = mine[self.total[mine].argsort(stable=True)]
        return torch.split(ordered, _cut(self.lengths[ordered].numpy(), self.micro_batch_size))


def _cut(lengths: np.ndarray, budget: float) -> list[int]:
    """Sizes of consecutive groups, each with size times the sum of its longest lengths within the budget.

    >>> _cut(np.array([[1], [2], [3], [3], [10]]), budget=6)
    [2, 2, 1]
    """
    sizes, longest = [0], [0.0] * lengths.shape[1]
    for row in lengths.tolist():
        longer = [max(pair) for pair in zip(longest, row, strict=True)]
        if sizes[-1] and (sizes[-1] + 1) * sum(longer) > budget:
            sizes.append(0)
            longer = row
        sizes[-1] += 1
        longest = longer
    return sizes


# Serving


class Batches:
    """Training batches by step, in an order of their own for each epoch.

    Args:
        read: fields by index: from tensors on the device, or from mapped files in a worker.
        plan: which samples make a batch.
        seed: of the order.
        world: this process takes its rank's share.
        augment: applied to the fields on the device; "sample" is among them, (B,) int64. Its epoch is a fraction:
            1.5 is half of the second pass.
        workers: processes that read ahead; 0: `read` is called here.
    """

    def __init__(
        self, read: Read, *, plan: Plan, seed: int, world: Ranks, augment: Augment | None = None, workers: int = 0
    ) -> None:
        self.read, self.plan, self.augment, self.world = read, plan, augment, world
        self.seed, self.workers = seed, workers
        self._dealt: tuple[int, Sequence[Tensor]] = (-1, [])

    def __len__(self) -> int:
        """Steps of an epoch."""
        return len(self.plan)

    def samples(self, step: int) -> Tensor:
        """(b,) int64: the samples of a step, over all ranks."""
        epoch, index = divmod(step, len(self))
        if self._dealt[0] != epoch:
            self._dealt = (epoch, self.plan.deal(generator(self.seed, "order", epoch)))
        return self._dealt[1][index]

    def share(self, step: int) -> Sequence[Tensor]:
        """This rank's micro-batches of a step, as indices."""
        mine = self.samples(step)
        if self.world.size > 1:
            mine = torch.tensor_split(mine, self.world.size)[self.world.rank]
        return self.plan.split(mine)

    def __getitem__(self, step: int) -> list[Batch]:
        """This rank's micro-batches of one step, made in this process."""
        return [self._finish(self.read(index), index, step) for index in self.share(step)]

    def stream(self, start: int, stop: int) -> Iterator[list[Batch]]:
        """The micro-batches of each step from `start` on."""
        if not self.workers:
            yield from (self[step] for step in range(start, stop))
            return
        read = iter(self._ahead(start, stop))
        for step in range(start, stop):
            yield [self._finish(next(read), index, step) for index in self.share(step)]

    def _ahead(self, start: int, stop: int) -> DataLoader[Any]:
        indices = (index for step in range(start, stop) for index in self.share(step))
        return DataLoader(
            _Reader(self.read),
            sampler=indices,  # lazily: a list of all steps would be long
            batch_size=None,
            num_workers=self.workers,
            multiprocessing_context="fork",  # macOS would start anew and pickle `read`, which may be a closure
            pin_memory=self.world.device.type == "cuda",
        )

    def _finish(self, fields: Batch, index: Tensor, step: int) -> Batch:
        device = self.world.device
        batch = {name: value.to(device, non_blocking=True) for name, value in fields.items()}
        batch["sample"] = index.to(device, non_blocking=True)
        return self.augment(batch, step / len(self)) if self.augment else batch


class _Reader(Dataset[Any]):
    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, index: Tensor) -> Any:  # a whole micro-batch at once
        return self.read(index)


def even_shares(size: int, batch_size: int, world: Ranks) -> list[Tensor]:
    """This rank's indices of a whole split in batches: each sample on one rank, none padded."""
    mine = torch.arange(size)[world.rank :: world.size]
    return list(torch.split(mine, batch_size)) if len(mine) else []


def cost_shares(lengths: np.ndarray, batch_size: int, world: Ranks) -> list[Tensor]:
    """The same for samples of different lengths, (N,) or (N, M): batches of similar length, of at most this cost."""
    lengths = np.maximum(lengths.reshape(len(lengths), -1), 1)
    mine = torch.from_numpy(np.argsort(lengths.sum(1), kind="stable"))[world.rank :: world.size]
    return list(torch.split(mine, _cut(lengths[mine.numpy()], batch_size))) if len(mine) else []
