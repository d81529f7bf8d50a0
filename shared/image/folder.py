"""Folders of images: `<class>/...` or `{train,valid,test}/<class>/...`; without classes where none are needed."""

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.split import SPLIT_NAMES
from shared.image.files import IMAGE_SUFFIXES

EVIDENCE = "evidence"  # the folder of masks, beside the classes or splits
NO_CLASS = "images"  # the one class of images without classes
_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave, besides hidden files


@dataclass(frozen=True)
class ImageFile:
    """One image as it lies in the folder.

    Args:
        path: the file.
        id: its path below the folder, with `/` and composed characters (NFC), the same on every system.
        class_name: composed (NFC).
        split: train, valid or test; None where the folder has no splits.
    """

    path: Path
    id: str
    class_name: str
    split: str | None


@dataclass(frozen=True)
class ImageFolder:
    """What a folder holds: images in the order of their ids, class names sorted, files that are no images."""

    images: list[ImageFile]
    classes: list[str]
    ignored: list[Path]


def scan_folder(root: Path, problems: Problems, *, labelled: bool = True) -> ImageFolder:
    """Finds the images below `root` without decoding any.

    A class is a folder, with folders inside it or not. Hidden files and what is no image by its suffix are left
    out, and the latter listed. Splits are recognised when a folder `train` holds folders and no images.

    Args:
        problems: gets every problem found: no images, one class, an empty class, a class that is missing in train,
            an image outside of a class, names that differ only in case or Unicode form, an unreadable folder.
        labelled: False accepts one class, and `<image>` or `{train,valid,test}/<image>` as the class NO_CLASS.
    """
    ignored: list[Path] = []
    images: list[ImageFile] = []
    for split, folder in _split_folders(root, problems):
        for name, class_folder in _class_folders(folder, problems, labelled):
            images += _read_class(root, split, name, class_folder, problems, ignored)
    images.sort(key=lambda image: image.id)
    classes = sorted({image.class_name for image in images})
    _check_classes(root, images, classes, problems, labelled)
    _check_names(root, images, problems)
    return ImageFolder(images, classes, ignored)


def find_copies(images: Sequence[ImageFile], problems: Problems) -> list[str]:
    """A key for each image that copies of one file share: the id of the first of them.

    Args:
        problems: gets copies in two splits (the test would ask for what was learned) or under two classes.
    """
    first: dict[tuple[int, bytes], ImageFile] = {}
    keys = []
    for image, content in zip(images, _contents(images), strict=True):
        other = first.setdefault(content, image) if content else image
        if other.split != image.split:
            problems.add(show(image.path), f"the same file as {other.id}, in another split")
        elif other.class_name != image.class_name:
            problems.add(show(image.path), f"the same file as {other.id}, under another class")
        keys.append(other.id)
    return keys


def _contents(images: Sequence[ImageFile]) -> list[tuple[int, bytes] | None]:
    """Size and hash of each file; None where no other has its size, or it cannot be read (which reading it says)."""
    sizes = [_size(image.path) for image in images]
    counts: dict[int, int] = defaultdict(int)
    for size in sizes:
        counts[size] += 1
    return [
        (size, _sha256(image.path)) if size > 0 and counts[size] > 1 else None
        for image, size in zip(images, sizes, strict=True)
    ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sha256(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return os.fsencode(path)


def _split_folders(root: Path, problems: Problems) -> list[tuple[str | None, Path]]:
    """The folders that hold class folders, with their split; `root` itself where there are no splits."""
    folders = {folder.name: folder for folder in _folders(root, problems) if folder.name != EVIDENCE}
    train = next((folder for name, folder in folders.items() if SPLIT_NAMES.get(name.lower()) == "train"), None)
    only_splits = folders and all(name.lower() in SPLIT_NAMES for name in folders)
    if only_splits or (train and not _images(train) and _folders(train, problems)):
        return _named_splits(folders, problems)
    return [(None, root)]  # `train` may be a class, beside `bus` and `car`


def _named_splits(folders: dict[str, Path], problems: Problems) -> list[tuple[str | None, Path]]:
    seen: dict[str, Path] = {}
    for name, folder in folders.items():
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            problems.add(show(folder), "beside train, expected only train, valid, test and evidence")
        elif split in seen:
            problems.add(show(folder), f"{split} is already in {seen[split].name}")
        else:
            seen[split] = folder
    return list(seen.items())


def _class_folders(folder: Path, problems: Problems, labelled: bool) -> list[tuple[str, Path]]:
    """The names and folders of the classes."""
    folders = _folders(folder, problems)
    if not (labelled or folders):
        return [(NO_CLASS, folder)]
    for image in _images(folder):
        problems.add(show(image), "an image outside of a class folder, expected <class>/<image>")
    return [(_composed(path.name), path) for path in folders if path.name != EVIDENCE]


def _read_class(
    root: Path, split: str | None, name: str, folder: Path, problems: Problems, ignored: list[Path]
) -> Iterable[ImageFile]:
    files = sorted(_files_below(folder, problems))
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    ignored += [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    if not images:
        problems.add(show(folder), "a class without images")
    for path in images:
        identity = _composed(path.relative_to(root).as_posix())
        if _not_text(identity):
            problems.add(ascii(identity), "a file name that is not text; rename it")
        else:
            yield ImageFile(path, identity, name, split)


def _files_below(folder: Path, problems: Problems) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder, onerror=lambda error: _unreadable(error, problems)):
        folders[:] = [name for name in folders if not _litter(name)]
        yield from (Path(parent, name) for name in names if not _litter(name))


def _folders(root: Path, problems: Problems) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not _litter(path.name))
    except OSError as error:
        _unreadable(error, problems)
        return []


def _images(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir())
    return sorted(path for path in files if not _litter(path.name))


def _litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _unreadable(error: OSError, problems: Problems) -> None:
    problems.add(error.filename, f"cannot be read: {error.strerror}")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _not_text(name: str) -> bool:
    return any(0xDC80 <= ord(character) <= 0xDCFF for character in name)  # how Python keeps bytes that are not UTF-8


def _check_classes(root: Path, images: list[ImageFile], classes: list[str], problems: Problems, labelled: bool) -> None:
    if not images:
        problems.add(show(root), "no images; expected <class>/<image> or {train,valid,test}/<class>/<image>")
    elif labelled and len(classes) == 1:
        problems.add(show(root), f"one class only ({classes[0]}), expected two or more folders of images")
    trained = {image.class_name for image in images if image.split in ("train", None)}
    if images and not trained:
        problems.add(show(root), "no images to train on; expected train/<class>/<image>")
    for split in ("valid", "test"):
        used = {image.class_name for image in images if image.split == split}
        for name in sorted(used - trained) if trained else ():
            problems.add(f"class {name}", f"in {split}, but missing in train")


def _check_names(root: Path, images: list[ImageFile], problems: Problems) -> None:
    """Names that are one name on other systems; each differing folder or file is named once."""
    spellings: dict[str, set[Path]] = defaultdict(set)
    for image in images:
        path = image.path.relative_to(root)
        for part in [path, *path.parents[:-1]]:
            spellings[_composed(part.as_posix()).casefold()].add(part)
    for _, same in sorted(spellings.items()):
        names = sorted({part.name for part in same})
        for one, other in pairwise(names):
            problems.add(show(root / min(same).parent), f"{one!a} and {other!a} differ only in case or Unicode form")
