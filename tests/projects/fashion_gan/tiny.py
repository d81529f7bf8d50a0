"""A training small enough for a test: bars of 8 px, horizontal or vertical."""

from pathlib import Path
from typing import Any

import numpy as np

from projects.fashion_gan import train
from projects.fashion_gan.params import Params
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.arrays import Split
from shared.image.classes import ImageClasses, write
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local

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
    """Params of the sample, made small; `changes` are keys of `train`, a dot written as two underscores."""
    words = WORDS | {f"train.{key.replace('__', '.')}": value for key, value in changes.items()}
    return load(Params, ROOT / "projects/fashion_gan/params.yaml", [f"{key}={value}" for key, value in words.items()])


def bars(number: int, seed: int) -> Split:
    """Bright bars on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 60, (number, 1, SIDE, SIDE)), np.arange(number) % 2
    for image, label, place in zip(images, labels, rng.integers(1, SIDE - 2, number), strict=True):
        (image[0] if label else image[0].T)[place : place + 2] = rng.integers(180, 256)
    return Split(images.astype(np.uint8), labels.astype(np.int64), [str(index) for index in range(number)])


def prepare(folder: Path) -> Path:
    """40 images for training, 12 for validation, 12 for test."""
    splits = {
        name: bars(number, seed) for seed, (name, number) in enumerate({"train": 40, "valid": 12, "test": 12}.items())
    }
    write(folder / "prepared", ImageClasses("own", ["vertical", "horizontal"], splits), params().prepare)
    return folder / "prepared"


def run(prepared: Path, out: Path, chosen: Params, checkpoint: type[Checkpoint] = Checkpoint) -> train.Trained:
    """A whole training in this process; samples and checkpoint lie in `out`."""
    out.mkdir(exist_ok=True)
    world = local()
    return train.train(chosen, prepared, checkpoint(out / "last.pt", world), world, out)[0]
