"""The user's data: looked through, measured and copied; never moved, linked or changed."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

CHUNK = 1 << 20  # bytes between two moves of the progress bar


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder with its relative path. Links are followed; hidden files and folders are left out.

    A folder that is reached again through a link is entered once. A file is the only one of itself.
    """
    if root.is_file():
        yield root, root.name
        return
    seen = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(parent, name)
                yield path, path.relative_to(root).as_posix()


def problems_of(root: Path) -> Iterator[str]:
    """What cannot be copied, a line each."""
    found = False
    for folder in _unreadable(root) if root.is_dir() else ():
        yield f"{folder}: a folder that cannot be read"
    for path, _ in files(root):
        found = True
        if not path.exists():
            yield f"{path}: a link to nothing"
        elif not path.is_file():
            yield f"{path}: neither a file nor a folder"
        elif not os.access(path, os.R_OK):
            yield f"{path}: cannot be read: no permission"
    if not found:
        yield f"{root}: no files in it, expected your data"


def _unreadable(root: Path) -> list[str]:
    errors: list[str] = []
    for _ in os.walk(root, followlinks=False, onerror=lambda error: errors.append(str(error.filename))):
        pass
    return errors


def size_of(root: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path, _ in files(root))


def copy(root: Path, target: Path) -> None:
    """Copies all files, with a progress bar on a terminal. The copies are new files of the user's own."""
    bar = tqdm(total=size_of(root), unit="B", unit_scale=True, desc="copying the data", disable=None, leave=False)
    with bar:
        for path, name in files(root):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, (target / name).open("xb") as written:
                while chunk := source.read(CHUNK):
                    written.write(chunk)
                    bar.update(len(chunk))
    target.mkdir(parents=True, exist_ok=True)


def counts(root: Path) -> dict[str, int]:
    """Files by the folder they are in: one level deep, or two where there are folders train, valid, test."""
    deep = root.is_dir() and any(
        path.name.lower() in ("train", "training") and path.is_dir() for path in root.iterdir()
    )
    found: Counter[str] = Counter()
    for _, name in files(root):
        found["/".join(name.split("/")[: 2 if deep else 1][: name.count("/")]) or "."] += 1
    return dict(sorted(found.items()))
