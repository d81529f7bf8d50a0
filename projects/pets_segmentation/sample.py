"""The embedded sample: scenes of overlapping shapes with a class for each pixel, in the form a user's own data has.

Most objects have a colour that is typical of their class, as in photographs, so a classifier of single pixels learns
something; the others, pieces of no class and grounds have any. A "signed disc" looks like any disc: only the small sign
beside it tells its class. So some pixels cannot be told from their surroundings, and the pixels that decide are known:
they are kept as evidence for the attributions of the test images (0 nothing, 1 the sign, 2 the disc that it decides
about).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from shared.image.masks import save_indices, voc_colour
from shared.image.scenes import SIGNED, ShapeScene, make_scene, shape_names

from .params import Fetch

HEIGHT, WIDTH = 96, 128  # px
CLASSES = ["ground", *shape_names(signs=True)]
TRIES = 6  # further scenes for every second image, until one has a sign: they are what is hardest to learn
TYPICAL = 0.95  # share of the objects that have about the colour of their class
SPREAD = 0.06  # standard deviation of such a colour, in each channel of [0, 1]
SIGN = (0.9, 0.1, 0.85)  # colour of a sign
SIGN_PX = 5.0  # its radius, larger than scenes have it: 3 px take long to learn
COLOURS = {"disc": (0.8, 0.3, 0.3), "square": (0.3, 0.65, 0.3), "star": (0.85, 0.75, 0.3), "triangle": (0.3, 0.4, 0.8)}


def make_pair(params: Fetch, split: str, number: int) -> tuple[np.ndarray, ShapeScene]:
    """An image (H, W, 3) uint8 and its scene, whose signs are those of the image; the same for one seed, split and
    number."""
    rng = np.random.default_rng([params.seed, split == "test", number])
    scene = make_scene(HEIGHT, WIDTH, rng, signs=True)
    for _ in range(TRIES if number % 2 else 0):
        scene = scene if scene.signs.any() else make_scene(HEIGHT, WIDTH, rng, signs=True)
    image = scene.image.astype(float)
    for mask, label in zip(scene.masks, scene.classes, strict=True):
        name = shape_names(signs=True)[label]
        colour = 255 * (np.array(COLOURS["disc" if name == SIGNED else name]) + rng.normal(0, SPREAD, 3))
        if rng.random() < TYPICAL:  # its texture stays
            image[mask] += colour - image[mask].mean(axis=0)
    signs = np.stack([enlarged(sign) & ~scene.masks.any(axis=0) for sign in scene.signs])
    image[signs.any(axis=0)] = 255 * np.array(SIGN)
    return image.clip(0, 255).round().astype(np.uint8), replace(scene, signs=signs)


def enlarged(sign: np.ndarray) -> np.ndarray:
    """(H, W) bool: the disc of SIGN_PX around the middle of a sign; empty where it is."""
    rows, columns = np.nonzero(sign)
    if not len(rows):
        return sign
    y, x = np.ogrid[: sign.shape[0], : sign.shape[1]]
    found: np.ndarray = np.hypot(y - rows.mean(), x - columns.mean()) <= SIGN_PX
    return found


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes {train,test}/{images,masks}/*.png, classes.txt and test/evidence/*.png."""
    palette = [voc_colour(number) for number in range(256)]
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        for name in ("images", "masks", *(["evidence"] if split == "test" else [])):
            (folder / split / name).mkdir(parents=True)
        for number in range(count):
            image, scene = make_pair(params, split, number)
            name = f"{number:04}.png"
            Image.fromarray(image).save(folder / split / "images" / name, compress_level=1)
            save_indices(scene.semantic.astype(np.uint8), palette, folder / split / "masks" / name)
            if split == "test" and scene.signs.any():
                save_indices(evidence_of(scene), palette, folder / split / "evidence" / name)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def evidence_of(scene: ShapeScene) -> np.ndarray:
    """(H, W) uint8 of the first signed disc: 1 its sign, 2 the disc."""
    first = int(np.flatnonzero(scene.signs.any(axis=(1, 2)))[0])
    return np.where(scene.signs[first], 1, 2 * scene.masks[first]).astype(np.uint8)
