"""A folder in which a copy is built, known by its name, and a lock: what a killed starter left is found and removed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.core.errors import UserError

MARKER = "made-by-make-new"


@contextmanager
def lock(path: Path) -> Iterator[int]:
    """Holds a lock file and yields its descriptor. The lock ends with the process, however it ends.

    Raises:
        UserError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        what = f"another make new is at work in {path.parent}, or its dvc add"
        raise UserError(what, fix="wait for its end, then run again") from None
    finally:
        os.close(descriptor)


def create(folder: Path) -> None:
    """A new staging folder, with its mark."""
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def remove(folder: Path) -> None:
    """Removes a staging folder; the mark last, so that what a kill leaves of it still counts as one."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MARKER):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


def sweep(folder: Path) -> None:
    """Removes what a killed starter left at the place of a staging folder.

    Raises:
        UserError: there is a folder of this name that is not ours.
    """
    if not os.path.lexists(folder):
        return
    ours = folder.is_dir() and ((folder / MARKER).exists() or not any(folder.iterdir()))
    if not ours:
        raise UserError(f"{folder}: in the way, and not made by make new", fix="move it elsewhere and run again")
    remove(folder)
