"""Augmented 32x32 images a second: whole batches on the device, beside one image at a time in a DataLoader.

Both mirror and shift by up to two pixels with reflected edges and give float batches of 500. All take turns; the figure
is the median of the rounds. One thread computes here; DataLoader workers are processes beside it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.table import report
from projects.cifar_cnn.data import augment
from projects.cifar_cnn.params import Params
from shared.core.params import load
from shared.core.paths import Project
from shared.data.batches import Batches, EqualBatches, gather
from shared.data.table import Table, write_table
from shared.training.distributed import local

IMAGES, BATCH, ROUNDS = 10_000, 500, 5
LEAST = 40_000  # images a second, of ours on one core


class Pictures(Dataset[tuple[Tensor, int]]):
    """What a user would write: PIL images through torchvision's transforms, one by one."""

    def __init__(self, table: Table) -> None:
        from torchvision.transforms import v2

        self.images, self.labels = table.fixed("image").transpose(0, 2, 3, 1), table.fixed("label")
        crop = v2.RandomCrop(32, padding=2, padding_mode="reflect")
        to_float = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
        self.transform = v2.Compose([v2.RandomHorizontalFlip(), crop, *to_float])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def ours(table: Table, workers: int) -> Callable[[], Iterator[Any]]:
    """The batches of cifar_cnn, as its train stage makes them."""
    params, world = load(Params, Project("cifar_cnn").folder / "params.yaml").train, local()
    batches = Batches(
        gather(table, "image", "label", device="cpu" if workers else world.device),
        plan=EqualBatches(len(table), BATCH, BATCH, world),
        seed=0,
        world=world,
        augment=partial(augment, params=params),
        workers=workers,
    )
    return lambda: batches.stream(0, len(batches))


def theirs(table: Table, workers: int) -> Callable[[], Iterator[Any]]:
    loader = DataLoader(Pictures(table), BATCH, shuffle=True, num_workers=workers)
    return lambda: iter(loader)


def rate(epoch: Callable[[], Iterator[Any]]) -> float:
    """Images a second, from the first batch on: starting workers is not what is measured."""
    batches = epoch()
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _ in batches)
    return count * BATCH / (time.perf_counter() - start)


def main() -> bool:
    """Whether ours reaches LEAST images a second on one core."""
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    columns = {"image": draw.integers(0, 256, (IMAGES, 3, 32, 32), np.uint8), "label": draw.integers(0, 10, IMAGES)}
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "train", columns)
        table = Table(Path(folder) / "train")
        makers = {
            "Batches, on the device": ours(table, 0),
            "Batches, 2 workers": ours(table, 2),
            "torchvision v2 on PIL, no workers": theirs(table, 0),
            "torchvision v2 on PIL, 2 workers": theirs(table, 2),
        }
        rates: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(ROUNDS):
            for name, epoch in makers.items():
                rates[name].append(rate(epoch))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = medians["Batches, on the device"]
    rows = [{"pipeline": name, "images/s": value, "ours over this": best / value} for name, value in medians.items()]
    report("input_pipeline", rows, ("torch", "torchvision", "pillow"), batch=BATCH, rounds=ROUNDS)
    return best >= LEAST
