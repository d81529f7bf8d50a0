"""Files and folders that are written atomically, and their checksums."""

import csv
import errno
import glob
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.core.errors import UserError
from shared.core.paths import show

# What a user can fix
DISK_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG,
    errno.ENOTDIR,
}  # fmt: skip


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns a disk error (full, read-only, no permission) into a UserError that names `target`, or the file that could
    not be read."""
    try:
        yield
    except OSError as error:
        short_write = error.errno is None and "written" in str(error)  # numpy reports it without a number
        if error.errno not in DISK_ERRORS and not short_write:
            raise
        reason = error.strerror or str(error)
        culprit = Path(os.fsdecode(error.filename)) if error.filename else target
        if not culprit.absolute().is_relative_to(target.parent.absolute()):
            raise UserError(f"{show(culprit)}: cannot be read: {reason}", fix="check its permissions") from error
        raise UserError(
            f"{show(target)}: cannot be written: {reason}", fix="free space or permissions, run again"
        ) from error


@contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """A new, empty folder to work in, which replaces `target` when the block ends.

    It lies beside `target`, so that the last step is a rename on one disk. If the block raises, `target` is as it
    was and the new folder is gone; leftovers of a killed process are removed by the next one. A link stays: the folder
    that it leads to is replaced, on its own disk.

    Raises:
        UserError: the disk refused (full, read-only, no permission).
    """
    target = target.resolve() if target.is_symlink() else target
    new, old = (target.with_name(f".{target.name}.{word}.{os.getpid()}.tmp") for word in ("new", "old"))
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        try:
            new.mkdir()
            yield new
            _swap(new, target, old)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    if target.exists():  # a folder with content cannot be renamed over
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def _sweep(target: Path) -> None:
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.*.tmp"):
        if not _alive(int(left.suffixes[-2][1:])):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, and someone else's
        return True
    return True


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Writes a file atomically: temporary file, fsync, rename. A full disk is a UserError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, tree: Any) -> None:
    """JSON with sorted keys and a final newline, so that the same content is the same bytes."""
    write_atomic(path, (json.dumps(tree, indent=2, sort_keys=True) + "\n").encode())


def write_tsv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a TSV, or a CSV if the path says so, which `dvc plots` draws. Numbers keep six decimals."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in rows)
    write_atomic(path, text.getvalue().encode(errors="surrogateescape"))


def checksum_of(path: Path, like: str) -> str:
    """The checksum of a file, in hexadecimal, by the algorithm that `like` was made with: md5 or sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, {32: "md5", 64: "sha256"}[len(like)]).hexdigest()
