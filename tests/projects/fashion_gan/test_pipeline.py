"""From a folder of drawings to the page and to new images: what is learned, and every file that is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from projects.fashion_gan import evaluate, explain, predict, prepare, train
from tests.whole_pipeline import assert_complete, run_all

from . import tiny

PROJECT, STAGES = Path(train.__file__).parent, (prepare, train, evaluate, explain)
HOSTILE = "ständig <b>"
WORDS = {
    "prepare.image_size": tiny.SIDE,
    "prepare.channels": 1,
    "train.epochs": 100.0,
    "train.batch_size": 16,
    "train.micro_batch_size": 16,
    "train.sample_epochs": 34.0,
    "train.ema_decay": 0.98,
    "train.model.width": 16,
    "train.model.latent_size": 8,
    "evaluate.classifier_epochs": 20.0,
    "explain.methods": "[integrated_gradients, occlusion]",
    "explain.num_scored": 20,
    "explain.num_shown": 2,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "report.html",
    *(f"train/{name}" for name in ("model.safetensors", "samples/moving.webp", "history.tsv", "validation.tsv")),
    *(f"{stage}/page.json" for stage in ("train", "evaluate", "explain")),
    *("train/README.md", "train/model.json", "train/run.json", "evaluate/metrics.json", "evaluate/run.json"),
    *("explain/metrics.json", "explain/curves.tsv"),
]
WITHOUT_CLASSES = {"train.epochs": 2.0, "train.sample_epochs": 1.0, "evaluate.classifier_epochs": 2.0}


def draw(folder: Path, classes: list[str]) -> None:
    """480 bars, vertical or horizontal, anywhere and of any brightness, a folder a class or all in one."""
    rng = np.random.default_rng(0)
    for number in range(480):
        image = np.full((tiny.SIDE, tiny.SIDE), 10, np.uint8)
        start, label = rng.integers(0, tiny.SIDE - 2), number % 2
        (image.T if label else image)[start : start + 3] = rng.integers(120, 256)
        place = folder / classes[label] if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    draw(root / "data/raw/fashion_gan", ["horizontal", HOSTILE])
    with run_all(root, PROJECT, WORDS, STAGES) as results:
        yield results


def read(results: Path, name: str = "evaluate/metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / name).read_text())
    return found


def test_it_learns_what_a_gaussian_cannot(results: Path) -> None:
    metrics = read(results)
    assert metrics["num_samples"] == 96  # a fifth: equal drawings stay together
    assert metrics["classifier_accuracy"] > 0.95
    # about half of it; how much changes with the number of threads
    assert metrics["frechet_distance"] < 0.8 * metrics["baseline"]["pca_gaussian_frechet_distance"]
    assert metrics["frechet_distance_low"] < metrics["frechet_distance"] < metrics["frechet_distance_high"]
    assert metrics["floor"]["frechet_distance"] < metrics["baseline"]["pca_gaussian_frechet_distance"]
    assert metrics["class_agreement_score"] > 0.8


def test_its_explanations_pass_their_tests(results: Path) -> None:
    assert 0.5 <= read(results)["discriminator_test_auc_score"] <= 1
    occlusion = read(results, "explain/metrics.json")["occlusion"]
    assert occlusion["deletion_score"] > occlusion["deletion_score_random"]


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results, FILES)
    found = {path.name for path in (results / "evaluate/pictures").iterdir()}
    assert found == {"generated.png", "real.png", "pca_gaussian.png", "nearest.png"}


def test_the_page_shows_them_and_moves_without_script(results: Path) -> None:
    page = (results / "report.html").read_text()
    assert "ständig &lt;b&gt;" in page
    assert HOSTILE not in page
    assert page.count("data:image/webp;base64,") == 1
    assert "<script" not in page


def test_new_images_are_made(results: Path, tmp_path: Path) -> None:
    predict.main([str(tmp_path / "out.png"), "--class", "horizontal", "--number", "4"])
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (2 * tiny.SIDE, 2 * tiny.SIDE)


def test_images_without_classes(tmp_path: Path) -> None:
    draw(tmp_path / "data/raw/fashion_gan", [])
    with run_all(tmp_path, PROJECT, WORDS | WITHOUT_CLASSES, STAGES) as results:
        metrics, page = read(results), (results / "report.html").read_text()
    assert 0 <= metrics["classifier_accuracy"] <= 1  # of quarter turns
    assert "class_agreement_score" not in metrics
    assert "Classes of the generated images" not in page
