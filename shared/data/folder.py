"""Samples that are files: `<class>/...` or `{train,valid,test}/<class>/...`."""

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.core.errors import Problems
from shared.core.paths import show
from shared.core.walk import files_below, visible
from shared.data.split import SPLIT_NAMES


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
    """The content of a folder.

    Args:
        files: the samples in the order of their ids.
        strays: samples outside of any class.
        ignored: other files.
        root: where the splits or classes and what lies beside them were found: the folder or, of an archive in a
            folder of its own, one below.
        folders: split -> the folder of its classes.
        notes: what was taken for what, where the names alone do not say it.
    """

    files: list[SampleFile]
    strays: list[Path]
    ignored: list[Path]
    root: Path
    folders: dict[str | None, Path]
    notes: list[str]


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

    A class is a folder, with folders inside it or not. Hidden files are left out, links are followed. Splits are
    recognised when all folders have names of splits, or a folder `train` holds folders, or names differ in nothing but
    the split (`seg_train`, `seg_test`). A folder that holds nothing but one folder of folders is that folder.

    Args:
        is_sample: whether a file is one, by its name.
        problems: gets an empty class, a folder that is no split, splits inside of classes, names that differ only in
            case or Unicode form, a name that is not text, an unreadable folder.
        what: the samples in messages: "images".
        beside: a folder at the root that is neither a class nor a split.
        default_class: of samples in a folder without classes; "" accepts none.
    """
    walk = _Walk(is_sample, problems, beside, what)
    top = walk.unwrapped(root) if not default_class else root
    notes = [] if top == root else [f"read from {show(top)}, the only folder there."]
    strays: list[Path] = []
    ignored: list[Path] = []
    found: list[SampleFile] = []
    folders_of = walk.splits(top, notes)
    for split, folder in folders_of.items():
        folders, inside = walk.entries(folder)
        classes = [(_composed(path.name), path) for path in folders]
        if default_class and not folders:
            classes = [(default_class, folder)]
        else:
            strays += inside
        if not default_class and walk.hold_splits(folders):
            problems.add(show(folder), "splits inside of classes, expected {train,valid,test}/<class>/...")
        for name, class_folder in classes:
            files = sorted(files_below(class_folder, walk.unreadable))
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
    return Scan(found, strays, ignored, top, folders_of, notes)


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


@dataclass(frozen=True)
class _Walk:
    """What folders are, by their names and content; see `scan_classes` for the fields."""

    is_sample: Callable[[Path], bool]
    problems: Problems
    beside: str
    what: str

    def unreadable(self, error: OSError) -> None:
        self.problems.add(error.filename, f"cannot be read: {error.strerror}")

    def entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders in a folder, and the samples."""
        try:
            paths = visible(folder)
        except OSError as error:
            self.unreadable(error)
            return [], []
        folders = [path for path in paths if path.is_dir()]
        samples = [path for path in paths if self.is_sample(path) and path not in folders]
        return [path for path in folders if path.name != self.beside], samples

    def unwrapped(self, folder: Path) -> Path:
        """The folder inside, where a folder holds nothing but one folder of folders, as unpacked archives do."""
        folders, samples = self.entries(folder)
        if len(folders) != 1 or samples or folders[0].name.lower() in SPLIT_NAMES:
            return folder
        within, inside = self.entries(folders[0])
        return self.unwrapped(folders[0]) if within and not inside else folder

    def twin(self, folder: Path) -> Path:
        """`seg_train/seg_train`, where an archive was unpacked into a folder of its name."""
        folders, samples = self.entries(folder)
        same = not samples and len(folders) == 1 and folders[0].name == folder.name
        return self.twin(folders[0]) if same else folder

    def hold_splits(self, classes: Sequence[Path]) -> bool:
        """Whether every class folder holds nothing but folders with names of splits, as in `<class>/{train,test}/`."""
        for within, samples in map(self.entries, classes):
            names = {SPLIT_NAMES.get(path.name.lower()) for path in within}
            if samples or None in names or not {"train", "test"} <= names:
                return False
        return bool(classes)

    def splits(self, root: Path, notes: list[str]) -> dict[str | None, Path]:
        """Split -> the folder that holds its class folders; `root` itself for None where there are no splits."""
        folders = self.entries(root)[0]
        roles = self._roles(folders)
        if not roles:
            return {None: root}  # `train` may be a class, beside `bus` and `car`
        found: dict[str | None, Path] = {}
        for folder in folders:
            split = roles.get(folder)
            if split in found:
                self.problems.add(show(folder), f"{split} is already in {found[split].name}")
            elif split:
                found[split] = self.twin(folder)
            elif any(map(self.is_sample, files_below(folder))):
                expected = f"expected only train, valid, test{self.beside and f' and {self.beside}'}"
                fix = f"move it elsewhere; {self.what} without labels are for predict"
                self.problems.add(show(folder), f"beside train, {expected}; {fix}")
            else:
                notes.append(f"left out: {folder.name}, without {self.what}.")
        if any(path.name.lower() not in SPLIT_NAMES or path.parent != root for path in found.values()):
            notes.append(f"{', '.join(f'{split} is {path.relative_to(root)}' for split, path in found.items())}.")
        return found

    def _roles(self, folders: Sequence[Path]) -> dict[Path, str]:
        """The split of each folder that is one; empty where the folders are classes."""
        named = {folder: split for folder in folders if (split := SPLIT_NAMES.get(folder.name.lower()))}
        train = next((folder for folder, split in named.items() if split == "train"), None)
        within, inside = self.entries(train) if train else ([], [])
        if named and (len(named) == len(folders) or (within and not inside)):
            return named
        like = {folder: role for folder in folders if (role := _role(folder))}
        for rest in {rest for _, rest in like.values()}:
            same = {folder: split for folder, (split, other) in like.items() if other == rest}
            if "train" in same.values() and len(set(same.values())) > 1:
                return same
        return {}


