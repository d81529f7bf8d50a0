"""YOLO's annotations: a text file an image, a line an object (class x y width height, as shares of the image's sides:
the middle of the box and its sides), and a data.yaml with the names of the classes.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.core.errors import Problems, UserError
from shared.core.params import read_yaml
from shared.core.paths import show
from shared.core.walk import files_below
from shared.data.split import SPLIT_NAMES
from shared.image.index import ImageIndex

from .annotations import Found, Object, Picture, listed, split_of_folders

NAMES = "data.yaml", "dataset.yaml", "classes.txt"


def find_yolo(root: Path) -> list[Path]:
    """The file with the names of the classes; another .yaml where it holds `names`."""
    found = [path for path in files_below(root) if path.name in NAMES or _holds_names(path)]
    return sorted(found, key=lambda path: (path.name not in NAMES, path.name not in NAMES[:2], path))[:1]


def _holds_names(path: Path) -> bool:
    if path.suffix.lower() not in (".yaml", ".yml"):
        return False
    try:
        return "names" in read_yaml(path)
    except UserError:
        return False


def read_yolo(root: Path, file: Path, problems: Problems) -> Found:
    """Every image below a folder with the text file of its name: beside it, or in `labels/` where it is in `images/`.

    Args:
        problems: gets a data.yaml without names, lines that are no object, classes that have no name.
    """
    found = Found("YOLO", relative=True)
    tree: dict[str, Any] = {}
    with problems.collect():
        tree = _read_lines(file) if file.suffix == ".txt" else read_yaml(file)
        found.classes = _names(file, tree)
    if not found.classes:  # every label would be unknown
        return found
    index, without = ImageIndex(root), []
    for image in index.paths:
        labels = _labels_of(image, root)
        if not labels.is_file():
            without.append(image.relative_to(root).as_posix())
        objects = _objects(labels, found.classes, problems) if labels.is_file() else []
        split = _split_of(image, root, file, tree)
        found.pictures.append(Picture(image, image.relative_to(root).as_posix(), split, None, objects))
    texts = {_labels_of(image, root) for image in index.paths}
    for path in files_below(root):
        if path.suffix == ".txt" and path not in texts and "labels" in path.relative_to(root).parts[:-1]:
            problems.add(show(path), "its image is missing")
    if without:
        found.notes.append(f"{len(without):,} images without a text file: taken for background ({listed(without)}).")
    return found


def _read_lines(file: Path) -> dict[str, Any]:
    """A name a line, as data.yaml would have them."""
    try:
        return {"names": file.read_text(encoding="utf-8-sig").rstrip().split("\n")}
    except UnicodeDecodeError as error:
        raise UserError(f"{show(file)}: byte {error.start + 1} is not UTF-8") from None


def _names(file: Path, tree: Mapping[str, Any]) -> list[str]:
    """The classes by their numbers. Raises UserError where a number has no name, or two have one."""
    names = tree.get("names")
    if isinstance(names, Mapping):  # number -> name
        numbered = {str(number): name for number, name in names.items()}
        if set(numbered) != {str(number) for number in range(len(names))}:
            raise UserError(f"{show(file)}: names: the classes are not numbered from 0 on without a gap")
        names = [numbered[str(number)] for number in range(len(names))]
    found = [str(name).strip() for name in names] if isinstance(names, list) else []
    if not any(found):
        raise UserError(f"{show(file)}: no classes", expected="names: a list, or number: name")
    if not all(found):
        raise UserError(f"{show(file)}: class {found.index('')} has no name")
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise UserError(f"{show(file)}: two classes of one name: {listed(twice)}")
    return found


def _labels_of(image: Path, root: Path) -> Path:
    """images/train/1.jpg -> labels/train/1.txt; beside the image where it is in no folder `images`."""
    parts = list(image.relative_to(root).parts)
    at = [number for number, part in enumerate(parts[:-1]) if part == "images"]
    if at:
        parts[at[-1]] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _objects(path: Path, classes: list[str], problems: Problems) -> list[Object]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"{show(path)}, line {number}"
        try:
            label, numbers = int(float(words[0])), [float(word) for word in words[1:]]
        except (ValueError, OverflowError):  # of infinity
            problems.add(where, f"{line.strip()[:60]!r}: expected class x y width height, all numbers")
            continue
        if not 0 <= label < len(classes):
            problems.add(where, f"unknown class {label}, expected 0 to {len(classes) - 1}")
        elif len(numbers) == 4:
            x, y, width, height = numbers
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            found.append(Object(f"line {number}", classes[label], box))
        elif len(numbers) >= 6 and len(numbers) % 2 == 0:  # a polygon: its box
            xs, ys = numbers[::2], numbers[1::2]
            found.append(Object(f"line {number}", classes[label], (min(xs), min(ys), max(xs), max(ys))))
        else:
            problems.add(where, f"{len(words)} numbers, expected 5: class x y width height")
    return found


def _split_of(image: Path, root: Path, file: Path, tree: Mapping[str, Any]) -> str | None:
    """As data.yaml says, where its folders are there; else by the image's own folders."""
    for key, value in tree.items():
        if key in SPLIT_NAMES and isinstance(value, str):
            parts = [part for part in value.replace("\\", "/").split("/") if part not in ("", ".", "..")]
            base = [file.parent, *([file.parent / str(tree["path"])] if isinstance(tree.get("path"), str) else [])]
            if any(image.is_relative_to(folder.joinpath(*parts)) for folder in base if parts):
                return SPLIT_NAMES[key]
    return split_of_folders(image, root)
