"""Masks are read by their values or colours, and whatever nothing names is said with its file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.image.masks import IGNORED, Legend, read_labels, read_legend, report_unknown, save_indices

SIZE = (8, 6)  # width, height
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def legend(folder: Path, text: str, ignore: Any = ()) -> Legend:
    (folder / "classes.txt").write_text(text, encoding="utf-8")
    problems = Problems("data")
    found = read_legend(folder / "classes.txt", ignore, problems)
    problems.raise_if_any()
    return found


def photo(folder: Path, orientation: int = 1, size: tuple[int, int] = SIZE) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (90, 90, 90)).save(folder / "photo.jpg", exif=exif)
    return folder / "photo.jpg"


def mask(folder: Path, values: Any, mode: str | None = None, name: str = "mask.png") -> Path:
    Image.fromarray(np.asarray(values), mode).save(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("text", "classes", "values"),
    [
        ("sky\nroad sign\nwall 2\n", ["sky", "road sign", "wall 2"], {0: 0, 1: 1, 2: 2}),
        ("7 road\n8 sidewalk\n9 road\n", ["road", "sidewalk"], {7: 0, 8: 1, 9: 0}),
        ("name,id\nroad,7\nsky,300\n", ["road", "sky"], {7: 0, 300: 1}),
        ("# made by hand\n\n1: pet\n2: background\n", ["pet", "background"], {1: 0, 2: 1}),
        ("red\ngreen\n", ["red", "green"], {0: 0, 1: 1}),
        ("class\nred\ngreen\n", ["red", "green"], {0: 0, 1: 1}),
    ],
)
def test_a_class_file_names_values(tmp_path: Path, text: str, classes: list[str], values: dict[int, int]) -> None:
    found = legend(tmp_path, text)
    assert (found.classes, found.values, found.colours) == (classes, values, {})


@pytest.mark.parametrize("text", ["name,r,g,b\nsky,255,0,0\ntall tree,0,255,0\n", "255 0 0\tsky\n0 255 0 tall tree\n"])
def test_a_class_file_names_colours(tmp_path: Path, text: str) -> None:
    found = legend(tmp_path, text)
    assert found.classes == ["sky", "tall tree"]
    assert found.colours == {RED: 0, GREEN: 1}
    assert found.palette == [RED, GREEN]


def test_what_is_ignored_is_no_class(tmp_path: Path) -> None:
    found = legend(tmp_path, "sky\nvoid\nroad\n", ["void", 255])
    assert (found.classes, found.values) == (["sky", "road"], {0: 0, 1: IGNORED, 2: 1, 255: IGNORED})
    with pytest.raises(UserError, match=r"prepare\.ignore: no class 'Void'"):
        legend(tmp_path, "sky\nvoid\n", ["Void"])


def test_an_indexed_mask_is_read_by_its_indices_whatever_its_colours(tmp_path: Path) -> None:
    values = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    save_indices(values, [BLUE, BLUE, RED], tmp_path / "mask.png")  # two indices of one colour
    found = read_labels(tmp_path / "mask.png", legend(tmp_path, "a\nb\nc\n"), photo(tmp_path))
    assert (found.indices == values).all()
    assert not found.unknown


@pytest.mark.parametrize("kind", ["L", "LA", "1", "I;16", "RGB"])
def test_grey_values_are_read_in_any_form(tmp_path: Path, kind: str) -> None:
    values = np.zeros((6, 8), np.uint8)
    values[2:4] = 1
    path = tmp_path / "mask.png"
    if kind == "I;16":
        values = values.astype(np.uint16) * 700
        Image.fromarray(values).save(path)
    elif kind == "1":
        Image.fromarray(values.astype(bool)).save(path)
    else:
        Image.fromarray(values).convert(kind).save(path)
    names = "0 a\n700 b\n" if kind == "I;16" else "a\nb\n"
    found = read_labels(path, legend(tmp_path, names), photo(tmp_path))
    assert (found.indices == (values > 0)).all()
    assert found.grey == {"LA": "alpha", "RGB": "rgb"}.get(kind, "")


def test_colours_are_read_through_the_class_file(tmp_path: Path) -> None:
    pixels = np.full((6, 8, 3), RED, np.uint8)
    pixels[0, :3], pixels[5, 7] = GREEN, (1, 2, 3)
    found = read_labels(mask(tmp_path, pixels), legend(tmp_path, "255 0 0 a\n0 255 0 b\n"), photo(tmp_path))
    assert (found.indices[0, :3] == 1).all()
    assert found.indices[5, 7] == IGNORED
    assert found.unknown == {(1, 2, 3): 1}


@pytest.mark.parametrize(
    ("names", "values", "name", "words"),
    [
        ("a\nb\n", np.zeros((6, 8), np.uint8), "mask.jpg", "JPEG, which changes the values"),
        ("a\nb\n", np.zeros((6, 7), np.uint8), "mask.png", "7x6 px, but its image is 8x6"),
        ("a\nb\n", np.full((6, 8, 3), RED, np.uint8), "mask.png", r"colours \(RGB\), but .* names values"),
        ("255 0 0 a\n0 255 0 b\n", np.zeros((6, 8), np.uint8), "mask.png", "grey values, but .* names colours"),
    ],
)
def test_masks_that_cannot_be_trusted_are_refused(
    tmp_path: Path, names: str, values: Any, name: str, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        read_labels(mask(tmp_path, values, name=name), legend(tmp_path, names), photo(tmp_path))


def test_an_indexed_mask_beside_colours_must_agree_with_them(tmp_path: Path) -> None:
    save_indices(np.ones((6, 8), np.uint8), [GREEN, RED], tmp_path / "mask.png")
    with pytest.raises(UserError, match=r"its palette has \(255, 0, 0\) at index 1"):
        read_labels(tmp_path / "mask.png", legend(tmp_path, "255 0 0 a\n0 255 0 b\n"), photo(tmp_path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_follows_its_image_as_exif_turns_it(tmp_path: Path, orientation: int) -> None:
    """Drawn on what is seen it stays; drawn on the stored pixels it is turned, where the sizes tell."""
    stored = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = photo(tmp_path, orientation)
    names = legend(tmp_path, "\n".join(f"c{number}" for number in range(48)))
    found = read_labels(mask(tmp_path, stored), names, image)
    with Image.open(image) as opened:
        opened.load()
        turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    tall = orientation >= 5
    upright = Image.fromarray(stored).transpose(Image.Transpose(turn)) if tall and turn is not None else stored
    assert (found.indices == np.asarray(upright)).all()
    assert found.turned is tall


def report(folder: Path, names: str, masks: dict[str, Any], ignore: Any = ()) -> str:
    found, problems = legend(folder, names, ignore), Problems("data")
    image = photo(folder)
    read = [(path, read_labels(path, found, image)) for path in (mask(folder, of, name=n) for n, of in masks.items())]
    report_unknown(read, found, problems)
    return "\n".join(problems.found)


def test_values_that_nothing_names_are_listed_with_file_and_count(tmp_path: Path) -> None:
    one, two = np.zeros((2, 6, 8), np.uint8)
    one[0], two[0, :2] = 7, 7
    two[5, 5] = 9
    said = report(tmp_path, "a\nb\n", {"one.png": one, "two.png": two})
    assert "the value 7: 10 pixels in 2 masks (first: " in said
    assert "the value 9: 1 pixels in 1 mask (first: " in said
    assert "two.png)" in said


def test_0_and_255_are_refused_until_255_is_named(tmp_path: Path) -> None:
    values = {"mask.png": np.where(np.eye(6, 8), 255, 0).astype(np.uint8)}
    assert "an object in white, or pixels to ignore?" in report(tmp_path, "a\nb\n", values)
    assert not report(tmp_path, "a\nb\n", values, [255])
    assert not report(tmp_path, "0 ground\n255 object\n", values)


def test_smoothed_labels_are_said_with_their_share(tmp_path: Path) -> None:
    said = report(tmp_path, "a\nb\n", {"mask.png": np.arange(48, dtype=np.uint8).reshape(6, 8)})
    assert "46 values that nothing names, 95.8% of its pixels: smoothed labels" in said
    assert said.count("\n") == 0
