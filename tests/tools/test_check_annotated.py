"""The data check of boxes and masks: every form is read as prepare reads it, and every planted fault is found."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.projects.voc_detection import forms
from tools.check.__main__ import main
from tools.check.annotated import ONE_CLASS, SIZES, SPECKLED, AnnotatedFindings, examine_annotated

BOXES = {"Pascal VOC": forms.write_voc, "COCO": forms.write_coco, "YOLO": forms.write_yolo}


def examined(root: Path) -> AnnotatedFindings:
    found = examine_annotated(root)
    assert found is not None
    return found


def faults(found: AnnotatedFindings) -> list[int]:
    """Of files: damaged, refused, copies; of boxes: copies, under two classes, empty, partly out, out."""
    return list(found.faults.values())


# --- boxes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", BOXES)
def test_sound_boxes_have_no_faults_and_are_counted(tmp_path: Path, form: str) -> None:
    BOXES[form](tmp_path)
    found = examined(tmp_path)
    assert found.files.what == f"images with boxes ({form}), as voc_detection takes them: 4"
    assert (faults(found), found.odd) == ([0] * 8, [])
    assert Counter(name for name, _ in found.counted) == {
        "cat": 2, "dog": 2, "(images)": 4, "(images without objects)": 1,
    }  # fmt: skip


@pytest.mark.parametrize("form", BOXES)
def test_every_fault_of_a_box_is_found_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    planted = [
        ("cat", [4, 6, 20, 19]),  # of the first, IoU 12 / 13
        ("cat", [10, 0, 40, 30]),  # of the second, a dog
        ("dog", [5, 5, 5, 9]),
        ("dog", [30, 20, 45, 28]),
        ("dog", [50, 5, 60, 9]),
        ("dog", [3, 9, 12, 30.9]),  # tools round
    ]
    monkeypatch.setitem(forms.OBJECTS, "a", forms.OBJECTS["a"] + planted)
    BOXES[form](tmp_path)
    found = examined(tmp_path)
    assert faults(found) == [0, 3, 0, 1, 1, 1, 1, 1]
    assert [one.box for one in found.odd] == [2, 3, 4, 5, 6]
    assert all(Path(one.image.file.id).stem == "a" for one in found.odd)
    assert "IoU 0.92" in found.odd[0].note
    assert "0x4 px" in found.odd[2].note
    assert "30, 20, 45, 28 in 40x30 px" in found.odd[3].note


def test_boxes_that_are_no_boxes_are_listed_and_looked_at_no_further(tmp_path: Path) -> None:
    forms.write_voc(tmp_path)
    rows: list[tuple[str, list[Any]]] = [
        ("cat", ["nan", 1, 9, 9]),
        ("cat", ["inf", 1, "inf", 9]),
        ("cat", [9, 9, 3, 3]),
    ]
    (tmp_path / "Annotations/b.xml").write_text(forms.voc_xml(rows))
    (tmp_path / "Annotations/c.xml").write_text("<annotation>")
    (tmp_path / "Annotations/e.xml").write_text(forms.voc_xml([]))
    (tmp_path / "JPEGImages/d.png").write_bytes(b"no image")
    found = examined(tmp_path)
    assert (found.odd, len(found.files.damaged)) == ([], 1)
    for words in ("not numbers", "corners reversed", "c.xml: not valid XML", "e.xml: its image is missing"):
        assert any(words in line for line in found.files.problems), words


def test_a_size_far_from_that_of_its_class_is_worth_a_look(tmp_path: Path) -> None:
    rows = [("cat", [20 * n, 20 * row, 20 * n + 10 + n % 3, 20 * row + 10]) for row in range(3) for n in range(1, 11)]
    forms.image(tmp_path / "a.png", 0, (400, 300))
    for other, expected in (("cat", [30]), ("dog", [])):
        objects = [*rows, (other, [50, 100, 150, 111])]
        (tmp_path / "a.xml").write_text(forms.voc_xml(objects, (400, 300)))
        found = examined(tmp_path)
        assert [(one.kind, one.box) for one in found.odd] == [(SIZES, box) for box in expected]


def test_one_image_in_two_splits_is_found_by_its_pixels(tmp_path: Path) -> None:
    forms.write_yolo(tmp_path)
    Image.open(tmp_path / "images/train/a.png").save(tmp_path / "images/test/e.bmp")
    found = examined(tmp_path)
    assert [[file.id for file in group.members] for group in found.files.leaks] == [
        ["images/test/e.bmp", "images/train/a.png"]
    ]
    assert faults(found) == [0, 0, 1, 0, 0, 0, 0, 0]


# --- masks --------------------------------------------------------------------------------------------------------


def halves() -> np.ndarray:
    values = np.zeros((30, 40), np.uint8)
    values[15:] = 1
    return values


def write_masks(root: Path, masks: dict[str, np.ndarray], classes: str = "sky\nroad\n", suffix: str = "png") -> Path:
    for seed, (name, values) in enumerate(masks.items()):
        forms.image(root / "images" / f"{name}.png", seed)
        path = root / "masks" / f"{name}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values).save(path)
    (root / "classes.txt").write_text(classes)
    return root


@pytest.mark.parametrize("form", ["values", "colours", "indices"])
def test_sound_masks_have_no_faults_and_are_counted(tmp_path: Path, form: str) -> None:
    values, classes = halves(), "sky\nroad\n"
    if form == "colours":
        values, classes = np.array([[0, 0, 0], [128, 64, 128]], np.uint8)[values], "0 0 0 sky\n128 64 128 road\n"
    write_masks(tmp_path, dict.fromkeys("abc", values), classes)
    if form == "indices":
        for path in (tmp_path / "masks").iterdir():
            drawn = Image.open(path)
            drawn.putpalette([9, 9, 9, 200, 0, 0])
            drawn.save(path)
    found = examined(tmp_path)
    assert found.files.what == "images with masks, as pets_segmentation takes them: 3"
    assert (faults(found), found.odd) == ([0, 0, 0], [])
    assert Counter(name for name, _ in found.counted) == {"with sky": 3, "with road": 3, "(images)": 3}


def test_every_fault_of_a_mask_is_found(tmp_path: Path) -> None:
    specks, unnamed = halves(), halves()
    specks[2:12:3, 2:38:3] = 1
    unnamed[0, :7] = 9
    masks = {"a": halves(), "small": halves()[:, 1:], "even": np.ones((30, 40), np.uint8), "specks": specks}
    write_masks(tmp_path, masks | {"unnamed": unnamed, "lonely": halves()})
    (tmp_path / "images/lonely.png").unlink()
    forms.image(tmp_path / "images/bare.png", 9)
    write_masks(tmp_path, {"lossy": halves()}, suffix="jpg")
    found = examined(tmp_path)
    assert [(one.kind, one.image.file.path.stem) for one in found.odd] == [(SPECKLED, "specks"), (ONE_CLASS, "even")]
    assert f"{specks[:15].sum()} pixels" in found.odd[0].note
    for words in (
        "small.png: 39x30 px, but its image is 40x30", "the value 9: 7 pixels in 1 mask (first: ", "lossy.jpg: JPEG",
        "bare.png: an image without a mask", "lonely.png: a mask without an image",
    ):  # fmt: skip
        assert any(words in line for line in found.files.problems), words
    assert faults(found) == [0, 5, 0]


# --- what data are, and the command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bbox", "polygons", "taken"), [(True, True, "boxes"), (True, False, "boxes"), (False, True, "masks")]
)
def test_coco_is_taken_for_boxes_where_it_has_any(tmp_path: Path, bbox: bool, polygons: bool, taken: str) -> None:
    tree = forms.coco_tree(["a", "b", "d"])
    for name in "abd":
        forms.image(tmp_path / f"{name}.png", ord(name))
    for one in tree["annotations"]:
        x, y, width, height = one["bbox"]
        one |= {"segmentation": [[x, y, x + width, y, x + width, y + height]]} if polygons else {}
        one.pop("bbox") if not bbox else None
    (tmp_path / "all.json").write_text(json.dumps(tree))
    found = examined(tmp_path)
    assert found.files.what.startswith(f"images with {taken}")
    assert found.files.problems == []


def test_images_in_folders_of_classes_are_not_taken_for_annotated(tmp_path: Path) -> None:
    for number, name in enumerate(["cats/1.png", "cats/2.png", "dogs/1.png"]):
        forms.image(tmp_path / name, number)
    (tmp_path / "classes.txt").write_text("cats\ndogs\n")
    (tmp_path / "about.json").write_text('{"images": 3}')
    assert examine_annotated(tmp_path) is None


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_exit_status_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, status: int
) -> None:
    if status:
        monkeypatch.setitem(forms.OBJECTS, "b", [("dog", [10, 0, 40, 30])] * 21 + [("dog", [99, 0, 10**20, 30])])
    if kind == "boxes":
        forms.write_coco(tmp_path / "data")
    else:
        write_masks(tmp_path / "data", dict.fromkeys("abc", halves() + np.uint8(status)))
    monkeypatch.setattr(sys, "argv", ["check", str(tmp_path / "data"), "--page", str(tmp_path / "page.html")])
    assert main() == status
    told, html = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    assert f"Taken for images with {kind}" in told
    copies = 20 if status and kind == "boxes" else 0
    assert (told.count("IoU"), html.count("IoU")) == (copies, copies)
    assert html.count("<img") == (
        12 + 1 + 1 + 3 if copies else 3
    )  # copies, out of the image, too large; as they are read
