"""An image classifier from a folder of drawings to its page, in a checkout of its own."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.core.params import Section
from shared.image.predict import ImagePredictor
from tests import whole_pipeline
from tests.whole_pipeline import run_all

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
def run_on_drawings(root: Path, project: Path, params: type[Section], stages: Sequence[Any]) -> Iterator[Path]:
    """Runs an image classifier on 240 drawings (see whole_pipeline.py)."""
    draw_both(root / "data/raw" / project.name, 240, seed=0, by_class=True)
    with run_all(root, project, params, SMALL, stages) as results:
        yield results


def assert_learned(results: Path) -> None:
    """What a linear model cannot."""
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert metrics["num_samples"] == 48
    assert metrics["accuracy"] > 0.9
    assert metrics["baseline"]["linear_accuracy"] < 0.75
    assert metrics["baseline"]["majority_accuracy"] == 0.5


def assert_complete(results: Path) -> None:
    """Every file, and names of classes are text on the page."""
    whole_pipeline.assert_complete(results, FILES)
    page = (results / "report.html").read_text()
    assert "ständig &lt;b&gt;" in page
    assert "ständig <b>" not in page


def assert_predicts(predictor: ImagePredictor, folder: Path) -> None:
    """New drawings are told apart."""
    draw_both(folder, 20, seed=1, by_class=False)
    right = [one.label == CLASSES[number % 2] for number, one in enumerate(predictor.predict([folder]))]
    assert len(right) == 20
    assert np.mean(right) > 0.85
