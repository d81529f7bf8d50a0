"""From a folder of drawings to the page: what is learned, and every file that is left."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from projects.cifar_cnn import evaluate, explain, predict, prepare, train
from projects.cifar_cnn.params import Params
from shared import paths
from shared.params import load
from shared.report.page import build
from shared.report.results import Results

PROJECT = train.PROJECT
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
    """A bar of any place and shade, lying or standing: colour and place say nothing."""
    image = rng.integers(0, 60, (20, 20, 3))
    top, left = rng.integers(1, 6, 2)
    bar = (slice(top + 5, top + 8), slice(left, left + 13))
    image[bar if lying else bar[::-1]] += rng.integers(90, 180, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory):
    """A checkout with two classes of drawings, after all stages."""
    root, rng = tmp_path_factory.mktemp("root"), np.random.default_rng(0)
    for number in range(240):
        name = ("lying", "ständig <b>")[number % 2]
        draw(root / "data/raw" / PROJECT.name / name / f"{number}.png", number % 2 == 0, rng)
    here = Path(train.__file__).parent
    (root / "projects" / PROJECT.name).mkdir(parents=True)
    shutil.copy(here / "dvc.yaml", root / "projects" / PROJECT.name)
    params = load(Params, here / "params.yaml", [f"{key}={value}" for key, value in SMALL.items()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", root)
        for stage in (prepare, train, evaluate, explain):
            stage.main(params)
        build(Results(PROJECT.name, root))
        yield root


def results(root: Path) -> Path:
    return root / "projects" / PROJECT.name / "results"


def test_it_learns_what_a_linear_model_cannot(root):
    metrics = json.loads((results(root) / "evaluate/metrics.json").read_text())
    assert metrics["num_samples"] == 48
    assert metrics["accuracy"] > 0.9
    assert metrics["baseline"]["majority_accuracy"] == 0.5


def test_every_file_is_there_and_no_other(root):
    found = {path.relative_to(results(root)).as_posix() for path in results(root).rglob("*") if path.is_file()}
    assert {name for name in found if not name.endswith(".png")} == set(FILES)
    assert not list((root / ".checkpoints" / PROJECT.name).iterdir())


def test_the_page_shows_the_classes_as_text(root):
    page = (results(root) / "report.html").read_text()
    assert "ständig &lt;b&gt;" in page
    assert "ständig <b>" not in page


def test_new_images_are_told_apart(root, tmp_path):
    rng = np.random.default_rng(1)
    for number in range(20):
        draw(tmp_path / f"{number:02}.png", number % 2 == 0, rng)
    predictions = predict.load_predictor().predict([tmp_path])
    right = [prediction.label == ("lying", "ständig <b>")[number % 2] for number, prediction in enumerate(predictions)]
    assert np.mean(right) > 0.85
