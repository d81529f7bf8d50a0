"""Images from the shell: the same for the same seed, and errors for people."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from projects.fashion_gan import predict
from projects.fashion_gan.data import Latents
from projects.fashion_gan.model import build, measure_batch_norm
from shared.core.errors import UserError
from shared.training.weights import save_model

from . import tiny

CLASSES, COUNTS = ["Bär", "T-shirt/top", "飛行機"], [5, 5, 90]


def write_weights(folder: Path, conditional: bool) -> Path:
    torch.manual_seed(0)
    config = {"classes": CLASSES, "class_counts": COUNTS, "channels": 1, "image_size": 8}
    config |= {"model": tiny.params(train__model__conditional=conditional).train.model.model_dump()}
    networks = build(config)
    latent = Latents(config, 0).draw(64)
    spread = latent | {"noise": 3 * latent["noise"]}
    networks["generator"] = measure_batch_norm(networks["generator"], [spread])
    folder.mkdir()
    save_model(folder, networks, config)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "conditional", True)


def run(folder: Path, *words: object) -> None:
    predict.main([*map(str, words), "--model", str(folder)])


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"))


def test_an_image_depends_on_seed_and_number_alone(weights: Path) -> None:
    sample = predict.load_predictor(weights)
    many = sample(seed=3, number=40)
    assert many.shape == (40, 1, 8, 8)
    assert many.dtype == torch.uint8
    for number in (1, 5, 16, 17):
        assert (sample(seed=3, number=number) == many[:number]).all()
    assert (sample(seed=4, number=40) != many).any(dim=(1, 2, 3)).all()


def test_a_file_holds_all_images_and_a_folder_a_file_each(weights: Path, tmp_path: Path) -> None:
    run(weights, tmp_path / "new/größe.png", "--seed", 3, "--number", 5)
    run(weights, tmp_path / "each", "--seed", 3, "--number", 5)
    sheet = pixels(tmp_path / "new/größe.png")
    assert sheet.shape == (16, 24)
    files = sorted((tmp_path / "each").iterdir())
    assert [file.name for file in files] == [f"seed3_{number:04}.png" for number in range(5)]
    assert (pixels(files[4]) == sheet[8:, 8:16]).all()
    run(weights, tmp_path / "one.jpg", "--class", CLASSES[2])
    assert pixels(tmp_path / "one.jpg").shape == (8, 8)


def test_json_names_each_file_with_what_it_was_drawn_from(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(weights, tmp_path / "each", "--seed", 3, "--number", 2, "--class", CLASSES[0], "--json")
    run(weights, tmp_path / "all.png", "--number", 4, "--json")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one.pop("file")).name for one in found] == ["seed3_0000.png", "seed3_0001.png", "all.png"]
    one = {"seed": 3, "class": CLASSES[0], "number": 1}
    assert found == [one, one, {"seed": 0, "class": None, "number": 4}]


def test_an_unknown_class_is_named_with_the_nearest(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no class 'T-shirt'") as caught:
        run(weights, tmp_path / "a.png", "--class", "T-shirt")
    assert "did you mean 'T-shirt/top'?" in str(caught.value)
    with pytest.raises(UserError, match="no class 'B"):
        run(write_weights(tmp_path / "weights", False), tmp_path / "a.png", "--class", CLASSES[0])
    assert not (tmp_path / "a.png").exists()


def test_a_place_that_cannot_be_written_is_named(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        run(weights, tmp_path / "file" / "a.png")
    with pytest.raises(UserError, match="no trained model") as caught:
        predict.load_predictor(tmp_path)
    assert "train first" in str(caught.value)


@pytest.mark.parametrize(("words", "reason"), [(["a.png", "--number", "0"], "at least 1"), (["a.tif"], "ends in none")])
def test_wrong_words_are_refused(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        predict.main(words)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
