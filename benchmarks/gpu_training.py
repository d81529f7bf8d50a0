"""How long cifar_cnn's preset `official` trains on a GPU that is warm, and what it reaches.

All through `train()` of the project, so through `fit()`, with its history and its checkpoints. The first training of
the process warms up: libraries are loaded then, and kernels chosen. The ones after it count, one a seed.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from shared.data.arrays import read_split
from shared.image.batches import to_float
from shared.image.cifar import CIFAR10

from benchmarks.preset import load
from benchmarks.table import report
from projects.cifar_cnn import prepare, train
from projects.cifar_cnn.model import predict_logits
from projects.cifar_cnn.params import Params
from shared.data.source import bring
from shared.image import classes as image_classes
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, join

PRESET, SEEDS = "official", (0, 1, 2)
MOST_SECONDS, LEAST_ACCURACY = 5.0, 0.94
CHUNK = 2000  # test images at once


def make_data(folder: Path, params: Params) -> Path:
    """Official images in the prepared form, below a folder."""
    bring(CIFAR10, folder / "raw")
    image_classes.write(folder / "prepared", prepare.read(folder / "raw", params.prepare), params.prepare)
    return folder / "prepared"


def measure(seed: int, prepared: Path, world: World) -> dict[str, Any]:
    """One training: its seconds and the test accuracy of its weights, all views of each image."""
    params = load("cifar_cnn", Params, PRESET, {"train.seed": seed})
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        run, _ = train.train(params, prepared, Checkpoint(Path(scratch) / "last.pt", world), world)
        with_setup = time.perf_counter() - start
    test = read_split(prepared, "test")
    images = torch.from_numpy(test.images).split(CHUNK)
    logits = [predict_logits(run.model, to_float(some.to(world.device)), params.evaluate.views) for some in images]
    right = torch.cat(logits).argmax(1).cpu() == torch.from_numpy(test.labels)
    accuracy = {"test accuracy": round(right.double().mean().item(), 4)}
    seconds = {"seconds in fit()": round(run.progress.seconds, 2), "with set-up": round(with_setup, 2)}
    return {"seed": seed, "steps": run.progress.step, **seconds, **accuracy}


def main() -> bool:
    """Measures and reports. Returns whether both targets were met; True, with a line, where there is no GPU."""
    if not torch.cuda.is_available():
        print("left out: this machine has no CUDA device")
        return True
    with tempfile.TemporaryDirectory() as folder, join(load("cifar_cnn", Params, PRESET).runtime) as world:
        prepared = make_data(Path(folder), load("cifar_cnn", Params, PRESET))
        rows = [{"training": "first of the process", **measure(SEEDS[0], prepared, world)}]
        rows += [{"training": "warm", **measure(seed, prepared, world)} for seed in SEEDS]
    report("gpu_training", rows, device=world.device, preset=PRESET)
    warm = rows[1:]
    fast = max(row["seconds in fit()"] for row in warm) <= MOST_SECONDS
    return fast and statistics.mean(row["test accuracy"] for row in warm) >= LEAST_ACCURACY
