"""Samples that are files: `<class>/...` or `{train,valid,test}/<class>/...`."""

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.split import SPLIT_NAMES

_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left by operating systems, besides hidden files


@dataclass(frozen=True)
class SampleFile:
    """One file that is a sample.

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
class Scan:
    """The content of a folder: samples in the order of their ids, samples outside of any class, other files."""

    files: list[SampleFile]
    strays: list[Path]
    ignored: list[Path]


def scan_classes(
    root: Path,
    is_sample: Callable[[Path], bool],
    problems: Problems,
    *,
    what: str,
    beside: str = "",
    default_class: str = "",
) -> Scan:
    """Finds the samples below `root` without reading any.

    A class is a folder, with folders inside it or not. Hidden files are left out. Splits are recognised when all
    folders have names of splits, or a folder `train` holds folders and no samples.

    Args:
        is_sample: whether a file is one, by its name.
        problems: gets an empty class, a folder that is no split, names that differ only in case or Unicode form, a
            name that is not text, an unreadable folder.
        what: the samples in messages: "images".
        beside: a folder at the root that is neither a class nor a split.
        default_class: of samples in a folder without classes; "" accepts none.
    """
    strays: list[Path] = []
    ignored: list[Path] = []
    found: list[SampleFile] = []
    for split, folder in _splits(root, is_sample, problems, beside):
        folders, inside = _entries(folder, is_sample, problems, beside)
        classes = [(_composed(path.name), path) for path in folders]
        if default_class and not folders:
            classes = [(default_class, folder)]
        else:
            strays += inside
        for name, class_folder in classes:
            files = sorted(_files_below(class_folder, problems))
            samples = [path for path in files if is_sample(path)]
            ignored += [path for path in files if not is_sample(path)]
            if not samples:
                problems.add(show(class_folder), f"a class without {what}")
            for path in samples:
                identity = _composed(path.relative_to(root).as_posix())
                if any(0xDC80 <= ord(char) <= 0xDCFF for char in identity):  # how Python keeps bytes that are no UTF-8
                    problems.add(ascii(identity), "a file name that is not text; rename it")
                else:
                    found.append(SampleFile(path, identity, name, split))
    found.sort(key=lambda file: file.id)
    _check_names(root, found, problems)
    return Scan(found, strays, ignored)


def visible(folder: Path) -> list[Path]:
    """The entries of a folder in order, without hidden files and litter. Raises OSError where it cannot be listed."""
    return sorted(path for path in folder.iterdir() if not _litter(path.name))


def find_copies(files: Sequence[SampleFile], problems: Problems) -> list[str]:
    """A key for each file that its copies share: the id of the first of them.

    Args:
        problems: gets copies in two splits (test samples would have been trained on) or under two classes.
    """
    first: dict[tuple[int, bytes], SampleFile] = {}
    keys = []
    for file, content in zip(files, _contents(files), strict=True):
        other = first.setdefault(content, file) if content else file
        if other.split != file.split:
            problems.add(show(file.path), f"the same file as {other.id}, in another split")
        elif other.class_name != file.class_name:
            problems.add(show(file.path), f"the same file as {other.id}, under another class")
        keys.append(other.id)
    return keys


def _contents(files: Sequence[SampleFile]) -> Iterator[tuple[int, bytes] | None]:
    """Size and hash of each file; None if no other has its size, or it cannot be read (reported later)."""
    sizes = [_size(file.path) for file in files]
    counts = Counter(sizes)
    for file, size in zip(files, sizes, strict=True):
        yield (size, _sha256(file.path)) if size > 0 and counts[size] > 1 else None


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


def _splits(
    root: Path, is_sample: Callable[[Path], bool], problems: Problems, beside: str
) -> list[tuple[str | None, Path]]:
    """The folders that hold class folders, with their split; `root` itself where there are no splits."""
    split_of = {path: SPLIT_NAMES.get(path.name.lower()) for path in _entries(root, is_sample, problems, beside)[0]}
    if not split_of or not all(split_of.values()):
        train = next((folder for folder, split in split_of.items() if split == "train"), None)
        folders, samples = _entries(train, is_sample, problems) if train else ([], [])
        if samples or not folders:
            return [(None, root)]  # `train` may be a class, beside `bus` and `car`
    seen: dict[str | None, Path] = {}
    for folder, split in split_of.items():
        if split is None:
            problems.add(show(folder), f"beside train, expected only train, valid, test{beside and f' and {beside}'}")
        elif split in seen:
            problems.add(show(folder), f"{split} is already in {seen[split].name}")
        else:
            seen[split] = folder
    return list(seen.items())


def _entries(
    folder: Path, is_sample: Callable[[Path], bool], problems: Problems, beside: str = ""
) -> tuple[list[Path], list[Path]]:
    """The folders in a folder, and the samples."""
    try:
        paths = visible(folder)
    except OSError as error:
        problems.add(error.filename, f"cannot be read: {error.strerror}")
        return [], []
    folders = [path for path in paths if path.is_dir()]
    samples = [path for path in paths if is_sample(path) and path not in folders]
    return [path for path in folders if path.name != beside], samples


def _files_below(folder: Path, problems: Problems) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        problems.add(error.filename, f"cannot be read: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not _litter(name)]
        yield from (Path(parent, name) for name in names if not _litter(name))


def _litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check_names(root: Path, files: Sequence[SampleFile], problems: Problems) -> None:
    """Names that would be equal on other systems; each such folder or file is reported once."""
    spellings: dict[str, set[Path]] = defaultdict(set)
    for file in files:
        path = file.path.relative_to(root)
        for part in [path, *path.parents[:-1]]:
            spellings[_composed(part.as_posix()).casefold()].add(part)
    for _, same in sorted(spellings.items()):
        names = sorted({part.name for part in same})
        for one, other in pairwise(names):
            problems.add(show(root / min(same).parent), f"{one!a} and {other!a} differ only in case or Unicode form")
