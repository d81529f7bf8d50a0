"""COCO's annotations: one JSON a split, with images, annotations and categories."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.split import SPLIT_NAMES
from shared.image.index import ImageIndex, split_of_name

from .annotations import Box, Found, Object, Picture, listed

PARTS = "images", "annotations", "categories"
HEAD_BYTES = 1 << 20


def find_coco(root: Path) -> list[Path]:
    """The JSON files of a folder in COCO's form: those named instances_*, for others beside them hold captions and
    keypoints; else all, if one of them looks like annotations."""
    every = sorted(path for path in files_below(root) if path.suffix.lower() == ".json" and path.name != "source.json")
    chosen = [path for path in every if path.name.startswith("instances_")] or every
    return chosen if any(map(_looks_like_coco, chosen)) else []


def _looks_like_coco(path: Path) -> bool:
    """By its beginning, for the whole may be large; one that cannot be read may be one, and is named then."""
    try:
        with path.open("rb") as file:
            start = file.read(HEAD_BYTES)
    except OSError:
        return True
    return any(f'"{part}"'.encode() in start for part in PARTS)


def read_coco(root: Path, files: Iterable[Path], problems: Problems) -> Found:
    """All annotations below a folder. The split of a file is in its name or its folder: instances_val2017.json.

    Args:
        problems: gets damaged files, images that are missing or listed twice, annotations of no image or category.
    """
    index, found = ImageIndex(root), Found("COCO")
    trees = [(path, tree) for path in files if (tree := _load(path, problems)) is not None]
    names = _categories(trees, problems)
    found.classes = [name for _, name in sorted(names.items())]
    if len(set(found.classes)) < len(found.classes):
        problems.add(show(root), "two categories of one name")
    listed_once: dict[Path, str] = {}
    for path, tree in trees:
        _read_file(path, tree, root, index, names, found, listed_once, problems)
    left = [show(path) for path in index.paths if path not in listed_once]
    if left:
        found.notes.append(f"{len(left):,} images are in no JSON, left out: {listed(left)}.")
    empty = sum(not picture.objects for picture in found.pictures)
    if empty:
        found.notes.append(f"{empty:,} images without objects: kept, as background.")
    crowds = sum(one.crowd for picture in found.pictures for one in picture.objects)
    if crowds:
        found.notes.append(f"{crowds:,} crowds (iscrowd): neither learned nor counted.")
    found.pictures.sort(key=lambda picture: picture.id)
    return found


def _load(path: Path, problems: Problems) -> dict[str, Any] | None:
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.add(show(path), f"cannot be read: {error.strerror}")
        return None
    except (ValueError, RecursionError) as error:
        problems.add(show(path), f"not valid JSON: {error}")
        return None
    if not isinstance(tree, dict) or not all(
        isinstance(tree.get(part), list) and all(isinstance(one, dict) for one in tree[part]) for part in PARTS
    ):
        problems.add(show(path), f"not COCO's form, expected lists of {', '.join(PARTS)}")
        return None
    return tree


def _categories(trees: Iterable[tuple[Path, dict[str, Any]]], problems: Problems) -> dict[int, str]:
    """Id -> name, of all files together: ids may have gaps, begin at 0 or be huge."""
    names: dict[int, str] = {}
    for path, tree in trees:
        for one in tree["categories"]:
            key, name = one.get("id"), one.get("name")
            if not isinstance(key, int) or not isinstance(name, str) or not name:
                problems.add(show(path), f"category {one.get('id')!r}: expected an integer id and a name")
            elif names.setdefault(key, name) != name:
                problems.add(show(path), f"category {key} is {name!r} here and {names[key]!r} elsewhere")
    return names


def _read_file(
    path: Path, tree: dict[str, Any], root: Path, index: ImageIndex, names: dict[int, str], found: Found,
    listed_once: dict[Path, str], problems: Problems,
) -> None:  # fmt: skip
    split, of_image = _split_of(path, root), defaultdict[Any, list[Object]](list)
    ids = Counter(str(one.get("id")) for one in tree["images"])
    for number, one in enumerate(tree["annotations"], 1):
        label = f"annotation {one.get('id', number)}"
        if str(one.get("image_id")) not in ids:
            problems.add(f"{show(path)}, {label}", f"no image has its image_id {one.get('image_id')!r}")
        elif (key := one.get("category_id")) not in names:
            problems.add(f"{show(path)}, {label}", f"unknown category_id {key!r}, expected one of "
                         f"{listed([str(known) for known in sorted(names)], 8)}")  # fmt: skip
        elif (box := _box(one.get("bbox"))) is None:
            problems.add(f"{show(path)}, {label}", "no box, expected bbox: [x, y, width, height]")
        else:
            crowd, area = bool(one.get("iscrowd", 0)), one.get("area")
            pixels = float(area) if isinstance(area, int | float) and area > 0 else None
            drawn = one.get("segmentation")
            of_image[str(one["image_id"])].append(Object(label, names[key], box, crowd, crowd, pixels, drawn))
    stem = path.stem.removeprefix("instances_").removeprefix("annotations_")
    folders = (path.parent, path.parent.parent, root)
    near = [base / part for base in folders for part in ("", stem, "images", f"images/{stem}", split or "")]
    for one in tree["images"]:
        key, name = str(one.get("id")), one.get("file_name")
        if ids[key] > 1:
            problems.add(f"{show(path)}, image {key}", f"{ids[key]} images have this id")
            ids[key] = 1
            continue
        image = index.find(name, near, split) if isinstance(name, str) else None
        if image is None:
            problems.add(f"{show(path)}, image {key}", f"its file is missing: {name}")
        elif image in listed_once:
            problems.add(f"{show(path)}, image {key}", f"{name} is listed in {listed_once[image]} already")
        else:
            listed_once[image] = show(path)
            size = (one.get("width"), one.get("height"))
            sides = (size[0], size[1]) if all(isinstance(side, int) and side > 0 for side in size) else None
            found.pictures.append(Picture(image, image.relative_to(root).as_posix(), split, sides, of_image[key]))


def _box(bbox: Any) -> Box | None:
    """x, y, width, height -> edges. A negative width becomes reversed corners, which are named later."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(isinstance(one, int | float) for one in bbox):
        return None
    x, y, width, height = map(float, bbox)
    return x, y, x + width, y + height


def _split_of(path: Path, root: Path) -> str | None:
    """By the words of the file's name, then by its folders: annotations/instances_val2017.json is valid."""
    folders = [part.lower().rstrip("0123456789") for part in path.relative_to(root).parts[:-1]]
    return split_of_name(path.stem) or next((SPLIT_NAMES[word] for word in folders if word in SPLIT_NAMES), None)
