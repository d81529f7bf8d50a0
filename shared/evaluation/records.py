"""One record a sample: the form that every metric, curve and interval is computed from."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from shared.training.distributed import World, gather_records

Records = dict[str, Tensor]


@torch.no_grad()
def collect(predict: Callable[[Tensor], Records], shares: Iterable[Tensor], world: World) -> Records:
    """Runs `predict` over a whole split, dealt to the ranks, and brings every sample's record to all of them.

    Means of ranks or of batches would be wrong as soon as these differ in size, and sums cannot make a curve.

    Args:
        predict: (b,) int64 indices on the CPU -> tensors with b rows each.
        shares: this rank's indices, in batches; see loaders.py.

    Returns:
        Tensors with a row a sample in the split's order on the CPU, and `sample` (N,) int64.
    """
    parts = [predict(index) | {"sample": index} for index in shares]
    return gather_records({name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}, world)
