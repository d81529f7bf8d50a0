"""Prepared images -> batches on the device.

B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from shared.core.sections import Runtime, TrainParams
from shared.data.arrays import Split, read_split
from shared.data.batches import Batches, EqualBatches, Read
from shared.training.distributed import World


class ImageBatch(NamedTuple):
    """image: (B, C, H, W) float in [0, 1]; label: (B,) int64; sample: (B,) int64, index in the split."""

    image: Tensor
    label: Tensor
    sample: Tensor


Augment = Callable[[Tensor, Tensor, float], Tensor]  # uint8 images, (B,) samples, epoch -> float in [0, 1]


def to_float(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> float in [0, 1], channels last in memory: what convolutions are fastest on."""
    return images.to(torch.get_default_dtype()).div_(255).contiguous(memory_format=torch.channels_last)


def reader(split: Split, device: torch.device | None) -> Read:
    """Index -> (images, labels): from the device's memory, or (None) from the mapped file, as a worker reads."""
    images, labels = split.images, torch.from_numpy(split.labels)
    if device is None:
        return lambda index: (torch.from_numpy(images[index.numpy()]), labels[index])
    on_device = torch.from_numpy(images).to(device), labels.to(device)

    def read(index: Tensor) -> tuple[Tensor, Tensor]:
        here = index.to(device, non_blocking=True)
        return on_device[0][here], on_device[1][here]

    return read


def train_batches(prepared: Path, augment: Augment, params: TrainParams, runtime: Runtime, world: World) -> Batches:
    """Augmented training batches by step."""
    mapped = runtime.loader == "workers"
    split = read_split(prepared, "train", mapped=mapped)

    def finish(raw: tuple[Tensor, Tensor], sample: Tensor, epoch: float) -> ImageBatch:
        return ImageBatch(augment(raw[0], sample, epoch), raw[1], sample)

    return Batches(
        reader(split, None if mapped else world.device),
        finish,
        plan=EqualBatches(len(split), params.batch_size, params.micro_batch_size, world),
        seed=params.seed,
        world=world,
        workers=runtime.workers if mapped else 0,
    )
