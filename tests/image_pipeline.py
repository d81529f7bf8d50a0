"""An image classifier from a folder of drawings to its page, in a checkout of its own."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from shared.core.predict import Predict
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
    *(f"evaluate/{name}" for name in ("metrics.json", "page.json", "predictions.csv", "run.json")),
    *(f"explain/{name}" for name in ("curves.tsv", "metrics.json", "page.json")),
    *(f"train/{name}" for name in ("history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv")),
    "train/README.md",
    "report.html",
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
def run_on_drawings(root: Path, project: Path, stages: Sequence[ModuleType]) -> Iterator[Path]:
    """Runs an image classifier on 240 drawings (see whole_pipeline.py)."""
    draw_both(root / "data/raw" / project.name, 240, seed=0, by_class=True)
    with run_all(root, project, SMALL, stages) as results:
        yield results


def assert_learned(results: Path) -> None:
    """What a linear model cannot, on data that the weights name."""
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (48, "images", "own")
    assert metrics["accuracy"] > 0.9
    assert metrics["baseline"]["linear_accuracy"] < 0.75
    assert metrics["baseline"]["majority_accuracy"] == 0.5
    assert metrics["difference"]["linear_low"] > 0.1
    config = json.loads((results / "train/model.json").read_text())
    assert config["params"]["epochs"] == SMALL["train.epochs"]
    assert config["classes"] == list(CLASSES)


def assert_complete(results: Path) -> None:
    """Every file, and names of classes are text on the page."""
    whole_pipeline.assert_complete(results, FILES)
    page = (results / "report.html").read_text()
    assert "ständig &lt;b&gt;" in page
    assert "ständig <b>" not in page


def assert_predicts(predict: Predict, folder: Path) -> None:
    """New drawings are told apart, alone as in company."""
    draw_both(folder, 20, seed=1, by_class=False)
    paths = sorted(folder.iterdir())
    found = predict(paths)
    assert np.mean([one["label"] == CLASSES[number % 2] for number, one in enumerate(found)]) > 0.85
    assert abs(predict(paths[3:4])[0]["probability"] - found[3]["probability"]) < 1e-5
