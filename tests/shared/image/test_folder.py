"""Folders of images: classes, splits, copies, and every problem named."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import Problems
from shared.image.folder import find_copies, scan_folder


def fill(root: Path, *names: str) -> Path:
    """Writes one small picture a name, all different."""
    root.mkdir(exist_ok=True)
    for name in names:
        pixels = np.frombuffer(os.fsencode(name).ljust(300)[:300], dtype=np.uint8)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.reshape(10, 10, 3)).save(root / name)
    return root


def scan(root: Path) -> tuple[list[str], list[tuple[str, str, str | None]], list[str]]:
    problems = Problems("data")
    found = scan_folder(root, problems)
    find_copies(found.images, problems)
    return found.classes, [(image.id, image.class_name, image.split) for image in found.images], problems.found


def test_a_folder_a_class(tmp_path: Path) -> None:
    fill(
        tmp_path, "rose/1.png", "rose/deep/2.JPG", "tulip/1.bmp", ".hidden/3.png", "tulip/.4.png", "evidence/rose/1.png"
    )
    (tmp_path / "README.md").write_text("mine")
    classes, images, problems = scan(tmp_path)
    assert classes == ["rose", "tulip"]
    assert images == [("rose/1.png", "rose", None), ("rose/deep/2.JPG", "rose", None), ("tulip/1.bmp", "tulip", None)]
    assert problems == []


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Val"])
def test_split_folders(tmp_path: Path, valid: str) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", f"{valid}/a/2.png", "test/b/3.png", "evidence/b/3.png")
    classes, images, problems = scan(tmp_path)
    assert classes == ["a", "b"]
    assert sorted(split or "" for *_, split in images) == ["test", "train", "train", "valid"]
    assert problems == []


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes, images, problems = scan(fill(tmp_path, "train/1.png", "bus/1.png", "car/1.png"))
    assert (classes, problems) == (["bus", "car", "train"], [])
    assert {split for *_, split in images} == {None}


def test_names_in_any_script_are_fine_and_composed(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    classes, images, problems = scan(fill(tmp_path, f"{decomposed}/ü 1.png", "猫/写真.png"))
    assert classes == ["café", "猫"]
    assert (images[1][0], problems) == ("猫/写真.png", [])


def test_what_is_no_image_is_left_out_and_listed(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/notes.txt").write_text("mine")
    (tmp_path / "a/Thumbs.db").write_text("litter")
    assert scan_folder(tmp_path, Problems("data")).ignored == [tmp_path / "a/notes.txt"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "no images; expected <class>/<image>"),
        (["only/1.png"], "one class only (only)"),
        (["1.png", "a/1.png", "b/1.png"], "1.png: an image outside of a class folder"),
        (["train/a/1.png", "train/b/1.png", "test/c/1.png"], "class c: in test, but missing in train"),
        (["train/a/1.png", "train/b/1.png", "extra/c/1.png"], "extra: beside train, expected only"),
        (["train/a/1.png", "train/b/1.png", "val/a/2.png", "valid/a/3.png"], "valid is already in val"),
        (["test/a/1.png", "test/b/1.png"], "no images to train on; expected train/<class>/<image>"),
        (["Rose/1.png", "rose/2.png"], "data: 'Rose' and 'rose' differ only in case"),
        (["a/x.png", "a/X.png", "b/1.png"], "data/a: 'X.png' and 'x.png' differ only in case"),
        (["a/\u00e9.png", "a/e\u0301.png", "b/1.png"], "'e\\u0301.png' and '\\xe9.png' differ only in case or Unicode"),
        (["a/\udcff.png", "a/2.png", "b/1.png"], "a file name that is not text"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, names: list[str], problem: str) -> None:
    found = scan(fill(tmp_path / "data", *names))[2]
    assert any(problem in line for line in found), found
    assert len(found) == 1


def test_a_class_folder_without_images(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "empty").mkdir()
    assert scan(tmp_path)[2] == [f"{tmp_path}/empty: a class without images"]


def copy(root: Path, name: str, of: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes((root / of).read_bytes())


@pytest.mark.parametrize(
    ("copied", "problem"),
    [
        ("test/a/9.png", "train/a/1.png: the same file as test/a/9.png, in another split"),
        ("train/b/9.png", "train/b/9.png: the same file as train/a/1.png, under another class"),
    ],
)
def test_copies_where_they_do_harm_are_problems(tmp_path: Path, copied: str, problem: str) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png")
    copy(tmp_path, copied, "train/a/1.png")
    assert scan(tmp_path)[2] == [f"{tmp_path}/{problem}"]


def test_copies_within_a_class_share_a_key(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    copy(tmp_path, "a/2.png", "a/1.png")
    problems = Problems("data")
    assert find_copies(scan_folder(tmp_path, problems).images, problems) == ["a/1.png", "a/1.png", "b/1.png"]
    assert problems.found == []


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    list_: Callable[[object], object] = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return list_(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert f"{tmp_path}/b: cannot be read: Permission denied" in scan(tmp_path)[2]
