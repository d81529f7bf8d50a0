"""Predict: files and folders, odd names, errors for people, lines for people and for programs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared.image.predict import ImagePredictor
from torch import Tensor

from shared.core.errors import UserError
from shared.image import predict as predict_images

CLASSES = ["cat", "Bär", "飛行機"]


def load(folder: Path | None = None) -> ImagePredictor:
    """Says from the red, green and blue of an image which class it is."""

    def classify(images: Tensor) -> Tensor:
        return images.float().mean((2, 3)) / 10

    return ImagePredictor(classify, {"classes": CLASSES, "image_size": 16, "channels": 3})


def main(words: list[str]) -> None:
    predict_images.main(load, "projects.here.predict", "The help.", words)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for name in ("b.png", "unter/größe 日本.PNG", "unter/.hidden.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path, "PNG")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def test_folders_are_searched_and_batches_do_not_matter(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load()
    together = predictor.predict([photos])
    assert [one.path.name for one in together] == ["b.png", "größe 日本.PNG"]
    monkeypatch.setattr(predict_images, "BATCH", 1)
    for one, other in zip(together, predictor.predict([photos]), strict=True):
        assert one.probability == pytest.approx(other.probability, rel=1e-5)


def test_bad_paths_are_named_together_after_the_good(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (tmp_path / "empty").mkdir()
    words = [str(photos), str(tmp_path / "empty"), str(tmp_path / "none.png"), "--top", "2"]
    with pytest.raises(UserError) as caught:
        main(words)
    assert [name in str(caught.value) for name in ("broken.jpg", "empty", "none.png")] == [True] * 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    places = [predict_images.columns(line[: line.index("%")]) for line in lines]
    assert places[0] == places[1]  # aligned, though a Japanese sign takes two columns


def test_json_lines_are_for_programs(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(photos), "--json", "--top", "3"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1]["file"] == str(photos / "unter" / "größe 日本.PNG")
    assert {one["label"] for one in rows[0]["top"]} == set(CLASSES)
    assert rows[0]["label"] == rows[0]["top"][0]["label"]


def test_names_cannot_move_the_cursor() -> None:
    assert predict_images.printable("a\x1b[2Jb\n\udcff") == "a\\x1b[2Jb\\n\\udcff"
    assert predict_images.columns("日本") == 4
