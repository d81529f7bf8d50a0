"""Every form of images and masks is recognised, and everything wrong with them is said at once."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from projects.pets_segmentation.params import Params, Prepare
from projects.pets_segmentation.prepare import read, suggest, tables
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from shared.image.masks import IGNORED

DEFAULTS = load(Params, ROOT / "projects" / Path(__file__).parent.name / "params.yaml").prepare
CLASSES = "sky\nroad\n"


def params(**changes: Any) -> Prepare:
    return DEFAULTS.model_copy(update={"height": 32, "width": 32, "overlap_px": 8} | changes)


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (40, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def mask(path: Path, values: Any = None, size: tuple[int, int] = (40, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = np.zeros((size[1], size[0]), np.uint8)
        values[size[1] // 2 :] = 1
    Image.fromarray(values).save(path)


def write(root: Path, names: dict[str, str], text: str = CLASSES) -> None:
    """Pairs: image -> mask."""
    for seed, (image, drawn) in enumerate(names.items()):
        photo(root / image, seed)
        mask(root / drawn)
    (root / "classes.txt").write_text(text)


FORMS: dict[str, dict[str, str]] = {
    "flat": {f"images/{n}.jpg": f"masks/{n}.png" for n in "abc"},
    "splits": {f"{s}/images/a{s}.png": f"{s}/masks/a{s}.png" for s in ("train", "val", "test")},
    "splits below": {f"img/{s}/a{s}.png": f"gt/{s}/a{s}.png" for s in ("train", "val", "test")},
    "segnet": {f"Set/{s}/x{s}.jpg": f"Set/{s}annot/x{s}.png" for s in ("train", "val", "test")},
    "endings": {f"images/{n}.jpg": f"labels/{n}_mask.png" for n in "abc"},
    "side by side": {f"{n}.jpg": f"{n}_mask.png" for n in "abc"},
    "cities": {f"images/{n}/1.jpg": f"masks/{n}/1.png" for n in ("york", "bath", "hull")},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_recognised(tmp_path: Path, form: str) -> None:
    write(tmp_path, FORMS[form])
    found, pictures = read(tmp_path, params())
    assert len(pictures) == 3
    assert found.legend.classes == ["sky", "road"]
    given = {pair.split for pair in found.pairs}
    assert given == ({"train", "valid", "test"} if form in ("splits", "splits below", "segnet") else {None})
    assert all((picture.labels.indices[:16] == 0).all() for picture in pictures)


def test_pascal_voc_is_read_by_its_lists(tmp_path: Path) -> None:
    write(tmp_path, {f"JPEGImages/{n}.jpg": f"SegmentationClass/{n}.png" for n in "abc"})
    photo(tmp_path / "JPEGImages/unlisted.jpg", 9)
    mask(tmp_path / "SegmentationObject/a.png")
    for name, text in {"train": "a\n", "val": "b\n", "test": "c\n"}.items():
        path = tmp_path / "ImageSets/Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "ImageSets/Main").mkdir()  # of detection: it names images without masks
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\nb\nunlisted\n")
    found, _ = read(tmp_path, params())
    assert [pair.split for pair in found.pairs] == ["train", "valid", "test"]
    assert any("1 images that no list names" in note for note in found.notes)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("b\nc\n")
    with pytest.raises(UserError, match=r"val\.txt: c, which the list of test names as well"):
        read(tmp_path, params())


def coco(names: list[str], **changes: Any) -> str:
    images = [{"id": n, "file_name": name, "width": 40, "height": 32} for n, name in enumerate(names)]
    polygon = [[0, 0, 20, 0, 20, 32, 0, 32]]
    one = [{"id": n, "image_id": n, "category_id": 7, "segmentation": polygon} for n in range(len(names))]
    return json.dumps({"images": images, "categories": [{"id": 7, "name": "pet"}], "annotations": one} | changes)


def test_names_that_a_system_writes_apart_are_the_same(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "größe")
    write(tmp_path / "masks", {"images/größe.jpg": f"masks/{apart}.png"})
    assert len(read(tmp_path / "masks", params())[1]) == 1
    photo(tmp_path / f"coco/{apart}.jpg")
    (tmp_path / "coco/a.json").write_text(coco(["größe.jpg"]))
    assert len(read(tmp_path / "coco", params())[1]) == 1


def test_coco_polygons_need_no_class_file(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        photo(tmp_path / f"{split}2017/a{split}.jpg", len(split))
        path = tmp_path / f"annotations/instances_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(coco([f"a{split}.jpg"]))
    found, pictures = read(tmp_path, params())
    assert found.legend.classes == ["background", "pet"]
    assert {pair.split for pair in found.pairs} == {"train", "valid", "test"}
    assert (pictures[0].labels.indices[:, :20] == 1).all()
    assert (pictures[0].labels.indices[:, 20:] == 0).all()


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, FORMS["flat"] | {"images/d.jpg": "masks/d.png"})
    mask(tmp_path / "masks/a.png", size=(39, 32))
    mask(tmp_path / "masks/b.png", np.full((32, 40), 255, np.uint8))
    mask(tmp_path / "masks/c.png", np.random.default_rng(0).integers(0, 255, (32, 40, 3), dtype=np.uint8))
    (tmp_path / "masks/d.png").unlink()
    mask(tmp_path / "masks/lonely.png")
    (tmp_path / "images/broken.jpg").write_bytes(b"no image")
    mask(tmp_path / "masks/broken.png")
    with pytest.raises(UserError) as caught:
        read(tmp_path, params(overlap_px=32, group="(", ignore=["fog"]))
    said = str(caught.value)
    for words in (
        "a.png: 39x32 px, but its image is 40x32",
        "the value 255: 1,280 pixels in 1 mask",
        "c.png: colours (RGB), but",
        "d.jpg: an image without a mask",
        "lonely.png: a mask without an image",
        "broken.jpg: not an image that can be read",
        "prepare.overlap_px: 32",
        "prepare.group: '(' is no regular expression",
        "prepare.ignore: no class 'fog'",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "classes.txt: no such file; expected a class a line"),
        ("sky\nroad\nriver\n", "class 'river': no pixel in the training images"),
    ],
)
def test_classes_must_be_named_and_seen(tmp_path: Path, text: str | None, words: str) -> None:
    write(tmp_path, FORMS["flat"], text or "")
    if text is None:
        (tmp_path / "classes.txt").unlink()
    with pytest.raises(UserError, match=words):
        read(tmp_path, params())


def test_coco_problems_are_said_at_once(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "train.json").write_text(coco(["images/a.jpg", "gone.jpg"]))
    (tmp_path / "valid.json").write_text(coco(["a.jpg"], categories=[{"id": 7, "name": "dog"}]))
    with pytest.raises(UserError) as caught:
        read(tmp_path, params())
    said = str(caught.value)
    for words in ("broken.json: not valid JSON", "no image 'gone.jpg'", "other classes than those of", "a second time"):
        assert words in said


def test_large_images_become_tiles_and_small_ones_are_padded_with_what_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, FORMS["splits"])
    photo(tmp_path / "train/images/large.png", 7, (100, 70))
    mask(tmp_path / "train/masks/large.png", size=(100, 70))
    photo(tmp_path / "train/images/small.png", 8, (20, 20))
    mask(tmp_path / "train/masks/small.png", size=(20, 20))
    chosen = params(width=64, height=48)
    train = tables(*read(tmp_path, chosen), chosen)["train"]
    image, drawn, ids = (train[name] for name in ("image", "mask", "id"))
    assert np.shape(image)[1:] == (3, 48, 64)
    assert ids.count("train/images/large.png") == 4
    small = ids.index("train/images/small.png")
    assert (np.asarray(drawn)[small, 20:] == IGNORED).all()
    assert (np.asarray(image)[small, :, 20:] == chosen.ground).all()


def test_scaling_keeps_the_shape_and_invents_no_label(tmp_path: Path) -> None:
    write(tmp_path, FORMS["splits"])
    values = np.where(np.random.default_rng(0).random((200, 100)) < 0.5, 0, 1).astype(np.uint8)
    photo(tmp_path / "train/images/tall.png", 7, (100, 200))
    mask(tmp_path / "train/masks/tall.png", values)
    chosen = params(fit="scale", height=64, width=64)
    train = tables(*read(tmp_path, chosen), chosen)["train"]
    drawn = np.asarray(train["mask"])[train["id"].index("train/images/tall.png")]
    assert set(np.unique(drawn[:, :32])) == {0, 1}
    assert (drawn[:, 32:] == IGNORED).all()


def test_copies_and_frames_of_one_video_stay_together(tmp_path: Path) -> None:
    write(tmp_path, {f"images/v{n // 4}_{n}.jpg": f"masks/v{n // 4}_{n}.png" for n in range(20)})
    (tmp_path / "images/v0_0.jpg").write_bytes((tmp_path / "images/v4_19.jpg").read_bytes())
    chosen = params(group="^v[0-9]+")
    found, pictures = read(tmp_path, chosen)
    splits = tables(found, pictures, chosen)
    videos = {split: {name.split("/")[1][:2] for name in columns["id"]} for split, columns in splits.items()}
    assert sum(map(len, videos.values())) == len(set().union(*videos.values())) == 5
    assert any({"v0", "v4"} <= some for some in videos.values()), "a copy ties two videos together"


def test_evidence_of_another_size_is_named(tmp_path: Path) -> None:
    write(tmp_path, FORMS["splits"])
    mask(tmp_path / "test/evidence/atest.png", size=(39, 32))
    with pytest.raises(UserError, match=r"evidence/atest\.png: 39x32 px, but its image is 40x32 px"):
        read(tmp_path, params())


def test_suggested_params_fit_the_data(tmp_path: Path) -> None:
    write(tmp_path, FORMS["flat"])
    found = suggest(tmp_path)
    assert (found["prepare.height"], found["prepare.width"], found["prepare.fit"]) == (32, 40, "tile")
    photo(tmp_path / "small/images/a.png", 0, (20, 24))
    mask(tmp_path / "small/masks/a.png", size=(20, 24))
    (tmp_path / "small/classes.txt").write_text(CLASSES)
    small = suggest(tmp_path / "small")
    DEFAULTS.model_validate(DEFAULTS.model_dump() | {key: small[f"prepare.{key}"] for key in ("height", "width")})
