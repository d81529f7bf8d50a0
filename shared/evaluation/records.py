"""One record per sample: what every metric, curve and interval is computed from."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.progress import progress
from shared.data.batches import Batch, cost_shares, even_shares, gather
from shared.data.prepared import Prepared
from shared.training.distributed import World, gather_objects
from shared.training.fit import Validation

Records = dict[str, Any]  # name -> Tensor (N, ...), or a list of N tensors of any shape


@torch.no_grad()
def collect(predict: Callable[[Tensor], Records], shares: Iterable[Tensor], world: World) -> Records:
    """Runs `predict` over a whole split, shared among the ranks, and gathers every sample's record on the first rank.

    Means over ranks or batches would be wrong if their sizes differ, and curves cannot be computed from sums.

    Args:
        predict: (b,) int64 indices on the CPU -> tensors with b rows each, or lists of b tensors where samples differ
            in shape.
        shares: this rank's indices, in batches (see data/batches.py); none where it has no samples.

    Returns:
        On the first rank the records of all samples in the split's order, on the CPU, and `sample` (N,) int64; nothing
        on the others.
    """
    shares, mine = list(shares), []
    with progress("predictions", sum(map(len, shares)), shown=world.is_first) as advance:
        for index in shares:
            mine.append((index, _on_cpu(predict(index))))
            advance(len(index))
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
    prepared: Prepared,
    fields: Sequence[str],
    world: World,
    measure: Callable[[nn.Module, Batch], dict[str, Tensor]],
    metrics: Sequence[str],
    *,
    batch_size: int,
    cost: str = "",
) -> Validation | None:
    """Means over the validation split; None where there is none.

    Args:
        fields: columns of the batches.
        measure: model, batch on the world's device -> for each metric (b,) values, one per sample.
        metrics: their names.
        batch_size: samples at once; with a cost, items of it with padding.
        cost: the ragged column whose lengths fill a batch.
    """
    if "valid" not in prepared.splits:
        return None
    table = prepared.table("valid")
    read = gather(table, *fields, device=world.device)
    lengths = table.ragged(cost).lengths if cost else None
    shares = even_shares(len(table), batch_size, world) if lengths is None else cost_shares(lengths, batch_size, world)

    def validate(model: nn.Module) -> dict[str, float]:
        records = collect(lambda index: measure(model, read(index)), shares, world)
        return {name: records[name].double().mean().item() for name in metrics} if records else {}

    return Validation(metrics, validate)


def class_validation(
    prepared: Prepared,
    fields: Sequence[str],
    world: World,
    logits: Callable[[nn.Module, Batch], Tensor],
    *,
    batch_size: int,
    cost: str = "",
) -> Validation | None:
    """valid_loss (mean cross-entropy, in nats) and valid_accuracy of a classifier, see `mean_validation`.

    Args:
        fields: columns of the batches besides label, (N,) int64.
        logits: model, batch -> (b, K).
    """

    def measure(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        scores, label = logits(model, batch), batch["label"]
        losses = F.cross_entropy(scores, label, reduction="none")
        return {"valid_loss": losses, "valid_accuracy": scores.argmax(1) == label}

    metrics = "valid_loss", "valid_accuracy"
    return mean_validation(prepared, [*fields, "label"], world, measure, metrics, batch_size=batch_size, cost=cost)
