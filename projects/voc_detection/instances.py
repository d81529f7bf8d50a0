"""Images and instance masks, as Penn-Fudan has them: PNGImages/a.png, and PedMasks/a_mask.png (or a.png), in which the
value of a pixel is the number of its object; 0 is the background. Boxes are taken from the masks. There is one class,
named as the folder of masks: PedMasks/ holds objects of the class Ped, masks/ of the class `object`.
"""

import re
from pathlib import Path

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.image.files import opened
from shared.image.index import ImageIndex
from shared.image.masks import LOSSY

from .annotations import Found, Object, Picture, split_of_folders
from .masks import encode_runs

FOLDER = re.compile(r"[-_ ]?masks?$", re.IGNORECASE)
DEFAULT_CLASS = "object"


def find_instances(root: Path) -> list[Path]:
    """The images below folders of masks."""
    return [path for path in ImageIndex(root).paths if _class_of(path, root)]


def _class_of(path: Path, root: Path) -> str:
    """By the folder of masks that a file lies in; "" in none."""
    names = [part for part in path.relative_to(root).parts[:-1] if FOLDER.search(part)]
    return (FOLDER.sub("", names[-1]) or DEFAULT_CLASS) if names else ""


def read_instances(root: Path, files: list[Path], problems: Problems) -> Found:
    """Every image below a folder with the mask of its name and split.

    Args:
        files: the masks.
        problems: gets images without a mask and the reverse, masks that cannot be read, are compressed with losses or
            hold colours.
    """
    found, masks = Found("images and instance masks"), dict[tuple[str | None, str], Path]()
    for path in files:
        key = (split_of_folders(path, root), re.sub("_mask$", "", path.stem))
        if masks.setdefault(key, path) != path:
            problems.add(show(path), f"a second mask beside {show(masks[key])}")
    for image in ImageIndex(root).paths:
        if _class_of(image, root):
            continue
        split = split_of_folders(image, root)
        if (mask := masks.pop((split, image.stem), None)) is None:
            problems.add(show(image), "an image without its mask, expected a PNG of its name in a folder of masks")
            continue
        with problems.collect():
            size, objects = _objects(mask, _class_of(mask, root))
            found.pictures.append(Picture(image, image.relative_to(root).as_posix(), split, size, objects))
    for path in masks.values():
        problems.add(show(path), "a mask without its image")
    found.classes = sorted({_class_of(path, root) for path in files})
    found.notes.append(f"the values in {show(files[0].parent)} number the objects, boxes are taken from them; the "
                       f"class is named after the folder: {', '.join(found.classes)}.")  # fmt: skip
    return found


def _objects(path: Path, name: str) -> tuple[tuple[int, int], list[Object]]:
    """Size (width, height) of a mask, and its objects by their number. Raises UserError where it holds no numbers."""
    with opened(path) as picture:
        if picture.format in LOSSY:
            raise UserError(f"{show(path)}: {picture.format}, which changes the numbers of objects", expected="PNG")
        if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
            raise UserError(f"{show(path)}: colours ({picture.mode})", expected="a grey or indexed PNG: a pixel's "
                            "value is the number of its object, 0 the background")  # fmt: skip
        numbers, size = np.asarray(picture), picture.size
    values, places = np.unique(numbers, return_inverse=True)
    objects = []
    windows = ndimage.find_objects(places.reshape(numbers.shape) + 1)
    for value, (rows, columns) in zip(values.tolist(), windows, strict=True):
        if value:
            inside = numbers[rows, columns] == value
            runs = encode_runs(inside, (columns.start, rows.start), size)
            box = (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
            mask = {"counts": runs.tolist()}
            objects.append(Object(f"instance {int(value)}", name, box, area=float(inside.sum()), mask=mask))
    return size, objects
