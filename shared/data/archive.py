"""Archives of data, extracted without leaving the target folder: tar, tar.gz, tar.bz2, tar.xz, zip."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from shared.core.errors import UserError
from shared.core.paths import show

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")

_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError,
    RuntimeError,  # what zipfile raises for a member with a password
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive that `extract` reads."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def extract(archive: Path, folder: Path) -> None:
    """Extracts every file of an archive below `folder`.

    Stops at the first unsafe member; what was extracted before it stays, so pass a temporary folder.

    Raises:
        UserError: the archive is damaged, or a member would be written outside of `folder`, is a link or a device.
    """
    try:
        if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):  # the last file of a tar may be a zip
            _extract_zip(archive, folder)
        else:
            _extract_tar(archive, folder)
    except _DAMAGED as error:
        raise UserError(f"{show(archive)}: not a complete archive: {error}", fix="download it again") from None


def _extract_tar(archive: Path, folder: Path) -> None:
    # As a stream ("r|"): a member is checked right before it is written, and nothing is decompressed twice.
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            # Not tarfile's data filter: Pythons before 3.11.4 have none (Debian 12's), it lets links inside pass, and
            # was outwitted by chains of them (CVE-2025-4517). No data set needs one, nor owners and modes.
            if not (member.isfile() or member.isdir()):
                raise _refused(archive, member.name, "a link or a device")
            _check_name(archive, member.name)
            _write_member(tar, member, folder / member.name)


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
    if content := tar.extractfile(member):
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            _check_name(archive, member.filename)
            file.extract(member, folder)


def _check_name(archive: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or PureWindowsPath(name).drive or ".." in parts.parts:
        raise _refused(archive, name, "a name that leads outside")


def _refused(archive: Path, name: str, why: str) -> UserError:
    return UserError(
        f"{show(archive)}: member {name!r} is {why}",
        expected="files and folders with relative names only",
        fix="do not trust this archive; get it from the owner of the data",
    )