def _role(folder: Path) -> tuple[str, str] | None:
    """The split that a folder's name says, and the rest of the name: `seg_train` -> train, seg; None for others.

    >>> _role(Path("seg_train")), _role(Path("test1")), _role(Path("contest"))
    (('train', 'seg'), ('test', ''), None)
    """
    words = re.split("[^a-z]+", folder.name.lower())
    said = [word for word in words if word in SPLIT_NAMES]
    return (SPLIT_NAMES[said[0]], " ".join(word for word in words if word and word != said[0])) if said else None


def counted(paths: Sequence[Path], most: int = 3) -> str:
    """How many files, by suffix, and the first of them.

    >>> counted([Path("a/1.txt"), Path("a/2.txt"), Path("README")])
    '3 files (2 .txt, 1 without a suffix; first: a/1.txt)'
    """
    kinds = Counter(path.suffix.lower() or "without a suffix" for path in paths).most_common()
    listed = ", ".join(f"{number:,} {kind}" for kind, number in kinds[:most])
    more = ", ..." if len(kinds) > most else ""
    return f"{len(paths):,} file{'s' * (len(paths) > 1)} ({listed}{more}; first: {show(paths[0])})"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check_names(root: Path, files: Sequence[SampleFile], problems: Problems) -> None:
    """Names that would be equal on other systems; each such folder or file is reported once. Two classes are left to
    `check_classes`."""
    classes = {file.class_name for file in files}
    spellings: dict[str, set[Path]] = defaultdict(set)
    for file in files:
        path = file.path.relative_to(root)
        for part in [path, *path.parents[:-1]]:
            spellings[_composed(part.as_posix()).casefold()].add(part)
    for _, same in sorted(spellings.items()):
        names = sorted({part.name for part in same})
        for one, other in pairwise(names):
            if len({_composed(one), _composed(other)} & classes) == 2:
                continue
            problems.add(show(root / min(same).parent), f"{one!a} and {other!a} differ only in case or Unicode form")
