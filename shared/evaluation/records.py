"""One record a sample: the form that every metric, curve and interval is computed from."""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.data.loaders import evaluation_shares
from shared.training.distributed import World, gather_records

Records = dict[str, Tensor]


@torch.no_grad()
def collect(predict: Callable[[Tensor], Records], size: int, batch_size: int, world: World) -> Records:
    """Runs `predict` over a whole split, dealt to the ranks, and brings every sample's record to all of them.

    Means of ranks or of batches would be wrong as soon as these differ in size, and sums cannot make a curve.

    Args:
        predict: (b,) int64 indices on the CPU -> tensors with b rows each. Results stay on the device until the end.
        size: samples in the split.

    Returns:
        Tensors with `size` rows in the split's order on the CPU, and `sample` (size,) int64.
    """
    shares = list(evaluation_shares(size, batch_size, world))
    parts = [predict(index) | {"sample": index} for index in shares]
    return gather_records({name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}, world)
