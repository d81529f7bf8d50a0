"""Annotations of every form give the same boxes, and everything that is wrong with them is named at once."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from projects.voc_detection.prepare import columns_of, prepare, read_data, suggest
from shared.core.errors import UserError

from .forms import OBJECTS, PARAMS, coco_tree, counted_from_one, image, voc_xml, write_coco, write_voc, write_yolo

Boxes = dict[str, list[tuple[str, list[float]]]]


def boxes_of(root: Path, **changes: Any) -> tuple[Boxes, dict[str, str | None], list[str]]:
    """What is read: image -> class and box; image -> split; notes."""
    found, read, _ = read_data(root, PARAMS.model_copy(update=changes))
    boxes = {
        Path(picture.id).stem: [
            (one.name, np.round(box, 6).tolist()) for one, box in zip(picture.objects, each.boxes, strict=True)
        ]
        for picture, each in zip(found.pictures, read, strict=True)
    }
    return boxes, {Path(picture.id).stem: picture.split for picture in found.pictures}, found.notes


@pytest.mark.parametrize("write", [write_voc, write_coco, write_yolo])
def test_every_form_gives_the_same_boxes(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "raw")
    found, splits, _ = boxes_of(tmp_path / "raw")
    assert found == {
        name: [(label, [float(one) for one in box]) for label, box in some] for name, some in OBJECTS.items()
    }
    assert set(splits.values()) == ({None} if write is write_voc else {"train", "test"})


def test_image_sets_say_the_split(tmp_path: Path) -> None:
    write_voc(tmp_path, sets=True)
    (tmp_path / "ImageSets/Main/cat_train.txt").write_text("a 1\nb -1\n")  # a list of a class, as VOC has them
    image(tmp_path / "JPEGImages/unlisted.png", 9)
    (tmp_path / "Annotations/unlisted.xml").write_text(voc_xml([]))
    _, splits, notes = boxes_of(tmp_path)
    assert splits == {"a": "train", "b": "train", "c": "train", "d": "test"}
    assert any("unlisted" in note for note in notes)


def test_a_zero_tells_that_coordinates_begin_at_0(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text(voc_xml([("cat", [0, 3, 20, 18])]))
    found, _, notes = boxes_of(tmp_path)
    assert found["a"] == [("cat", [0, 3, 20, 18])]
    assert any("begin at 0" in note for note in notes)
    assert boxes_of(tmp_path, first_pixel="1")[0]["a"] == [("cat", [0, 2, 20, 18])], "clipped by the one pixel"


def test_difficult_objects_and_names_that_do_not_match(tmp_path: Path) -> None:
    write_voc(tmp_path)
    text = voc_xml([("cat", [5, 5, 9, 9])], name="IMG_1.jpg").replace("<bndbox>", "<difficult>1</difficult><bndbox>")
    (tmp_path / "Annotations/a.xml").write_text(text)
    found, read, _ = read_data(tmp_path, PARAMS)
    assert found.pictures[0].path.name == "a.png"
    assert columns_of(found, read)["ignored"].values.tolist() == [1, 0, 0]  # type: ignore[union-attr]
    assert any("a.xml" in note and "another's" in note for note in found.notes)


def test_exif_turns_boxes_with_the_image_once(tmp_path: Path) -> None:
    """Stored 40 x 30, shown 30 x 40: the annotation's size says which of them its boxes are in."""
    write_voc(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    for name, sides in (("a", (40, 30)), ("b", (30, 40))):
        image(tmp_path / f"JPEGImages/{name}.png", 5, exif=exif)
        (tmp_path / f"Annotations/{name}.xml").write_text(voc_xml([("cat", counted_from_one([2, 0, 12, 5]))], sides))
    found, read, _ = read_data(tmp_path, PARAMS)
    assert read[0].size == read[1].size == (30, 40)
    assert read[0].boxes.tolist() == [[25, 2, 30, 12]]
    assert read[1].boxes.tolist() == [[2, 0, 12, 5]]
    assert any("EXIF" in note for note in found.notes)


def test_all_faults_of_voc_are_named_at_once(tmp_path: Path) -> None:
    write_voc(tmp_path)
    faulty = [("cat", [10, 10, 60, 20]), ("cat", [9, 9, 9, 20]), ("cat", ["nan", 1, 5, 5]), ("cat", [20, 20, 8, 8]),
              ("cat", [10, 10, 8, 20])]  # fmt: skip
    (tmp_path / "Annotations/a.xml").write_text(voc_xml(faulty))
    (tmp_path / "Annotations/b.xml").write_text('<!DOCTYPE x [<!ENTITY e "ha">]><annotation>&e;</annotation>')
    (tmp_path / "Annotations/c.xml").write_text("<annotation><object>")
    (tmp_path / "Annotations/d.xml").write_text("")
    (tmp_path / "Annotations/e.xml").write_text(voc_xml([("cat", [1, 1, 5, 5])], name="e.png"))
    (tmp_path / "Annotations/f.xml").write_text(voc_xml([]).replace("30</height>", "31</height>"))
    image(tmp_path / "JPEGImages/f.png", 7)
    image(tmp_path / "JPEGImages/g.png", 8)
    with pytest.raises(UserError) as caught:
        read_data(tmp_path, PARAMS)
    text = "\n".join(caught.value.problems)
    for word in ("outside of the image", "not numbers", "corners reversed", "declares entities", "not valid XML",
                 "empty file", "e.xml: its image is missing", "annotation says 40x31",
                 "g.png: no annotation"):  # fmt: skip
        assert word in text, word
    assert text.count("corners reversed") == 2


def test_names_that_a_system_writes_apart_are_the_same(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "größe")
    image(tmp_path / "JPEGImages/größe.png", 0)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / f"Annotations/{apart}.xml").write_text(voc_xml([("cat", [2, 2, 9, 9])], name=f"{apart}.png"))
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("größe\n", encoding="utf-8")
    found, splits, notes = boxes_of(tmp_path)
    assert (found, splits) == ({"größe": [("cat", [1, 1, 9, 9])]}, {"größe": "train"})
    assert not any("another's" in note for note in notes)


