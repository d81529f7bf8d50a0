"""Prepared form -> batches. The preprocessing here is shared by train, evaluate, explain and predict."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """image: (B, C, H, W) float in [0, 1]; label: (B,) int64; sample: (B,) int64, index in the split."""

    image: Tensor
    label: Tensor
    sample: Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> float in [0, 1], channels last in memory: what convolutions are fastest on."""
    return images.to(torch.get_default_dtype()).div_(255).contiguous(memory_format=torch.channels_last)
