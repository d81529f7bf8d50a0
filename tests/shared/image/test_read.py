"""Predict images: files and folders, odd names, errors for people, lines for people and for programs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shared.core.errors import Problems
from shared.core.paths import ROOT
from shared.core.predict import Predict, predict_main, printable
from shared.image.read import IMAGES, find_images, image_predictor, name_images

CLASSES = ["cat", "Bär", "飛行機"]


def load(folder: Path | None = None) -> Predict:
    """Says from the red, green and blue of an image which class it is."""

    def classify(images: Tensor) -> Tensor:
        return images.float().mean((2, 3)) / 10

    reading = {"image_size": 16, "channels": 3, "fit": "crop", "ground": 128, "white": 65535.0}
    return image_predictor(classify, {"classes": CLASSES} | reading)


def main(*words: object) -> None:
    predict_main(load, IMAGES, str(ROOT / "projects/here/predict.py"), "The help.", words=list(map(str, words)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for name in ("b.png", "unter/größe 日本.PNG", "unter/.hidden.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path, "PNG")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def test_folders_are_searched_and_json_is_for_programs(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos.parent / "list.txt").write_text(f"{photos / 'b.png'}\n\n")
    main(photos, "--json", "--top", "3", "--file", photos.parent / "list.txt")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == [str(photos / "b.png"), str(photos / "unter/größe 日本.PNG"),
                                             str(photos / "b.png")]  # fmt: skip
    assert {one["label"] for one in rows[0]["top"]} == set(CLASSES)
    pixels = np.asarray(Image.open(photos / "b.png")).mean((0, 1)) / 10
    expected = np.exp(pixels - pixels.max()) / np.exp(pixels - pixels.max()).sum()
    assert rows[0]["label"] == CLASSES[expected.argmax()]
    assert rows[0]["probability"] == pytest.approx(expected.max(), abs=1e-5)


def test_bad_paths_are_named_together_after_the_good(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(photos, tmp_path / "empty", tmp_path / "none.png", "--top", "2")
    told = capsys.readouterr()
    assert all(
        name in told.err for name in ("3 problems", "broken.jpg: not an image", "empty: no images", "none.png: no")
    )
    assert [line.rsplit("/", 1)[-1] for line in told.out.splitlines()] == ["b.png", "größe 日本.PNG"]
    assert told.out.count("%") == 4


@pytest.mark.parametrize(("ground", "expected"), [(0, "cat"), (255, "Bär")])
def test_files_are_read_as_the_weights_say(tmp_path: Path, ground: int, expected: str) -> None:
    Image.new("LA", (30, 10), (9, 0)).save(tmp_path / "clear.png")
    config = {"classes": CLASSES, "image_size": 16, "channels": 1, "fit": "pad", "ground": ground, "white": 255.0}
    images = []

    def classify(pixels: Tensor) -> Tensor:
        images.append(pixels)
        level = pixels.float().mean((1, 2, 3))
        return torch.stack([255 - level, level, 0 * level], 1)

    assert image_predictor(classify, config)([tmp_path / "clear.png"])[0]["label"] == expected
    assert (images[0] == ground).all()


def test_folders_are_searched_as_prepare_does(photos: Path) -> None:
    for name in ("@eaDir/b.png/thumb.png", ".ipynb_checkpoints/b-checkpoint.png"):
        (photos / name).parent.mkdir(parents=True)
        Image.new("L", (16, 16)).save(photos / name)
    (photos.parent / "more").mkdir()
    Image.new("L", (16, 16)).save(photos.parent / "more/c.png")
    (photos / "linked").symlink_to(photos.parent / "more")
    found = find_images([photos], Problems("predict"))
    assert [path.relative_to(photos).as_posix() for path in found] == ["b.png", "linked/c.png", "unter/größe 日本.PNG"]


def test_lists_of_files_that_cannot_be_read_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"gr\xf6\xdfe.png\n")
    (tmp_path / "good.txt").write_text(f"{photos / 'b.png'}\r\n", encoding="utf-8-sig")
    with pytest.raises(SystemExit, match="2"):
        main("--file", tmp_path / "none.txt", tmp_path / "latin.txt", tmp_path / "good.txt")
    told = capsys.readouterr()
    assert "none.txt: no such file" in told.err
    assert "latin.txt: byte 3 is not UTF-8" in told.err
    assert told.out.rstrip().endswith("b.png")


def test_outputs_are_named_by_the_path_below_the_folder_and_none_overwrites_another(tmp_path: Path) -> None:
    for name in ("one/frame.01.png", "one/frame.02.png", "one/sub/a.png", "one/sub/a.bmp", "two/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    inputs = [str(tmp_path / name) for name in ("one", "two/a.png", "one/sub/a.png")]
    problems = Problems("predict")
    found = name_images(inputs, problems, suffix=False)
    assert {name.as_posix() for name in found.values()} == {"frame.01", "frame.02", "sub/a", "a"}
    assert len(problems.found) == 2, "another suffix, and another folder"
    assert all("the same name as" in problem for problem in problems.found)
    twice = name_images(inputs[:1] * 2, problems, suffix=True)
    assert {name.as_posix() for name in twice.values()} == {"frame.01.png", "frame.02.png", "sub/a.png", "sub/a.bmp"}
    assert len(problems.found) == 2, "a file that is named twice is no other"


def test_names_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\n\udcff") == "a\\x1b[2Jb\\n\\udcff"
