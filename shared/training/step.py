"""One update of the weights: forward and backward over micro-batches, then scale, clip and step, in that order.

The loss contract: `loss(model, batch)` returns the sum over items, the number of items, and further sums for the
log. The step divides once, by the number over all micro-batches and ranks: a mean of means is wrong as soon as
batches differ in size.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim import Optimizer

from shared.core.seed import derive
from shared.data.batches import Batch
from shared.data.draws import seed_default
from shared.training.device import autocast
from shared.training.distributed import World, reduce_sum

# A number that the host knows should be an int: reading a tensor would wait for the device.
Loss = Callable[[nn.Module, Batch], tuple[Tensor, int | Tensor, dict[str, Tensor]]]
Schedule = Callable[[int], float]  # number of the update -> factor of the rates


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
    micro_batches: Sequence[Batch],
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
    with shared_momentum(model, len(micro_batches)) if last else nullcontext() as share:
        for index, batch in enumerate(micro_batches):
            if share:
                share(index)
            seed_default(derive(seed, index, world.rank), world.device)
            with model.no_sync() if isinstance(model, DDP) and index < last else nullcontext():
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
    optimizers: Sequence[Optimizer],
    count: int | Tensor,
    *,
    scaler: torch.amp.GradScaler,
    clip_norm: float,
    world: World,
) -> bool:
    """Unscale, divide, clip, step, update the scale, clear: all optimizers step, or none does.

    Args:
        parameters: all that have gradients.
        count: this rank's items of the step.
        clip_norm: largest norm of all gradients together; 0: no clipping.

    Returns:
        False for a step that was skipped: no items on any rank, or fp16 gradients that overflowed.
    """
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    divisor, is_empty = _divisor(count, world)
    # Decided as the scaler does, so that it lowers its scale: the 2-norm of finite gradients may be infinite
    overflowed = scaler.is_enabled() and not bool(nn.utils.get_total_norm(gradients, inf).isfinite())
    skipped = is_empty or overflowed
    if not skipped:
        torch._foreach_div_(gradients, divisor)
        if clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, clip_norm, nn.utils.get_total_norm(gradients))
    for optimizer in optimizers:
        if not skipped:
            scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
    scaler.update()
    return not skipped


def make_scaler(precision: str, device: torch.device, items: int) -> torch.amp.GradScaler:
    """A scaler that acts for fp16 alone. Its first scale is torch's, divided by the items that a loss sums over."""
    return torch.amp.GradScaler(device.type, init_scale=2.0**16 / items, enabled=precision == "fp16")


@contextmanager
def shared_momentum(model: nn.Module, number: int) -> Iterator[Callable[[int], None]]:
    """Lets n micro-batches move batch norm's running statistics as far as one batch, each by the same share.

    With momentum m, the j-th of n (from 0) takes (m/n) / (1 - (n-1-j) m/n): each one's final weight is m/n. So the
    statistics after a step do not depend on the order, nor on how micro-batches are dealt to ranks.

    Yields:
        A function to call with j before each micro-batch.
    """
    norms = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    momenta = [(norm, norm.momentum) for norm in norms if norm.momentum is not None]

    def share(index: int) -> None:
        for norm, momentum in momenta:
            norm.momentum = (momentum / number) / (1 - (number - 1 - index) * momentum / number)

    yield share
    for norm, momentum in momenta:
        norm.momentum = momentum


def cross_entropy(logits: Tensor, label: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, int, dict[str, Tensor]]:
    """Cross-entropy by the loss contract, and how many are right as `accuracy`: (N, K) logits, (N,) int64 labels."""
    total = F.cross_entropy(logits, label, label_smoothing=label_smoothing, reduction="sum")
    return total, len(label), {"accuracy": (logits.argmax(1) == label).sum()}


def linear(total: int, warmup: int = 0) -> Schedule:
    """Linear warm-up over `warmup` updates, then linear decay to 0.

    >>> rate = linear(total=10, warmup=2)
    >>> [round(rate(step), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.12]
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, 1 - (step - warmup) / max(1, total - warmup))

    return factor


def set_rates(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Sets every group's rate to its initial rate times the factor."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def _divisor(count: int | Tensor, world: World) -> tuple[float | Tensor, bool]:
    """Items over all ranks, over the number of ranks (DDP has already taken the mean over ranks), and whether there
    are none. A rank that has items knows that there are some, and does not wait for the others' number."""
    if world.size == 1:
        return count, not count
    own = torch.as_tensor(count, dtype=world.widest, device=world.device)
    total = reduce_sum(own.clone(), world)  # in place: the log adds up this rank's own
    return total / world.size, not count and not total
