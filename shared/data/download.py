"""Download of one large file: progress bar, resumption, retries, checksum."""

import fcntl
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from tqdm import tqdm

from shared.core.errors import UserError
from shared.core.files import checksum_of, writing
from shared.core.paths import show

TRIES = 4  # in a row without progress; any progress restarts the count
FIRST_WAIT_S = 1.0  # doubles with every try
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18

_TRY_AGAIN = {408, 429, 500, 502, 503, 504}  # HTTP: the same request may succeed later
_COMPLETE = 416  # HTTP: there is nothing after the bytes that we have

T = TypeVar("T")


class _Broken(Exception):
    """The connection failed in a way that a retry may fix."""


def download(url: str, path: Path, checksum: str, *, fix: str = "") -> None:
    """Downloads `url` to `path`, which appears once it is complete and its checksum is right.

    An interrupted download stays in `<path>.part`, and the next one resumes from there. Nothing is done where `path` is
    there already and right.

    Args:
        url: http or https.
        path: the file wanted.
        checksum: md5 or sha256 of the file, in hexadecimal.
        fix: what the user can do without a network, for the error.

    Raises:
        UserError: no network, the owner refused, the disk is full or the checksum is wrong.
    """
    if path.is_file() and checksum_of(path, like=checksum) == checksum:
        return
    part = path.with_name(f"{path.name}.part")
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            _fill(file, url, fix)
            _check(part, url, checksum)
            part.replace(path)


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    # Two experiments side by side would append to the same file.
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{show(part)}: another process downloads this file", fix="wait until it ends, then run again"
            ) from None
        try:
            yield file
        finally:
            file.flush()
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def _fill(file: IO[bytes], url: str, fix: str) -> None:
    failures = 0
    while True:
        before = file.tell()
        try:
            return _continue(file, url)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _TRY_AGAIN:
                raise UserError(f"{url}: cannot be downloaded: {error}", fix=fix) from None
            reason = str(error)
        except (_Broken, urllib.error.URLError) as error:
            reason = str(getattr(error, "reason", error))
        failures = 1 if file.tell() > before else failures + 1
        if failures == TRIES:
            raise UserError(f"{url}: cannot be downloaded: {reason}", fix=fix)
        time.sleep(FIRST_WAIT_S * 2 ** (failures - 1))


def _continue(file: IO[bytes], url: str) -> None:
    """Requests the bytes after those already on the disk, and appends them."""
    have = file.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = _network(lambda: urllib.request.urlopen(request, timeout=TIMEOUT_S))
    except urllib.error.HTTPError as error:
        if error.code != _COMPLETE:
            raise
        error.close()  # all is there; if it is not, the checksum says so
        return
    with response:
        if have and response.status != http.HTTPStatus.PARTIAL_CONTENT:  # the owner does not resume
            file.truncate(0)
        _append(file, response, url)


def _append(file: IO[bytes], response: http.client.HTTPResponse, url: str) -> None:
    have, length = file.seek(0, 2), response.headers["Content-Length"]
    total = have + int(length) if length else None
    name = url.rsplit("/", 1)[-1]
    with tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True, disable=None) as bar:
        while chunk := _network(lambda: response.read(CHUNK_BYTES)):
            file.write(chunk)
            bar.update(len(chunk))
    file.flush()
    if total is not None and file.tell() < total:  # http.client takes a lost connection for the end
        raise _Broken(f"the connection ended after {file.tell():,} of {total:,} bytes")


def _network(call: Callable[[], T]) -> T:
    """Only around what talks to the network, so that a full disk is not taken for a lost connection."""
    try:
        return call()
    except urllib.error.URLError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from None


def _check(part: Path, url: str, checksum: str) -> None:
    found = checksum_of(part, like=checksum)
    if found != checksum:
        part.unlink()  # resuming from wrong bytes would fail every time
        raise UserError(f"{url}: wrong checksum: found {found}", expected=checksum, fix="run again to download anew")
