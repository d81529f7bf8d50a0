"""An image classifier from a folder of drawings to its page, in a checkout of its own."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared import paths
from shared.params import Section, load
from shared.paths import Project
from shared.predict_images import ImagePredictor
from shared.report.page import build
from shared.report.results import Results

CLASSES = "lying", "ständig <b>"
SMALL = {
    "prepare.image_size": 16,
    "prepare.channels": 3,
    "prepare.valid_fraction": 0.1,
    "train.seed": 0,
    "train.epochs": 12.0,
    "train.batch_size": 16,
    "train.micro_batch_size": 16,
    "train.precision": "fp32",
    "explain.methods": "[integrated_gradients, grad_cam]",
    "explain.num_scored": 8,
    "explain.num_shown": 4,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "evaluate/metrics.json",
    "evaluate/predictions.csv",
    "evaluate/reliability.tsv",
    "evaluate/run.json",
    "evaluate/worst/index.json",
    "explain/curves.tsv",
    "explain/metrics.json",
    "explain/pictures/index.json",
    "report.html",
    "train/history.tsv",
    "train/model.json",
    "train/model.safetensors",
    "train/run.json",
    "train/validation.tsv",
]


def draw(path: Path, lying: bool, rng: np.random.Generator) -> None:
    """A bar of any place, lighter or darker than its ground: the mean of each class is grey, so nothing is linear."""
    image = rng.integers(90, 166, (20, 20, 3))
    top, left = rng.integers(1, 6, 2)
    bar = (slice(top + 5, top + 8), slice(left, left + 13))
    image[bar if lying else bar[::-1]] += rng.choice([-1, 1]) * rng.integers(60, 90, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint8)).save(path)


def draw_both(folder: Path, num: int, seed: int, *, by_class: bool) -> None:
    """Drawings of both classes in turn, in folders of their class or in one."""
    rng = np.random.default_rng(seed)
    for number in range(num):
        place = folder / CLASSES[number % 2] if by_class else folder
        draw(place / f"{number:03}.png", number % 2 == 0, rng)


@contextmanager
def run_all(
    root: Path, project: Path, params: type[Section], stages: Sequence[Callable[[Any], None]]
) -> Iterator[Path]:
    """Runs all stages and the page on 240 drawings below `root`; yields the results. The code believes to lie there.

    Args:
        project: its folder, with params.yaml and dvc.yaml.
        stages: the `main` of prepare, train, evaluate, explain.
    """
    draw_both(root / "data/raw" / project.name, 240, seed=0, by_class=True)
    (root / "projects" / project.name).mkdir(parents=True)
    shutil.copy(project / "dvc.yaml", root / "projects" / project.name)
    loaded = load(params, project / "params.yaml", [f"{key}={value}" for key, value in SMALL.items()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", root)
        for main in stages:
            main(loaded)
        build(Results(project.name, root))
        yield Project(project.name).folder / "results"


def assert_learned(results: Path) -> None:
    """What a linear model cannot."""
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert metrics["num_samples"] == 48
    assert metrics["accuracy"] > 0.9
    assert metrics["baseline"]["linear_accuracy"] < 0.75
    assert metrics["baseline"]["majority_accuracy"] == 0.5


def assert_complete(results: Path) -> None:
    """Every file, no other, no checkpoint left, and names of classes are text on the page."""
    found = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert {name for name in found if not name.endswith(".png")} == set(FILES)
    assert not list((paths.ROOT / ".checkpoints" / results.parent.name).iterdir())
    page = (results / "report.html").read_text()
    assert "ständig &lt;b&gt;" in page
    assert "ständig <b>" not in page


def assert_predicts(predictor: ImagePredictor, folder: Path) -> None:
    """New drawings are told apart."""
    draw_both(folder, 20, seed=1, by_class=False)
    right = [one.label == CLASSES[number % 2] for number, one in enumerate(predictor.predict([folder]))]
    assert len(right) == 20
    assert np.mean(right) > 0.85
