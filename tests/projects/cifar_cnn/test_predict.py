"""Predict: the same answers as the model, errors for people."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shared.image.batches import to_float

from projects.cifar_cnn import predict
from projects.cifar_cnn.model import build_model, load_model, predict_logits
from projects.cifar_cnn.params import Model, Params
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from shared.training.weights import save_model

CLASSES = ["cat", "Bär", "飛行機"]
VIEWS = load(Params, ROOT / "projects/cifar_cnn/params.yaml").evaluate.views


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
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "größe 日本.PNG"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return path


def test_it_gives_what_the_model_gives(weights: Path, photo: Path) -> None:
    prediction = predict.load_predictor(weights).predict([photo])[0]
    model, _ = load_model(weights, "")
    pixels = torch.from_numpy(np.array(Image.open(photo))).permute(2, 0, 1)[None]
    expected = predict_logits(model, to_float(pixels), VIEWS).softmax(1)[0]
    assert prediction.label == CLASSES[int(expected.argmax())]
    assert prediction.probability == pytest.approx(expected.max().item(), rel=1e-5)
    assert [label for label, _ in prediction.ranked] == [CLASSES[k] for k in expected.argsort(descending=True)]


def test_without_weights_it_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trained model") as caught:
        predict.load_predictor(tmp_path)
    assert "dvc repro projects/cifar_cnn" in str(caught.value)


def test_help_is_quick_and_does_not_import_torch() -> None:
    code = "import sys; import projects.cifar_cnn.predict; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_terminal_encoding_is_no_failure(weights: Path, photo: Path) -> None:
    command = [sys.executable, "-m", "projects.cifar_cnn.predict", str(photo), "--model", str(weights)]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": str(Path(shutil.which("env") or "/usr/bin/env").parent)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
