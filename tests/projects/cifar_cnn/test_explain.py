"""The stage on a tiny project: two classes told apart by the texture of a square, ground of the same intensities."""

import json

import numpy as np
import pytest
import torch
from shared.data.arrays import Split, write_split
from shared.image.batches import to_float
from torch.nn import functional as F

from projects.cifar_cnn import explain, params
from projects.cifar_cnn.model import build_model
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT, Project
from shared.explain import image_classes
from shared.training.weights import save_model

SIDE, SQUARE = 16, 8
METHODS = ["integrated_gradients", "gradient_shap", "grad_cam", "occlusion"]


def draw(count: int, seed: int) -> tuple[Split, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 196, (count, 3, SIDE, SIDE))
    evidence = np.zeros((count, SIDE, SIDE), bool)
    labels = np.arange(count) % 2
    stripes = np.where(np.arange(SQUARE) // 2 % 2, 60, 195)
    for row, (top, left) in enumerate(rng.integers(0, SIDE - SQUARE + 1, (count, 2))):
        place = slice(top, top + SQUARE), slice(left, left + SQUARE)
        images[row][:, *place] = stripes[:, None] if labels[row] else stripes[None, :]
        evidence[row][place] = True
    split = Split(images.astype(np.uint8), labels.astype(np.int64), [f"t/{row}" for row in range(count)], evidence)
    return split, evidence


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = build_model(params.Model(name="compact", width=8), 3, 2, [0.5] * 3, [0.25] * 3)
    split, _ = draw(400, seed=0)
    images, labels = to_float(torch.from_numpy(split.images)), torch.from_numpy(split.labels)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=0.01)
    for step in range(48):
        rows = torch.arange(step * 50, step * 50 + 50) % 400
        optimizer.zero_grad()
        F.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    class Here(Project):
        prepared = tmp_path / "prepared"

        def results(self, stage):
            folder = tmp_path / "results" / stage
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    here = Here(explain.PROJECT.name)
    write_split(here.prepared / "test", draw(40, seed=1)[0])
    config = {"model": {"name": "compact", "width": 8}, "classes": ["lying", "$standing"], "channels": 3}
    config |= {"image_size": SIDE, "mean": [0.5] * 3, "std": [0.25] * 3}
    save_model(here.results("train"), trained, config)
    monkeypatch.setattr(explain, "PROJECT", here)
    return here


def run(*words: str) -> None:
    words = ("explain.num_scored=16", "explain.num_shown=4", "explain.num_randomised=2", "runtime.device=cpu", *words)
    explain.main(load(params.Params, ROOT / "projects/cifar_cnn/params.yaml", words))


def test_the_figures_and_pictures(project, capsys):
    run()
    results = project.results("explain")
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["num_samples"] == 16
    for method in METHODS:
        figures = metrics[method]
        assert figures["deletion_score"] > figures["deletion_score_random"]
        assert figures["insertion_score"] > figures["insertion_score_random"]
        assert figures["evidence_score_random"] == pytest.approx(0.25, abs=0.02)
        assert ("completeness_error" in figures) == (method in METHODS[:2])
    integrated = metrics["integrated_gradients"]
    assert integrated["evidence_score"] > 2 * integrated["evidence_score_random"]
    assert integrated["evidence_score"] > 1.2 * integrated["evidence_score_randomised"]
    assert integrated["completeness_error"] < 0.1
    assert "Integrated Gradients" in capsys.readouterr().out

    index = json.loads((results / "pictures" / "index.json").read_text())
    assert len({fact["id"] for fact in index}) == 4
    assert {path.name for path in (results / "pictures").iterdir()} == (
        {"index.json", "curves.png"} | {fact["file"] for fact in index}
    )
    header, *rows = (results / "curves.tsv").read_text().splitlines()
    assert header.split("\t") == ["method", "curve", "fraction", "probability", "order"]
    assert len(rows) == 5 * 2 * 11
    assert sorted(path.name for path in results.iterdir()) == ["curves.tsv", "metrics.json", "pictures"]


def test_the_same_bytes_again_and_no_localisation_without_evidence(project):
    few = ("explain.methods=[gradient_shap]", "explain.num_scored=4", "explain.num_shown=1")
    run(*few)
    files = {path: path.read_bytes() for path in project.results("explain").rglob("*.*") if path.is_file()}
    run(*few)
    assert files == {path: path.read_bytes() for path in files}
    (project.prepared / "test" / "evidence.npy").unlink()
    run(*few)
    metrics = json.loads((project.results("explain") / "metrics.json").read_text())
    assert not [name for name in metrics["gradient_shap"] if name.startswith("evidence")]
    assert "deletion_score" in metrics["gradient_shap"]


def test_nothing_half_written(project, monkeypatch):
    def fail(*arguments):
        raise OSError("disk")

    monkeypatch.setattr(image_classes, "draw_curves", fail)
    with pytest.raises(UserError, match="disk"):
        run("explain.methods=[grad_cam]", "explain.num_scored=4", "explain.num_shown=1")
    assert [path.name for path in project.results("explain").iterdir()] == []


@pytest.mark.parametrize(("wrong", "expected"), [(10, 6), (2, 2), (0, 0), (97, 9)])
def test_half_of_the_shown_are_wrong_where_there_are_so_many(wrong, expected):
    correct = torch.ones(100, dtype=torch.bool)
    correct[3 : 3 + wrong] = False
    chosen = load(params.Params, ROOT / "projects/cifar_cnn/params.yaml", ["explain.num_shown=12"]).explain
    scored, shown = image_classes.choose(correct, chosen)
    assert len(scored) == 100
    assert len(shown.unique()) == 12
    assert (~correct[shown]).sum() == expected


def test_grad_cam_looks_at_the_last_layer_with_a_map(trained):
    assert image_classes.last_map_layer(trained, torch.rand(1, 3, 32, 32)) == "1.blocks"
    assert not any(module._forward_hooks for module in trained.modules())


def test_a_network_without_convolutions_goes_without_grad_cam(project, tmp_path, capsys):
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE**2, 2)).eval()
    split, _ = draw(12, seed=2)
    wanted = ["explain.num_scored=4", "explain.num_shown=2", "explain.num_randomised=1"]
    chosen = load(params.Params, ROOT / "projects/cifar_cnn/params.yaml", wanted).explain
    common = {"to_float": to_float, "baseline": torch.zeros_like, "results": tmp_path}
    some = chosen.model_copy(update={"methods": ["grad_cam", "integrated_gradients"]})
    image_classes.explain(flat, split, ["a", "b"], params=some, **common)
    assert "without grad_cam" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["integrated_gradients"]["completeness_error"] < 0.01
    assert "grad_cam" not in metrics
    none = chosen.model_copy(update={"methods": ["grad_cam"]})
    with pytest.raises(UserError, match="no layer of this network suits grad_cam"):
        image_classes.explain(flat, split, ["a", "b"], params=none, **common)
