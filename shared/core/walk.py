"""One walk over the files of users, for prepare, predict, the data check and the starter."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_LITTER = {  # left by operating systems and network drives, besides hidden files
    "thumbs.db", "desktop.ini", "__macosx", "lost+found", "$recycle.bin", "system volume information",
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot",
}  # fmt: skip


def files_below(folder: Path, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every file below a folder, without hidden files and litter. Links are followed, each folder is entered once, and
    never one that holds the folder itself.

    Args:
        unreadable: is called for each folder that cannot be listed.
    """
    seen = {_inode(parent) for parent in folder.resolve().parents}
    for parent, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        if (inode := _inode(Path(parent))) in seen:
            folders.clear()
            continue
        seen.add(inode)
        folders[:] = sorted(name for name in folders if not _litter(name))
        yield from (Path(parent, name) for name in sorted(names) if not _litter(name))


def _inode(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def visible(folder: Path) -> list[Path]:
    """The entries of a folder in order, without hidden files, litter and links to a folder that holds this one. Raises
    OSError where it cannot be listed."""
    return sorted(path for path in folder.iterdir() if not _litter(path.name) and not _leads_back(path, folder))


def _leads_back(path: Path, folder: Path) -> bool:
    return path.is_symlink() and folder.resolve().is_relative_to(os.path.realpath(path))


def _litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER
