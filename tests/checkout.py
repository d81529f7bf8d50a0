"""A copy of the repo in a temporary folder, with a few images prepared, to run stages in as a user would.

Stages run as processes of their own: they may be killed, or run in numbers, without harm to the copy's original.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from projects.cifar_cnn import sample
from shared.core.params import override, read_yaml
from shared.core.paths import ROOT
from shared.data.prepared import write_prepared
from shared.data.table import Column

PROJECT = sample.__name__.split(".")[1]  # so that a copy of the project tests itself


@dataclass(frozen=True)
class Checkout:
    """The copy at `root`, and what a test asks of it."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "projects" / PROJECT / "results" / "train"

    def command(self, *words: str) -> list[str]:
        """The train stage, with `section.key=value` words."""
        return [sys.executable, "-m", f"projects.{PROJECT}.train", *words]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Starts a command in the copy; its output can be read as it comes."""
        return subprocess.Popen(command, cwd=self.root, env=environment(), stdout=PIPE, stderr=STDOUT, text=True)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command in the copy; stdout and stderr together."""
        return subprocess.run(command, cwd=self.root, env=environment(), stdout=PIPE, stderr=STDOUT, text=True)

    def train(self, *words: str) -> str:
        """Runs the train stage to its end and returns what it said. Raises AssertionError if it failed."""
        return run(self.root, *self.command(*words))


def run(root: Path, *words: str) -> str:
    """The output of a command in a repository. Raises AssertionError if it failed."""
    done = Checkout(root).run([*words])
    assert done.returncode == 0, done.stdout
    return done.stdout


def environment() -> dict[str, str]:
    """As for a user: this venv's commands first, no mirror, and nothing of a torchrun or a test run around.

    One thread: these nets are too small for more, and threads that spin beside other processes cost most of the time.
    """
    hidden = ("RANK", "WORLD_SIZE", "PYTHONPATH", "PYTHONWARNINGS", "DATASET_MIRROR")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    kept |= {f"GIT_{who}_{what}": "tester@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def make_checkout(root: Path, *, num_train: int, num_valid: int, **params: Any) -> Checkout:
    """Copies what git knows or would add to a new repository at `root`, and prepares a sample.

    Args:
        root: must not exist yet.
        num_train: images; the test split gets ten.
        params: dotted keys of params.yaml -> values.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.check_output(listing, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file() and "/results/" not in name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    prepare(root / "data" / "prepared" / PROJECT, {"train": num_train, "valid": num_valid, "test": 10})
    path = root / "projects" / PROJECT / "params.yaml"
    tree = read_yaml(path)
    for key, value in ({"runtime.device": "cpu"} | params).items():
        override(tree, key, value)
    YAML().dump(tree, path)
    return Checkout(root)


def prepare(folder: Path, counts: dict[str, int]) -> None:
    """Generated images in the prepared form: what the fetch and prepare stages leave, in a second."""
    splits: dict[str, dict[str, Column]] = {}
    for number, (name, count) in enumerate(counts.items()):
        labels = np.arange(count) % len(sample.SHAPES)
        images, _ = sample.make_images(labels, np.random.default_rng([count, number]))
        ids = [f"{index:05d}" for index in range(count)]
        splits[name] = {"image": images.transpose(0, 3, 1, 2).copy(), "label": labels, "id": ids}
    reading = {"image_size": 32, "channels": 3, "fit": "crop", "ground": 255, "white": 255.0}
    manifest = {"source": "sample", "classes": list(sample.SHAPES), "mean": [0.5] * 3, "std": [0.25] * 3}
    write_prepared(folder, splits, manifest | reading)
