"""How long cifar_cnn's preset `official` trains on a GPU that is warm, and what it reaches.

All through `fit()` and the project's own description of its training, with history and checkpoints. The first training
of the process warms up: libraries are loaded then, and kernels chosen. The ones after it count, one a seed.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.preset import Elsewhere, load, train
from benchmarks.table import report
from projects.cifar_cnn.model import predict_logits
from projects.cifar_cnn.params import Params
from projects.cifar_cnn.train import describe
from shared.data.prepared import Prepared
from shared.data.source import bring
from shared.image import classes
from shared.image.augment import to_float
from shared.image.official import OFFICIAL
from shared.training.distributed import World, join

PRESET, SEEDS = "official", (0, 1, 2)
MOST_SECONDS, LEAST_ACCURACY = 5.0, 0.94
CHUNK = 2000  # test images at once


def measure(seed: int, prepared: Path, world: World) -> dict[str, Any]:
    """One training: its seconds and the test accuracy of its weights, all views of each image."""
    params = load("cifar_cnn", Params, PRESET, {"train.seed": seed})
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        run = train(describe, params, prepared, world, Path(scratch))
        with_setup = time.perf_counter() - start
    test, config = Prepared(prepared).table("test"), {"views": params.train.views, "flip": params.train.flip}
    images = torch.from_numpy(test.fixed("image")).split(CHUNK)
    logits = [predict_logits(run.model, to_float(some.to(world.device)), config) for some in images]
    right = torch.cat(logits).argmax(1).cpu() == torch.from_numpy(test.fixed("label"))
    accuracy = {"test accuracy": round(right.double().mean().item(), 4)}
    seconds = {"seconds in fit()": round(run.progress.seconds, 2), "with set-up": round(with_setup, 2)}
    return {"seed": seed, "steps": run.progress.step, **seconds, **accuracy}


def main() -> bool:
    """Measures and reports. Returns whether both targets were met; True, with a line, where there is no GPU."""
    if not torch.cuda.is_available():
        print("left out: this machine has no CUDA device")
        return True
    params = load("cifar_cnn", Params, PRESET)
    with tempfile.TemporaryDirectory() as folder, join(params.runtime) as world:
        project = Elsewhere("cifar_cnn", Path(folder))
        bring(OFFICIAL["cifar10"], project.raw)
        classes.prepare(project, params.prepare)
        rows = [{"training": "first of the process", **measure(SEEDS[0], project.prepared, world)}]
        rows += [{"training": "warm", **measure(seed, project.prepared, world)} for seed in SEEDS]
    report("gpu_training", rows, device=world.device, preset=PRESET)
    warm = rows[1:]
    fast = max(row["seconds in fit()"] for row in warm) <= MOST_SECONDS
    return fast and statistics.mean(row["test accuracy"] for row in warm) >= LEAST_ACCURACY