def test_an_image_has_one_annotation(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/z.xml").write_text(voc_xml([("cat", [1, 1, 5, 5])], name="a.png"))
    with pytest.raises(UserError, match=r"z\.xml: a second annotation of .*a\.png, beside .*a\.xml"):
        read_data(tmp_path, PARAMS)


def test_faulty_boxes_can_be_left_out(tmp_path: Path) -> None:
    write_voc(tmp_path)
    rows = [("cat", [10, 10, 60, 20]), ("cat", [30, 10, 45, 20]), ("cat", [20, 20, 8, 8]), ("cat", [2, 2, 5, 5])]
    (tmp_path / "Annotations/a.xml").write_text(voc_xml(rows))
    found, _, notes = boxes_of(tmp_path, faulty_boxes="drop")
    assert found["a"] == [("cat", [9, 9, 40, 20]), ("cat", [29, 9, 40, 20]), ("cat", [1, 1, 5, 5])]
    assert any("3 faulty boxes" in note and "corners reversed" in note for note in notes)


def test_all_faults_of_coco_are_named_at_once(tmp_path: Path) -> None:
    write_coco(tmp_path)
    tree = coco_tree(["a", "b", "c"])
    tree["annotations"][0]["category_id"] = 7
    tree["annotations"][1]["image_id"] = 5
    tree["annotations"][2]["bbox"] = [1, 2, 3]
    tree["images"].append(tree["images"][2] | {"file_name": "other.png"})
    tree["images"].append({"id": 3, "file_name": "missing.png"})
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(tree))
    (tmp_path / "annotations/instances_broken.json").write_text("{")
    (tmp_path / "annotations/captions_train2017.json").write_text('{"images": []}')  # COCO's other files
    with pytest.raises(UserError) as caught:
        read_data(tmp_path, PARAMS)
    text = "\n".join(caught.value.problems)
    for word in ("unknown category_id 7", "no image has its image_id 5", "no box", "2 images have this id",
                 "its file is missing: missing.png", "instances_broken.json: not valid JSON"):  # fmt: skip
        assert word in text, word


def test_other_json_and_yaml_files_do_not_matter(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "meta.json").write_text('{"made": "by hand"}')
    (tmp_path / "settings.yaml").write_text("a: 1")
    assert boxes_of(tmp_path)[0] == OBJECTS


def test_crowds_and_images_without_objects_are_kept(tmp_path: Path) -> None:
    write_coco(tmp_path)
    tree = coco_tree(["a", "b", "c"])
    tree["annotations"][0] |= {"iscrowd": 1, "area": 7.5}
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(tree))
    found, read, _ = read_data(tmp_path, PARAMS)
    columns = columns_of(found, read)
    assert columns["label"].lengths.tolist() == [1, 2, 1, 0]  # type: ignore[union-attr]
    assert columns["crowd"].values.tolist() == columns["ignored"].values.tolist() == [0, 1, 0, 0]  # type: ignore[union-attr]
    assert columns["area"].values.tolist()[1] == 7.5  # type: ignore[union-attr]
    assert any("1 images without objects" in note for note in found.notes)


