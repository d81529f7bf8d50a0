"""Predict: files and folders, odd names, errors for people, the same answers as the model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from projects.cifar_cnn import predict
from projects.cifar_cnn.data import to_float
from projects.cifar_cnn.model import build_model, predict_logits
from projects.cifar_cnn.params import Model
from shared.errors import UserError
from shared.paths import ROOT
from shared.training.weights import save_model

CLASSES = ["cat", "Bär", "飛行機"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    config = {"model": {"name": "compact", "width": 4}, "classes": CLASSES, "channels": 3, "image_size": 16}
    config |= {"mean": [0.5] * 3, "std": [0.2] * 3}
    model = build_model(Model(name="compact", width=4), 3, 3, [0.5] * 3, [0.2] * 3)
    save_model(folder, model, config)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for name in ("b.png", "unter/größe 日本.PNG", "unter/.hidden.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path, "PNG")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def test_it_gives_what_the_model_gives(weights: Path, photos: Path) -> None:
    predictor = predict.Predictor(weights)
    prediction = predictor.predict([photos / "b.png"])[0]
    pixels = torch.from_numpy(np.array(Image.open(photos / "b.png"))).permute(2, 0, 1)[None]
    expected = predict_logits(predictor.model, to_float(pixels), predictor.views).softmax(1)[0]
    assert prediction.label == CLASSES[int(expected.argmax())]
    assert prediction.probability == pytest.approx(expected.max().item(), rel=1e-5)
    assert [label for label, _ in prediction.ranked] == [CLASSES[k] for k in expected.argsort(descending=True)]
    assert sum(value for _, value in prediction.ranked) == pytest.approx(1)


def test_folders_are_searched_and_batches_do_not_matter(
    weights: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = predict.Predictor(weights)
    together = predictor.predict([photos])
    assert [one.path.name for one in together] == ["b.png", "größe 日本.PNG"]
    monkeypatch.setattr(predict, "BATCH", 1)
    for one, other in zip(together, predictor.predict([photos]), strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-5)


def test_bad_paths_are_named_together_after_the_good(
    weights: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (tmp_path / "empty").mkdir()
    words = [str(photos), str(tmp_path / "empty"), str(tmp_path / "none.png"), "--model", str(weights), "--top", "2"]
    with pytest.raises(UserError) as caught:
        predict.main(words)
    assert [name in str(caught.value) for name in ("broken.jpg", "empty", "none.png")] == [True] * 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    places = [predict.columns(line[: line.index("%")]) for line in lines]
    assert places[0] == places[1]  # aligned, though a Japanese sign takes two columns


def test_json_lines_are_for_programs(weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict.main([str(photos), "--json", "--top", "3", "--model", str(weights)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1]["file"] == str(photos / "unter" / "größe 日本.PNG")
    assert {one["label"] for one in rows[0]["top"]} == set(CLASSES)
    assert rows[0]["label"] == rows[0]["top"][0]["label"]


def test_without_weights_it_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trained model") as caught:
        predict.Predictor(tmp_path)
    assert "dvc repro projects/cifar_cnn" in str(caught.value)


def test_names_cannot_move_the_cursor() -> None:
    assert predict.printable("a\x1b[2Jb\n\udcff") == "a\\x1b[2Jb\\n\\udcff"
    assert predict.columns("日本") == 4


def test_help_is_quick_and_does_not_import_torch() -> None:
    code = "import sys; from projects.cifar_cnn import predict; predict.parse(['x']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_terminal_encoding_is_no_failure(weights: Path, photos: Path) -> None:
    command = [sys.executable, "-m", "projects.cifar_cnn.predict", str(photos), "--model", str(weights)]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": str(Path(shutil.which("env") or "/usr/bin/env").parent)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
