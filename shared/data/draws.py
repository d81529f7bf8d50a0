"""Random numbers of torch as a function of (seed, place), never of history."""

from functools import cached_property

import torch
from torch import Tensor

from shared.core.seed import GOLDEN, MASK, MIX_1, MIX_2, derive


def generator(seed: int, *keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose. Those of other devices than the CPU draw other numbers."""
    return torch.Generator(device).manual_seed(derive(seed, *keys))


def seed_default(seed: int, device: torch.device) -> None:
    """Seeds the generators that dropout draws from.

    Not `torch.manual_seed`: that one visits every backend and costs 94 us a call, these about 1 us.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


class Draws:
    """Random numbers for a batch of samples, each a pure function of (seed, epoch, sample, number of the draw).

    Which rank, worker or micro-batch a sample is in makes no difference, nor does the device: integers are mixed
    with splitmix64, exactly. Two transforms must draw in a fixed order, as with any generator.

    Args:
        seed: any integer.
        epoch: number of the pass over the data.
        sample: (B,) int64, the samples' indices in the data set, on the device the draws are wanted on.
    """

    def __init__(self, seed: int, epoch: int, sample: Tensor) -> None:
        self._start = sample, _signed(derive(seed, "draws", epoch))
        self._stream = 0

    @cached_property
    def _state(self) -> Tensor:
        """Made at the first draw, so that it costs nothing if nothing is drawn."""
        sample, seed = self._start
        return _mix(sample + seed)

    def uniform(self) -> Tensor:
        """(B,) float32 in [0, 1), with 24 random bits."""
        self._stream += 1
        bits = _mix(self._state + _signed(self._stream * GOLDEN))
        return _shift(bits, 40).to(torch.float32) / (1 << 24)

    def integers(self, low: int, high: int) -> Tensor:
        """(B,) int64 in [low, high], both included."""
        return (self.uniform() * (high - low + 1)).long() + low


def _signed(number: int) -> int:
    number &= MASK
    return number - (1 << 64) if number >> 63 else number


def _shift(bits: Tensor, by: int) -> Tensor:
    """Logical right shift: torch's own is arithmetic on int64."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mix(bits: Tensor) -> Tensor:
    bits = (bits ^ _shift(bits, 30)) * _signed(MIX_1)
    bits = (bits ^ _shift(bits, 27)) * _signed(MIX_2)
    return bits ^ _shift(bits, 31)
