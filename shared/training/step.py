"""One update of the weights: forward and backward over micro-batches, then scale, clip and step, in that order.

The loss contract: `loss(model, batch)` returns the sum over items, the number of items, and further sums for the
log. The step divides once, by the number over all micro-batches and ranks: a mean of means is wrong as soon as
batches differ in size.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shared.core.seed import derive
from shared.data.draws import seed_default
from shared.training.device import autocast
from shared.training.distributed import World, reduce_sum

Loss = Callable[[nn.Module, Any], tuple[Tensor, int | Tensor, dict[str, Tensor]]]


@dataclass
class Sums:
    """What one step adds up, on the device: loss, items, and further terms for the log."""

    loss: Tensor
    count: int | Tensor
    extras: dict[str, Tensor]

    def add(self, loss: Tensor, count: int | Tensor, extras: dict[str, Tensor]) -> None:
        self.loss = self.loss + loss
        self.count = self.count + count
        self.extras = {name: value + extras[name] for name, value in self.extras.items()}


def accumulate(
    model: nn.Module,
    loss: Loss,
    micro_batches: Sequence[Any],
    *,
    scaler: torch.amp.GradScaler,
    precision: str,
    world: World,
    seed: int,
) -> Sums:
    """Forward and backward over the micro-batches of one step; gradients of the loss's sum are left in `.grad`.

    Args:
        model: as `distributed.wrap` returned it. Gradients cross ranks with the last micro-batch alone.
        seed: of this step; dropout is seeded from it, the micro-batch and the rank.
    """
    sums = None
    last = len(micro_batches) - 1
    for index, batch in enumerate(micro_batches):
        if last:
            share_batch_norm_momentum(model, index, len(micro_batches))
        seed_default(derive(seed, index, world.rank), world.device)
        with _no_sync(model, index < last):
            with autocast(precision, world.device):
                total, count, extras = loss(model, batch)
            scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        if sums is None:
            sums = Sums(total.detach(), count, extras)
        else:
            sums.add(total.detach(), count, extras)
    assert sums is not None, "a step without a micro-batch"
    return sums


def update(
    parameters: Sequence[Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    count: int | Tensor,
    *,
    scaler: torch.amp.GradScaler,
    clip_norm: float,
    world: World,
) -> bool:
    """Unscale, divide, clip, step, update the scale, clear. Returns False for a skipped fp16 step.

    Args:
        parameters: all that have gradients.
        count: this rank's items of the step.
        clip_norm: largest norm of all gradients together; 0: no clipping.
    """
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_div_(gradients, _divisor(count, world))
    if clip_norm:
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    scale = scaler.get_scale() if scaler.is_enabled() else 1.0
    for optimizer in optimizers:
        scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
    scaler.update()
    return not scaler.is_enabled() or scaler.get_scale() >= scale


def make_scaler(precision: str, device: torch.device, items: int) -> torch.amp.GradScaler:
    """A scaler that acts for fp16 alone. Its first scale is torch's, divided by the items that a loss sums over."""
    return torch.amp.GradScaler(device.type, init_scale=2.0**16 / items, enabled=precision == "fp16")


def share_batch_norm_momentum(model: nn.Module, index: int, number: int) -> None:
    """Makes n micro-batches move batch norm's running statistics as far as one batch, each by the same share.

    With momentum m, the j-th of n (from 0) takes (m/n) / (1 - (n-1-j) m/n): each one's final weight is m/n. So the
    statistics after a step do not depend on the order, nor on how micro-batches are dealt to ranks.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            momentum = module.__dict__.setdefault("full_momentum", module.momentum)
            module.momentum = (momentum / number) / (1 - (number - 1 - index) * momentum / number)


def _divisor(count: int | Tensor, world: World) -> float | Tensor:
    """Items over all ranks, over the number of ranks: DDP has already taken the mean over ranks."""
    if world.size == 1:
        return count
    total = torch.as_tensor(count, dtype=torch.float64 if world.device.type != "mps" else None, device=world.device)
    return reduce_sum(total, world) / world.size


def _no_sync(model: nn.Module, active: bool) -> AbstractContextManager[None]:
    if active and isinstance(model, nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return nullcontext()
