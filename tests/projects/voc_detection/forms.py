"""The same few images and boxes in every form that prepare accepts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from projects.voc_detection.params import Prepare

PARAMS = Prepare(
    seed=0, width_px=64, height_px=64, ground=114, white=65535.0, valid_fraction=0.0, test_fraction=0.3, group="",
    first_pixel="auto", faulty_boxes="refuse", masks=False,
)  # fmt: skip
SIDES = (40, 30)  # width, height
# image -> its objects: class, half-open box in pixels
OBJECTS: dict[str, list[tuple[str, list[int]]]] = {
    "a": [("cat", [4, 6, 20, 18]), ("dog", [10, 0, 40, 30])],
    "b": [("dog", [0, 5, 9, 29])],
    "c": [],
    "d": [("cat", [1, 1, 39, 29])],
}


def image(path: Path, seed: int, sides: tuple[int, int] = SIDES, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (sides[1], sides[0], 3), dtype=np.uint8)).save(path, **options)


def voc_xml(objects: list[tuple[str, list[Any]]], sides: tuple[int, int] = SIDES, name: str = "") -> str:
    """1-based and inclusive, as VOC's are."""
    rows = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for label, (x0, y0, x1, y1) in objects
    )
    size = f"<size><width>{sides[0]}</width><height>{sides[1]}</height></size>"
    return f"<annotation><filename>{name}</filename>{size}{rows}</annotation>"


def counted_from_one(box: list[int]) -> list[int]:
    return [box[0] + 1, box[1] + 1, box[2], box[3]]


def write_voc(root: Path, *, sets: bool = False) -> None:
    for number, (name, objects) in enumerate(OBJECTS.items()):
        image(root / "JPEGImages" / f"{name}.png", number)
        (root / "Annotations").mkdir(exist_ok=True)
        rows = [(label, counted_from_one(box)) for label, box in objects]
        (root / "Annotations" / f"{name}.xml").write_text(voc_xml(rows, name=f"{name}.png"))
    if sets:
        (root / "ImageSets/Main").mkdir(parents=True)
        (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\n")
        (root / "ImageSets/Main/test.txt").write_text("d\n")


def coco_tree(names: list[str]) -> dict[str, Any]:
    """Category ids with a gap that begin at 0, image ids that are huge, an annotation id of 0."""
    images = [{"id": 10**12 + ord(name), "file_name": f"{name}.png", "width": SIDES[0], "height": SIDES[1]}
              for name in names]  # fmt: skip
    rows = [(name, *one) for name in names for one in OBJECTS[name]]
    annotations = [
        {"id": number, "image_id": 10**12 + ord(name), "category_id": {"cat": 0, "dog": 90}[label],
         "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]], "iscrowd": 0}
        for number, (name, label, box) in enumerate(rows)
    ]  # fmt: skip
    categories = [{"id": 90, "name": "dog"}, {"id": 0, "name": "cat"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(root: Path) -> None:
    for split, names in {"train": ["a", "b", "c"], "test": ["d"]}.items():
        for name in names:
            image(root / f"{split}2017" / f"{name}.png", "abcd".index(name))
        path = root / "annotations" / f"instances_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(coco_tree(names)))


def write_yolo(root: Path) -> None:
    classes = ["cat", "dog"]
    root.mkdir(exist_ok=True)
    (root / "data.yaml").write_text("path: ../elsewhere\ntrain: images/train\ntest: images/test\nnames: [cat, dog]\n")
    for number, (name, objects) in enumerate(OBJECTS.items()):
        split = "test" if name == "d" else "train"
        image(root / "images" / split / f"{name}.png", number)
        lines = []
        for label, (x0, y0, x1, y1) in objects:
            shares = (x0 + x1) / 2 / SIDES[0], (y0 + y1) / 2 / SIDES[1], (x1 - x0) / SIDES[0], (y1 - y0) / SIDES[1]
            lines.append(" ".join([str(classes.index(label)), *map(repr, shares)]))
        if lines:
            path = root / "labels" / split / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines))
