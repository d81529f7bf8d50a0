"""Pictures of attributions: colours, outlines, sizes, the same bytes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shared.image.parts import ImageScene
from shared.image.show import heat_map, picture, show, show_images, where

IMAGE = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))


def pixels(drawn: Image.Image) -> np.ndarray:
    return np.asarray(drawn).astype(int)


def test_small_images_are_enlarged_in_sharp_squares_and_large_ones_made_smaller() -> None:
    drawn = pixels(picture((IMAGE * 255).byte()))
    assert drawn.shape == (128, 128, 3)
    assert (drawn[:8, :8] == drawn[0, 0]).all()
    assert (drawn[::8, ::8] == (IMAGE * 255).byte().permute(1, 2, 0).numpy()).all()
    assert picture(torch.rand(1, 200, 800)).size == (320, 80)
    assert picture(np.zeros((1, 100, 100), np.uint8)).size == (100, 100)


def test_red_raises_the_score_and_blue_lowers_it() -> None:
    values = torch.zeros(16, 16)
    values[:4], values[12:] = 1, -1
    red, _, blue = pixels(heat_map(IMAGE, values)).transpose(2, 0, 1)
    assert ((red - blue)[:32] > 200).all()
    assert ((blue - red)[96:] > 200).all()
    assert (red == blue)[32:96].all()  # nothing is said: grey


def test_the_evidence_is_outlined_where_there_is_any() -> None:
    evidence = torch.zeros(16, 16, dtype=torch.bool)
    evidence[4:12, 4:12] = True
    values = torch.zeros(16, 16)
    plain, outlined = (pixels(heat_map(IMAGE, values, of)) for of in (None, evidence))
    changed = (plain != outlined).any(2)
    assert changed.sum() == 4 * 63  # the border of 64 x 64 pixels
    assert (outlined[changed] == [0, 161, 0]).all()
    for nothing in (evidence & False, evidence | True):
        assert (pixels(heat_map(IMAGE, values, nothing)) == plain).all()


@pytest.mark.parametrize(
    ("rows", "columns", "sign", "words"),
    [
        (slice(0, 4), slice(0, 4), 1, "red mostly upper left"),
        (slice(6, 10), slice(6, 10), -1, "blue mostly in the middle"),
        (slice(12, 16), slice(6, 10), 1, "red mostly bottom"),
        (slice(0, 0), slice(0, 0), 1, "no colour"),
    ],
)
def test_a_map_is_described(rows: slice, columns: slice, sign: int, words: str) -> None:
    values = torch.zeros(16, 16)
    values[rows, columns] = sign
    assert where(values) == words


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_for_each_question(channels: int, tmp_path: Path) -> None:
    images = torch.rand(2, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    scene = ImageScene(images, images * 0, {}, torch.ones(2, 16, 16, dtype=torch.bool))
    maps: dict[str, Tensor] = {"A ✓": torch.rand(2, 256), "B ✗": torch.zeros(2, 256)}
    facts = [{"title": "<b>", "correct": True}, {"title": "two", "correct": False, "question": "Why?"}]
    folder = tmp_path / "pictures"
    folder.mkdir()
    legend, block = show(scene, maps, facts, folder)
    assert "green line" in legend["text"]
    assert [row["title"] for row in block["rows"]] == ["<b>", "two"]
    assert [row["good"] for row in block["rows"]] == [True, False]
    assert block["rows"][1]["note"] == "Why?"
    assert [one["caption"] for one in block["rows"][0]["pictures"]] == ["input", "A ✓", "B ✗"]
    before = {}
    for row in block["rows"]:
        for one in row["pictures"]:
            before[one["file"]] = (tmp_path / one["file"]).read_bytes()
            with Image.open(tmp_path / one["file"]) as drawn:
                assert drawn.size == (128, 128)
    assert len(before) == 6
    assert block["rows"][0]["pictures"][0]["alt"] == "Image: <b>"
    assert block["rows"][0]["pictures"][2]["alt"] == "B ✗: no colour"
    assert max(map(len, before.values())) < 20_000
    show(scene, maps, facts, folder)
    assert all((tmp_path / name).read_bytes() == data for name, data in before.items())


def test_a_grid_of_images(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    case = {"title": "cat taken for dog", "note": "dog 70%, cat 20%", "group": "cat", "id": "error-0-1"}
    block = show_images(folder, list(IMAGE[None]), [case])
    alt = "Image: cat taken for dog; probabilities: dog 70%, cat 20%"
    rest = {"note": case["note"], "group": "cat", "id": "error-0-1"}
    assert block["rows"] == [{"file": "pictures/000.png", "caption": case["title"], "alt": alt} | rest]
    assert block["by"] == "Class"
    assert show_images(folder, list(IMAGE[None]), [{"title": "cat"}])["by"] == ""
    assert (folder / "000.png").exists()
