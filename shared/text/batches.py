"""Token sequences -> padded batches on the device, of about one length each.

B batch, L tokens of the longest sequence in it, F ids a token where it has several.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from shared.core.sections import FitParams, Runtime
from shared.data.batches import Batches, LengthBatches, Read
from shared.data.columns import Ragged
from shared.training.distributed import World


class TextBatch(NamedTuple):
    """A padded batch; what is padded changes nothing.

    tokens: (B, L) or (B, L, F) int64, 0 where padded; mask: (B, L) bool, True on tokens; label: (B,) int64, or
    (B, L) int64 where each token has one; sample: (B,) int64, index in the split.
    """

    tokens: Tensor
    mask: Tensor
    label: Tensor
    sample: Tensor


Augment = Callable[[Tensor, Tensor, Tensor, float], Tensor]  # tokens, mask, (B,) samples, epoch -> tokens


class Padded:
    """`padded(index)`: rows of different lengths as one tensor, without a loop.

    Args:
        rows: values (T,) or (T, F) of any integer type.
        device: where they are kept and the result is made.
    """

    def __init__(self, rows: Ragged, device: torch.device) -> None:
        self.values, self.offsets = (torch.from_numpy(part).to(device) for part in rows)

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) int64 -> values (B, L, ...) int64, 0 where padded, and mask (B, L) bool; L is at least 1."""
        start = self.offsets[index]
        length = self.offsets[index + 1] - start
        place = torch.arange(max(1, int(length.max())), device=start.device)
        mask = place < length[:, None]
        values = self.values[torch.where(mask, start[:, None] + place, 0)].long()
        return values.masked_fill_(~mask.view(*mask.shape, *(1,) * (values.ndim - 2)), 0), mask


def text_reader(tokens: Ragged, labels: Tensor | Ragged, device: torch.device) -> Read:
    """Index -> (tokens, mask, label), padded, on the device.

    Args:
        tokens: of every text, (T,) or (T, F).
        labels: (N,) int64, one a text; or one a token.
    """
    pad = Padded(tokens, device)
    if isinstance(labels, Ragged):
        pad_labels = Padded(labels, device)
        return lambda index: (*pad(index.to(device)), pad_labels(index.to(device))[0])
    on_device = labels.to(device)
    return lambda index: (*pad(index.to(device)), on_device[index.to(device)])


def text_batches(
    tokens: Ragged, labels: Tensor | Ragged, augment: Augment | None, params: FitParams, runtime: Runtime, world: World
) -> Batches:
    """Training batches by step, of about params.batch_size tokens each.

    Args:
        augment: changes tokens in training, such as leaving out words; None: they stay as they are.
    """
    by_workers = runtime.loader == "workers"

    def finish(raw: tuple[Tensor, Tensor, Tensor], sample: Tensor, epoch: float) -> TextBatch:
        ids, mask, label = raw
        return TextBatch(augment(ids, mask, sample, epoch) if augment else ids, mask, label, sample)

    return Batches(
        text_reader(tokens, labels, torch.device("cpu") if by_workers else world.device),
        finish,
        plan=LengthBatches(tokens.lengths, params.batch_size, params.micro_batch_size),
        seed=params.seed,
        world=world,
        workers=runtime.workers if by_workers else 0,
    )
