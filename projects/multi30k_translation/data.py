"""Batches of pairs: what the model reads and what it is to write.

B batch, S source tokens, T target tokens.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from shared.data.batches import Augment, Batch
from shared.data.draws import Draws
from shared.data.table import Table

from .pieces import Marks


def both_lengths(table: Table) -> np.ndarray:
    """(N, 2): tokens of source and target, by which a batch's padded cost is reckoned."""
    return np.stack([table.ragged(side).lengths for side in ("source", "target")], 1)


def inputs_of(target: Tensor, begin: int) -> Tensor:
    """(B, T) -> (B, T) int64: `begin` and the target without its last token: what the decoder reads."""
    return torch.cat([torch.full_like(target[:, :1], begin), target[:, :-1]], 1).long()


def reading(marks: Marks, blank_rate: float, seed: int) -> Augment:
    """An augmentation that adds `inputs`, and removes a share of the words read, from source and inputs. So the blank
    becomes a neutral baseline for attributions, and the decoder relies more on the source."""
    return partial(_read, marks, blank_rate, seed)


def _read(marks: Marks, blank_rate: float, seed: int, batch: Batch, epoch: float) -> Batch:
    batch["inputs"] = inputs_of(batch["target"], marks.begin)
    for number, name in enumerate(("source", "inputs")):
        tokens = batch[name].long()
        place = torch.arange(tokens.shape[1], device=tokens.device)
        keys = (batch["sample"][:, None] << 20) + (place << 1) + number
        chosen = Draws(seed, int(epoch * 1_000_003), keys).uniform() < blank_rate
        batch[name] = blanked(tokens, chosen, marks)
    return batch


def blanked(tokens: Tensor, chosen: Tensor, marks: Marks) -> Tensor:
    """Tokens with those chosen removed that are pieces of words; both of one shape."""
    special = torch.isin(tokens, torch.tensor([marks.end, *marks.never], device=tokens.device))
    return tokens.masked_fill(chosen & ~special, marks.blank)
