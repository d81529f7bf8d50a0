"""One record a sample: the form that every metric, curve and interval is computed from."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.data.batches import Batch, Read
from shared.training.distributed import World, gather_objects
from shared.training.fit import Validation

Records = dict[str, Any]  # name -> Tensor (N, ...), or a list of N tensors of any shape


@torch.no_grad()
def collect(predict: Callable[[Tensor], Records], shares: Iterable[Tensor], world: World) -> Records:
    """Runs `predict` over a whole split, dealt to the ranks, and brings every sample's record to the first rank.

    Means of ranks or of batches would be wrong as soon as these differ in size, and sums cannot make a curve.

    Args:
        predict: (b,) int64 indices on the CPU -> tensors with b rows each, or lists of b tensors where samples differ
            in shape.
        shares: this rank's indices, in batches (see data/batches.py); none where it has no samples.

    Returns:
        On the first rank the records of all samples in the split's order, on the CPU, and `sample` (N,) int64; nothing
        on the others.
    """
    mine = [(index, _on_cpu(predict(index))) for index in shares]
    parts = [part for share in gather_objects(mine, world) for part in share]
    if not parts:
        return {}
    sample = torch.cat([index for index, _ in parts])
    order = sample.argsort()
    assert sample[order].diff().ne(0).all(), "a sample was evaluated twice"
    records: Records = {name: _joined([found[name] for _, found in parts], order) for name in parts[0][1]}
    return records | {"sample": sample[order]}


def _on_cpu(records: Records) -> Records:
    return {
        name: value.cpu() if isinstance(value, Tensor) else [row.cpu() for row in value]
        for name, value in records.items()
    }


def _joined(parts: list[Any], order: Tensor) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)[order]
    rows = [row for part in parts for row in part]
    return [rows[index] for index in order.tolist()]


def mean_validation(
    measure: Callable[[nn.Module, Batch], dict[str, Tensor]],
    metrics: tuple[str, ...],
    read: Read,
    shares: list[Tensor],
    world: World,
) -> Validation:
    """Means over a validation split.

    Args:
        measure: model, batch -> for each metric (b,) values, a sample each.
        metrics: their names.
        read: (b,) indices -> the batch, on the world's device.
        shares: this rank's indices, in batches.
    """

    def validate(model: nn.Module) -> dict[str, float]:
        records = collect(lambda index: measure(model, read(index)), shares, world)
        return {name: records[name].double().mean().item() for name in metrics} if records else {}

    return Validation(metrics, validate)


CLASS_METRICS = "valid_loss", "valid_accuracy"


def class_metrics(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """What `mean_validation` takes of a classifier: (B, K) logits, (B,) int64 labels -> CLASS_METRICS, (B,) each."""
    values = F.cross_entropy(logits, label, reduction="none"), logits.argmax(1) == label
    return dict(zip(CLASS_METRICS, values, strict=True))
