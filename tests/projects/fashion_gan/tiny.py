"""A training small enough for a test: bars of 8 px, horizontal or vertical."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from projects.fashion_gan import train
from projects.fashion_gan.params import Params
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.prepared import Prepared, write_prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, local

SIDE = 8
WORDS = {
    "prepare.image_size": SIDE,
    "train.epochs": 10.0,
    "train.batch_size": 8,
    "train.micro_batch_size": 4,
    "train.precision": "fp32",
    "train.sample_epochs": 3.0,
    "train.ema_decay": 0.9,
    "train.model.width": 4,
    "train.model.latent_size": 4,
    "runtime.device": "cpu",
    "runtime.log_steps": 1,
    "runtime.checkpoint_steps": 7,
}


def params(**changes: Any) -> Params:
    """Params of the sample, made small; `changes` are keys of `train`, or of another section with two underscores."""
    keys = {key.replace("__", ".") if "__" in key else f"train.{key}": value for key, value in changes.items()}
    words = [f"{key}={value}" for key, value in (WORDS | keys).items()]
    return load(Params, ROOT / "projects/fashion_gan/params.yaml", words)


def bars(number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bright bars on a dark, noisy ground: (N, 1, 8, 8) uint8, and labels (N,) int64."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 60, (number, 1, SIDE, SIDE)), np.arange(number) % 2
    for image, label, place in zip(images, labels, rng.integers(1, SIDE - 2, number), strict=True):
        (image[0] if label else image[0].T)[place : place + 2] = rng.integers(180, 256)
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels.astype(np.int64))


def prepare(folder: Path) -> Prepared:
    """40 images for training, 12 for validation, 12 for test."""
    splits = {}
    for seed, (name, number) in enumerate({"train": 40, "valid": 12, "test": 12}.items()):
        images, labels = bars(number, seed)
        ids = [str(index) for index in range(number)]
        splits[name] = {"image": images.numpy(), "label": labels.numpy(), "id": ids}
    manifest = {"source": "own", "classes": ["vertical", "horizontal"], "channels": 1, "image_size": SIDE}
    write_prepared(folder / "prepared", splits, manifest)
    return Prepared(folder / "prepared")


def run(
    prepared: Prepared, out: Path, chosen: Params, checkpoint: type[Checkpoint] = Checkpoint, world: World | None = None
) -> train.Run:
    """A whole training in this process; samples and checkpoint lie in `out`."""
    out.mkdir(exist_ok=True)
    world = world or local()
    training = replace(train.describe(chosen, prepared, world), results=out)
    return train.train_networks(training, chosen.train, chosen.runtime, world, checkpoint(out / "last.pt", world), out)
