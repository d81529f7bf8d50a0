"""Images from the shell: the same for the same seed, none lost, errors for people."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from projects.fashion_gan import predict
from projects.fashion_gan.model import build_discriminator, build_generator, standing
from shared.core.errors import UserError
from shared.core.paths import ROOT
from shared.training.weights import save_model

from . import tiny

CLASSES = ["Bär", "T-shirt/top", "飛行機"]


def write_weights(folder: Path, conditional: bool) -> Path:
    torch.manual_seed(0)
    chosen = tiny.params(model__conditional=conditional).train.model
    networks = {"generator": build_generator(chosen, 1, 8, 3), "discriminator": build_discriminator(chosen, 1, 8, 3)}
    noise = 3 * torch.randn(64, chosen.latent_size)
    networks["generator"] = standing(networks["generator"], [(noise, torch.arange(64) % 3)])
    config = {"classes": CLASSES, "class_counts": [5, 5, 90], "channels": 1, "image_size": 8}
    folder.mkdir()
    save_model(folder, nn.ModuleDict(networks), config | {"model": chosen.model_dump()})
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "conditional", True)


@pytest.fixture(scope="module")
def classless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "classless", False)


def run(folder: Path, *words: object) -> None:
    predict.main([*map(str, words), "--model", str(folder)])


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_an_image_depends_on_seed_and_number_alone(weights: Path) -> None:
    sampler = predict.load_sampler(weights)
    many = sampler.sample(seed=3, number=40)
    assert many.shape == (40, 1, 8, 8)
    assert many.dtype == torch.uint8
    for number in (1, 5, 16, 17):
        assert (sampler.sample(seed=3, number=number) == many[:number]).all()
    assert (sampler.sample(seed=4, number=40) != many).any(dim=(1, 2, 3)).all()


def test_a_class_keeps_the_noise_and_a_grid_has_a_row_for_each(weights: Path) -> None:
    sampler = predict.load_sampler(weights)
    grid = sampler.classes(seed=1, columns=4)
    assert len(grid) == len(CLASSES) * 4
    for number, name in enumerate(CLASSES):
        assert (grid[4 * number :][:4] == sampler.sample(1, 4, name)).all()


def test_an_interpolation_goes_from_one_seed_to_the_other(weights: Path) -> None:
    sampler = predict.load_sampler(weights)
    way = sampler.interpolate(3, 7, 5, CLASSES[0])
    assert len(way) == 5
    for place, seed in ((0, 3), (-1, 7)):
        end = sampler.sample(seed, 1, CLASSES[0])[0]
        assert (way[place].int() - end.int()).abs().max() <= 1  # sums in another order
    assert (sampler.interpolate(3, 7)[0].int() - sampler.sample(3)[0].int()).abs().max() <= 1


def test_a_file_holds_all_images_and_a_folder_a_file_each(weights: Path, tmp_path: Path) -> None:
    run(weights, tmp_path / "new/größe.png", "--seed", 3, "--number", 5)
    run(weights, f"{tmp_path}/each/", "--seed", 3, "--number", 5)
    sheet = pixels(tmp_path / "new/größe.png")
    assert sheet.shape == (16, 24)
    files = sorted((tmp_path / "each").iterdir())
    assert [file.name for file in files] == [f"seed3_{number:04}.png" for number in range(5)]
    assert (pixels(files[4]) == sheet[8:, 8:16]).all()
    run(weights, tmp_path / "grid.webp", "--grid", "--number", 4)
    assert pixels(tmp_path / "grid.webp").shape[:2] == (24, 32)
    run(weights, tmp_path / "way.jpg", "--interpolate", 3, 7, "--steps", 6)
    assert pixels(tmp_path / "way.jpg").shape[:2] == (8, 48)


def test_what_is_there_stays_unless_forced(weights: Path, tmp_path: Path) -> None:
    run(weights, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(UserError, match="is there already"):
        run(weights, tmp_path / "a.png", "--seed", 9)
    assert (tmp_path / "a.png").read_bytes() == before
    run(weights, tmp_path / "a.png", "--seed", 9, "--force")
    assert (tmp_path / "a.png").read_bytes() != before
    run(weights, tmp_path, "--number", 2)
    with pytest.raises(UserError, match="is there already"):
        run(weights, tmp_path, "--number", 3)
    assert not (tmp_path / "seed0_0002.png").exists()


def test_a_class_that_is_none_is_told_with_the_nearest(weights: Path, classless: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no class 'T-shirt'") as caught:
        run(weights, tmp_path / "a.png", "--class", "T-shirt")
    assert "did you mean 'T-shirt/top'?" in str(caught.value)
    with pytest.raises(UserError, match="was not told classes"):
        run(classless, tmp_path / "a.png", "--class", CLASSES[0])
    assert list(tmp_path.iterdir()) == []
    run(classless, tmp_path / "a.png", "--grid", "--number", 9)  # without classes: a square
    assert pixels(tmp_path / "a.png").shape == (24, 24)


def test_a_place_that_cannot_be_written_is_told(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "a.png", "/proc/nowhere/a.png"):
        with pytest.raises(UserError, match="no folder can be made there"):
            run(weights, out)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.png", "--number", "0"], "at least 1"),
        (["a.png", "--interpolate", "1", "2", "--steps", "1"], "at least 2"),
        (["a.png", "--steps", "4"], "with --interpolate"),
        (["a.png", "--interpolate", "1", "2", "--number", "4"], "--steps in place of --number"),
        (["a.png", "--grid", "--class", "x"], "takes no --class"),
        (["folder", "--grid"], "name a file"),
        (["a.tif"], "ends in none of"),
    ],
)
def test_what_does_not_go_together_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        predict.main(words)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


def test_without_weights_it_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trained model") as caught:
        predict.load_sampler(tmp_path)
    assert "dvc repro projects/fashion_gan" in str(caught.value)


def test_help_is_quick_and_does_not_import_torch() -> None:
    code = "import sys; import projects.fashion_gan.predict; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
