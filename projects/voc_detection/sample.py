"""The embedded sample: scenes of 1 to 8 shapes of four classes, in Pascal VOC's form, with the masks of the objects.

Objects overlap, are cut by the border and hidden by bars; strokes and shapes of no class lie about. A box surrounds
the visible part of its object. Images have many sizes. `evidence/` holds, for each test image, a PNG whose pixels say
which object of the annotation is seen there: 0 none, n the n-th.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from shared.image.scenes import ShapeScene, make_scene, shape_names

from .params import Fetch

SIDES_PX = (88, 128)  # of the scenes

OBJECT = (
    "  <object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>\n"
)
ANNOTATION = (
    "<annotation>\n  <filename>{}.png</filename>\n  <size><width>{}</width><height>{}</height><depth>3</depth></size>\n"
    "{}</annotation>\n"
)


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes JPEGImages/, Annotations/, ImageSets/Main/{train,val,test}.txt and evidence/."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main", "evidence"):
        (folder / part).mkdir(parents=True)
    first = 0
    for number, (split, count) in enumerate(
        {"train": params.num_train, "val": params.num_valid, "test": params.num_test}.items()
    ):
        ids = [f"{first + index:06}" for index in range(count)]
        for index, one in enumerate(ids):
            rng = np.random.default_rng([params.seed, number, index])
            height, width = rng.integers(SIDES_PX[0], SIDES_PX[1], 2, endpoint=True).tolist()
            _write(folder, one, make_scene(height, width, rng), evidence=split == "test")
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{one}\n" for one in ids))
        first += count


def _write(folder: Path, name: str, scene: ShapeScene, evidence: bool) -> None:
    classes = shape_names()
    boxes = (scene.boxes + np.array([1, 1, 0, 0])).tolist()  # VOC counts from 1 and includes the last pixel
    objects = "".join(OBJECT.format(classes[label], *box) for label, box in zip(scene.classes, boxes, strict=True))
    height, width = scene.image.shape[:2]
    (folder / "Annotations" / f"{name}.xml").write_text(ANNOTATION.format(name, width, height, objects))
    Image.fromarray(scene.image).save(folder / "JPEGImages" / f"{name}.png", compress_level=1)
    if evidence:
        numbered = (scene.masks * np.arange(1, len(scene.masks) + 1)[:, None, None]).sum(0).astype(np.uint8)
        Image.fromarray(numbered).save(folder / "evidence" / f"{name}.png")
