"""Prepared form -> batches: what training sees of a text."""

from pathlib import Path

import numpy as np
import torch
from shared.data.columns import Columns, Ragged, read_columns
from torch import Tensor

from shared.core.sections import Runtime
from shared.data.batches import Batches
from shared.text.batches import text_batches
from shared.text.tokens import Encoder
from shared.training.distributed import World

from .params import Train


def special_ids(encoder: Encoder) -> list[int]:
    """Ids of the marks that the encoder adds, such as [CLS]: no part of any text."""
    ids = np.arange(len(encoder))
    found: list[int] = ids[encoder.is_special(ids)].tolist()
    return found


def tokens_and_labels(columns: Columns) -> tuple[Ragged, Tensor]:
    """The columns that a model learns from: tokens of every text, (N,) int64 labels."""
    tokens, labels = columns["tokens"], columns["label"]
    assert isinstance(tokens, Ragged)
    return tokens, torch.as_tensor(labels)


def train_batches(prepared: Path, params: Train, runtime: Runtime, world: World) -> Batches:
    """Training batches by step, of params.batch_size tokens each. The networks hide words themselves: their n-grams
    must see them."""
    return text_batches(*tokens_and_labels(read_columns(prepared, "train")), None, params, runtime, world)