def test_a_json_of_windows_is_read(tmp_path: Path) -> None:
    write_coco(tmp_path)
    path = tmp_path / "annotations/instances_test2017.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert boxes_of(tmp_path)[0]["d"] == [("cat", [1, 1, 39, 29])]


@pytest.mark.parametrize(("names", "words"), [
    ("{cat: 0, dog: 1}", "not numbered from 0"), ("{0: cat, 2: dog}", "not numbered from 0"), ("[]", "no classes"),
    ("[cat, '', dog]", "class 1 has no name"), ("[cat, dog, cat]", "two classes of one name: cat"),
])  # fmt: skip
def test_classes_of_yolo_that_cannot_be_right_are_named_alone(tmp_path: Path, names: str, words: str) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(f"names: {names}\n")
    with pytest.raises(UserError) as caught:
        read_data(tmp_path, PARAMS)
    assert len(caught.value.problems) == 1
    assert words in caught.value.problems[0]


def test_a_list_of_classes_may_be_of_windows(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n\r\n")
    assert boxes_of(tmp_path)[0] == OBJECTS


def test_all_faults_of_yolo_are_named_at_once(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "labels/train/a.txt").write_text("2 .5 .5 .1 .1\n0 .5 .5 .1\nx y\n0 .9 .9 .9 .9\n")
    (tmp_path / "labels/train/gone.txt").write_text("0 .5 .5 .1 .1\n")
    with pytest.raises(UserError) as caught:
        read_data(tmp_path, PARAMS)
    text = "\n".join(caught.value.problems)
    for word in ("line 1: unknown class 2", "line 2: 4 numbers", "line 3: 'x y'", "outside of the image",
                 "gone.txt: its image is missing"):  # fmt: skip
        assert word in text, word


def test_copies_stay_in_one_split_and_groups_too(tmp_path: Path) -> None:
    write_voc(tmp_path)
    for name in ("JPEGImages/e.png", "Annotations/e.xml"):
        (tmp_path / name).write_bytes((tmp_path / name.replace("/e.", "/a.")).read_bytes())
    found, _, keys = read_data(tmp_path, PARAMS)
    assert [Path(picture.id).stem for picture in found.pictures] == ["a", "b", "c", "d", "e"]
    assert keys[0] == keys[4]
    assert len(set(keys)) == 4
    ab_ce = "^JPEGImages(?=/[ab])|^JPEG(?=Images/[ce])"
    _, _, keys = read_data(tmp_path, PARAMS.model_copy(update={"group": ab_ce}))
    assert keys[0] == keys[1] == keys[2] == keys[4] != keys[3], "a and e are copies, so their groups are one"
    _, _, keys = read_data(tmp_path, PARAMS.model_copy(update={"group": "/[bc]"}))
    assert keys[1] != keys[2], "the match itself is the group"
    _, _, keys = read_data(tmp_path, PARAMS.model_copy(update={"group": "JPEGImages/"}))
    assert len(set(keys)) == 1


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    image(tmp_path / "a.png", 0)
    (tmp_path / "settings.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="no annotations"):
        read_data(tmp_path, PARAMS)


def test_a_split_without_an_object_is_refused(tmp_path: Path) -> None:
    write_voc(tmp_path / "raw", sets=True)
    (tmp_path / "raw/Annotations/d.xml").write_text(voc_xml([]))
    project: Any = SimpleNamespace(raw=tmp_path / "raw", prepared=tmp_path / "prepared")
    with pytest.raises(UserError, match="test: no object in its 1 images"):
        prepare(project, PARAMS)
    assert not (tmp_path / "prepared").exists()


def test_suggested_params_suit_the_images(tmp_path: Path) -> None:
    write_voc(tmp_path)
    values = suggest(tmp_path)
    assert (values["prepare.width_px"], values["prepare.height_px"]) == (64, 64)
    assert values["train.batch_size"] >= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation: int) -> None:
    from shared.image.boxes import orient_boxes
    from shared.image.scenes import box_of

    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2:6] = 1
    picture = Image.fromarray(mask)
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # PIL's numbers of its transposes
    turned = picture if orientation == 1 else picture.transpose(Image.Transpose(turn[orientation]))
    expected = box_of(np.asarray(turned) > 0)
    assert orient_boxes(np.array([[2.0, 1, 6, 3]]), orientation, (7, 5)).tolist() == [list(expected)]
