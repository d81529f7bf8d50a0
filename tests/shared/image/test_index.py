"""An image is found by what an annotation calls it, or not at all where several may be meant."""

import unicodedata
from pathlib import Path

import pytest

from shared.image.index import ImageIndex


def files(root: Path, *names: str) -> ImageIndex:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return ImageIndex(root)


@pytest.mark.parametrize(("name", "split", "expected"), [
    ("a.png", None, "images/train/a.png"),
    ("C:\\\\data\\a.png", None, "images/train/a.png"),
    ("../images/./val/1.png", None, "images/val/1.png"),
    ("elsewhere/val/1.png", None, "images/val/1.png"),
    ("1.png", None, None),
    ("1.png", "valid", "images/val/1.png"),
    ("1.png", "test", None),
    ("b.png", None, None),
    ("", None, None),
])  # fmt: skip
def test_a_name_finds_the_only_image_that_it_may_mean(
    tmp_path: Path, name: str, split: str | None, expected: str | None
) -> None:
    index = files(tmp_path, "images/train/a.png", "images/train/1.png", "images/val/1.png", "images/val/notes.txt")
    assert index.find(name, [], split) == (expected and tmp_path / expected)


def test_folders_nearby_come_first_but_none_outside(tmp_path: Path) -> None:
    index = files(tmp_path / "raw", "train/1.png", "val/1.png")
    files(tmp_path, "outside/1.png")
    assert index.find("images/1.png", [tmp_path / "raw/val"]) == tmp_path / "raw/val/1.png"
    assert index.find("1.png", [tmp_path / "outside"]) is None
    assert index.of_stem("1", [tmp_path / "raw/val"]) == tmp_path / "raw/val/1.png"
    assert index.of_stem("1", []) is None


def test_images_may_be_links_as_a_cache_leaves_them(tmp_path: Path) -> None:
    files(tmp_path / "cache", "0a.png", "0b.png")
    for split, name in (("train", "0a"), ("val", "0b")):
        (tmp_path / "raw" / split).mkdir(parents=True)
        (tmp_path / "raw" / split / "1.png").symlink_to(tmp_path / f"cache/{name}.png")
    index = ImageIndex(tmp_path / "raw")
    assert index.find("1.png", [tmp_path / "raw/val"]) == tmp_path / "raw/val/1.png"


def test_names_that_a_system_writes_apart_are_the_same(tmp_path: Path) -> None:
    index = files(tmp_path, "größe.png")
    apart = unicodedata.normalize("NFD", "größe")
    assert index.find(f"{apart}.png", []) == index.of_stem(apart, []) == tmp_path / "größe.png"
