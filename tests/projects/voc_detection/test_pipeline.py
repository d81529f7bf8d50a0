"""From a folder in VOC's form to the page: what is learned, every file that is left, and boxes on new images."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from projects.voc_detection import evaluate, explain, predict, prepare, train
from projects.voc_detection.prepare import read_data
from shared.image.boxes import box_ious
from tests.whole_pipeline import assert_complete, run_all

from .forms import PARAMS, counted_from_one, voc_xml

PROJECT = Path(train.__file__).parent
CLASSES = "bar", "ring <b>"
WORDS = {
    "prepare.width_px": 64,
    "prepare.height_px": 64,
    "train.epochs": 14.0,
    "train.batch_size": 8,
    "train.micro_batch_size": 8,
    "train.validate_epochs": 7.0,
    "train.lr": 0.005,
    "train.ema_decay": 0.95,
    "train.mosaic": 0.3,
    "train.model.width": 8,
    "explain.methods": "[integrated_gradients, masking]",
    "explain.num_scored": 6,
    "explain.num_shown": 3,
    "explain.num_randomised": 1,
    "explain.num_masks": 40,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "report.html",
    *(f"train/{name}" for name in ("model.safetensors", "model.json", "run.json", "history.tsv", "validation.tsv")),
    "train/README.md",
    *(f"evaluate/{name}" for name in ("metrics.json", "page.json", "run.json", "detections.json", "precision.tsv")),
    *(f"explain/{name}" for name in ("metrics.json", "page.json", "curves.tsv", "boxes.json")),
]


def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[str, list[int]]]]:
    """Up to three things of any colour on a ground of grey: filled squares, and hollow ones."""
    image = rng.integers(100, 156, (48, 60, 3))
    objects = []
    for left in rng.permutation(3)[: rng.integers(0, 4)].tolist():
        side, label = int(rng.integers(11, 18)), int(rng.integers(2))
        x, y = left * 20 + int(rng.integers(0, 20 - side)), int(rng.integers(0, 48 - side))
        colour = rng.choice([-1, 1]) * rng.integers(60, 100, 3)
        image[y : y + side, x : x + side] += colour
        if label:
            image[y + 4 : y + side - 4, x + 4 : x + side - 4] -= colour
        objects.append((CLASSES[label], [x, y, x + side, y + side]))
    return image.clip(0, 255).astype(np.uint8), objects


def draw_all(folder: Path, count: int, seed: int) -> list[list[tuple[str, list[int]]]]:
    rng, every = np.random.default_rng(seed), []
    for part in ("JPEGImages", "Annotations"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        image, objects = draw(rng)
        every.append(objects)
        Image.fromarray(image).save(folder / "JPEGImages" / f"{number:03}.png")
        rows = [(name.replace("<b>", "&lt;b&gt;"), counted_from_one(box)) for name, box in objects]
        (folder / "Annotations" / f"{number:03}.xml").write_text(voc_xml(rows, (60, 48)))
    return every


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    draw_all(root / "data/raw/voc_detection", 240, seed=0)
    with run_all(root, PROJECT, WORDS, (prepare, train, evaluate, explain)) as results:
        yield results


def read(results: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / name).read_text())
    return found


def test_it_finds_what_it_was_shown(results: Path) -> None:
    metrics = read(results, "evaluate/metrics.json")
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (48, "images", "own")
    assert metrics["ap50_score"] > 0.8
    assert metrics["ap50_score_low"] <= metrics["ap50_score"] <= metrics["ap50_score_high"]
    assert metrics["ap_large_score"] is None, "there are no large objects"
    assert set(metrics["by_class"]) == set(CLASSES)
    found = json.loads((results / "evaluate/detections.json").read_text())
    assert {row["image_id"] for row in found} <= set(range(48))


def test_every_file_is_there_and_names_of_classes_are_text(results: Path) -> None:
    assert_complete(results, FILES)
    page = (results / "report.html").read_text()
    assert "ring &lt;b&gt;" in page
    assert "ring <b>" not in page


def test_explanations_are_measured_beside_a_bell_in_the_box(results: Path) -> None:
    metrics, boxes = read(results, "explain/metrics.json"), read(results, "explain/boxes.json")
    assert set(boxes) == {"integrated_gradients", "masking"}
    assert metrics["masking"]["deletion_score"] > metrics["masking"]["deletion_score_random"]
    assert boxes["masking"]["deletion_gain_low"] <= boxes["masking"]["deletion_gain"]
    assert -1 <= boxes["masking"]["convergence"] <= 1
    assert 0 <= boxes["integrated_gradients"]["inside_share"] <= 1


def test_predictions_are_read_back_as_own_data(results: Path, tmp_path: Path) -> None:
    actual = draw_all(tmp_path / "new", 12, seed=1)
    images = tmp_path / "new/JPEGImages"
    predict.main([str(images), "--out", str(tmp_path / "out"), "--model", str(results / "train")])
    assert len(list((tmp_path / "out/pictures").glob("*.png"))) == 12
    (tmp_path / "out/annotations.json").rename(images / "annotations.json")
    found, read_, _ = read_data(images, PARAMS)
    hits = 0
    for objects, one in zip(actual, read_, strict=True):
        truth = np.array([box for _, box in objects], float).reshape(-1, 4)
        hits += int((box_ious(truth, one.boxes) > 0.5).any(1).sum()) if len(one.boxes) else 0
    assert hits > 0.7 * sum(map(len, actual))
    assert found.classes == list(CLASSES)


def test_a_file_that_is_no_image_is_named_and_the_others_are_predicted(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_all(tmp_path, 1, seed=2)
    (tmp_path / "JPEGImages/bad.png").write_bytes(b"no image")
    with pytest.raises(SystemExit) as ended:
        predict.main([str(tmp_path / "JPEGImages"), "--json", "--model", str(results / "train")])
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert json.loads(printed.out)["file"].endswith("000.png")
    assert "bad.png" in printed.err
