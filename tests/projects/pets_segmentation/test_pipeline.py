"""From a folder of drawings to the page: what is learned, every file that is left, masks that are read back."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from projects.pets_segmentation import evaluate, explain, predict, prepare, train
from shared.image.masks import save_indices
from tests import whole_pipeline
from tests.whole_pipeline import run_all

CLASSES = ["ground", "lying <b>", "ständig"]
FILES = [
    *(f"evaluate/{name}" for name in ("images.csv", "metrics.json", "page.json", "run.json")),
    *(f"explain/{name}" for name in ("context.tsv", "curves.tsv", "metrics.json", "page.json")),
    *(f"train/{name}" for name in ("history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv")),
    "train/README.md",
    "report.html",
]
SMALL = {
    "prepare.height": 32,
    "prepare.width": 32,
    "prepare.overlap_px": 8,
    "train.epochs": 12.0,
    "train.batch_size": 8,
    "train.micro_batch_size": 8,
    "train.lr": 0.01,
    "train.filter_lr": 0.1,
    "train.ema_decay": 0.0,
    "train.crop_height": 32,
    "train.crop_width": 32,
    "train.zoom": "[1.0, 1.0]",
    "train.flip": "true",
    "train.model.width": 8,
    "train.model.depth": 2,
    "train.model.stem": 1,
    "evaluate.baseline_pixels": 2000,
    "evaluate.num_worst": 2,
    "explain.methods": "[integrated_gradients]",
    "explain.num_scored": 4,
    "explain.num_shown": 2,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}


def draw(folder: Path, number: int, rng: np.random.Generator, size: tuple[int, int]) -> None:
    """Two bars of any place and colour, one lying, one upright: a pixel alone tells nothing."""
    image, mask = rng.integers(100, 156, (*size, 3)), np.zeros(size, np.uint8)
    for label in (1, 2):
        top, left = (int(rng.integers(1, side - 15)) for side in size)
        bar = (slice(top + 5, top + 9), slice(left, left + 14))
        if label == 2:
            bar = (slice(top, top + 14), slice(left + 5, left + 9))
        image[bar], mask[bar] = rng.integers(0, 256, 3) // 2 + rng.choice([0, 127]), label
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"images/{number:03}.png")
    save_indices(mask, [(0, 0, 0), (255, 0, 0), (0, 0, 255)], folder / f"masks/{number:03}.png")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root, project = tmp_path_factory.mktemp("root"), Path(train.__file__).parent
    raw = root / "data/raw" / project.name
    rng = np.random.default_rng(0)
    for split, number in (("train", 96), ("valid", 8), ("test", 12)):
        for one in range(number):
            draw(raw / split, one, rng, (45, 41) if split == "test" and one < 3 else (32, 32))
    (raw / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    with run_all(root, project, SMALL, (prepare, train, evaluate, explain)) as found:
        yield found


def test_it_learns_what_a_pixel_and_its_surroundings_do_not_tell(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (12, "images", "own")
    assert metrics["mean_iou_score"] > 0.8
    assert metrics["boundary_f1"] > 0.8
    assert metrics["baseline"]["surroundings_mean_iou_score"] < metrics["mean_iou_score"] - 0.1
    assert metrics["difference"]["surroundings_low"] > 0
    assert metrics["baseline"]["place_mean_iou_score"] < 0.5


def test_every_file_is_there_and_no_other(results: Path) -> None:
    whole_pipeline.assert_complete(results, FILES)
    page = (results / "report.html").read_text()
    assert "lying &lt;b&gt;" in page
    assert "lying <b>" not in page
    assert "What context a region needs" in page


def test_more_of_the_image_shown_gives_the_whole_image(results: Path) -> None:
    rows = [line.split("\t") for line in (results / "explain/context.tsv").read_text().splitlines()[1:]]
    within = [float(row[2]) for row in rows if row[0] == "within"]
    assert within[-1] > 0.6
    assert len(within) == len(rows) - len(within) + 1


def test_predicted_masks_are_read_back_by_prepare(results: Path, tmp_path: Path) -> None:
    draw(tmp_path, 0, np.random.default_rng(5), (70, 53))
    actual = np.asarray(Image.open(tmp_path / "masks/000.png")).copy()
    predict.main([str(tmp_path / "images"), "--out", str(tmp_path), "--model", str(results / "train")])
    found, pictures = prepare.read(tmp_path / "", load_params())
    assert found.legend.classes == CLASSES
    assert (pictures[0].labels.indices == actual).mean() > 0.95
    assert (tmp_path / "overlays/000.png").exists()


def load_params() -> prepare.Prepare:
    from projects.pets_segmentation.params import Params
    from shared.core.params import load

    return load(Params, Path(train.__file__).with_name("params.yaml")).prepare
