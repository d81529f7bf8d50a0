"""Official data are what their checksums say, wherever they come from, or nothing is there."""

import errno
import fcntl
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from projects.cifar_cnn.params import Params
from shared.core.errors import UserError
from shared.core.paths import ROOT
from shared.data.source import Official, bring, fetch_stage, source_of
from tests.empty_root import checkout, everything_below
from tests.shared.data.archives import tarball, zipped

__all__ = ["checkout"]

FILES = {"toy/a.bin": b"a" * 1000, "toy/deep/b.bin": os.urandom(300_000)}
WHOLE = ["toy", "toy/a.bin", "toy/deep", "toy/deep/b.bin"]
DOWNLOADS = "data/raw/.downloads"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


ARCHIVE = tarball(FILES, "w:gz")


def official(url: str = "http://127.0.0.1:9/toy.tar.gz", checksum: str = md5(ARCHIVE)) -> Official:
    return Official("toy", url, checksum, {name: md5(data) for name, data in FILES.items()})


@pytest.fixture
def folder(checkout: Path) -> Path:
    return checkout / "data/raw/project"


@pytest.fixture
def mirror(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set's folder in a mirror that is given relative to the checkout."""
    monkeypatch.setenv("DATASET_MIRROR", "../mirror")
    path = checkout.parent / "mirror" / "toy"
    path.mkdir(parents=True)
    return path


class Owner(ThreadingHTTPServer):
    """Serves one file; knows Range; can break off and refuse."""

    content = ARCHIVE
    files: dict[str, bytes] = {}  # of paths with a content of their own
    resumes = True
    break_after: int | None = None  # bytes of each answer
    refusals: list[int]  # HTTP codes of the next answers
    asked: list[str | None]  # the Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/toy.tar.gz"


class _Handler(BaseHTTPRequestHandler):
    server: Owner

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        if self.server.refusals:
            return self.send_error(self.server.refusals.pop(0))
        content = self.server.files.get(self.path, self.server.content)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.resumes else 0
        if start >= len(content):
            return self.send_error(416)
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    monkeypatch.setattr("shared.data.download.FIRST_WAIT_S", 0.0)
    with Owner(("127.0.0.1", 0), _Handler) as server:
        server.refusals, server.asked = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def assert_whole(folder: Path) -> None:
    assert everything_below(folder) == WHOLE
    for name, data in FILES.items():
        assert (folder / name).read_bytes() == data


# --- the mirror ---------------------------------------------------------------------------------------------------


def test_official_files_in_the_mirror(mirror: Path, folder: Path) -> None:
    for name, data in FILES.items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(data)
        (mirror / name).chmod(0o444)
    bring(official(), folder)
    assert_whole(folder)


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("other-name.tar.xz", tarball(FILES, "w:xz")),
        ("toy.zip", zipped(FILES)),
        ("toy.tar.gz", tarball({f"./wrapped/{name}": data for name, data in FILES.items()}, "w:gz")),
    ],
)
def test_one_archive_of_any_compression_in_the_mirror(
    mirror: Path, folder: Path, filename: str, content: bytes
) -> None:
    (mirror / filename).write_bytes(content)
    (mirror / "PROVENANCE.md").write_text("where it is from")
    bring(official(checksum="0" * 32), folder)  # the outer archive need not be the owner's
    assert_whole(folder)


def test_a_wrong_file_inside_names_all_wrong_files_and_both_digests(mirror: Path, folder: Path) -> None:
    (mirror / "toy.zip").write_bytes(zipped(dict.fromkeys(FILES, b"changed")))
    with pytest.raises(UserError, match="2 problems") as caught:
        bring(official(), folder)
    for name, data in FILES.items():
        assert name in str(caught.value)
        assert md5(data) in str(caught.value)
    assert md5(b"changed") in str(caught.value)
    assert everything_below(folder) == []


def test_an_archive_without_the_files_is_named(mirror: Path, folder: Path) -> None:
    (mirror / "toy.zip").write_bytes(zipped({"toy/a.bin": b""}))
    with pytest.raises(UserError, match=r"toy\.zip: files are missing in it"):
        bring(official(), folder)
    assert everything_below(folder) == []


@pytest.mark.parametrize("filenames", [[], ["a.zip", "b.tar"]])
def test_a_mirror_without_one_archive_says_what_it_should_hold(
    mirror: Path, folder: Path, filenames: list[str]
) -> None:
    for filename in filenames:
        (mirror / filename).write_bytes(b"")
    with pytest.raises(UserError, match="not a mirror of toy") as caught:
        bring(official(), folder)
    assert "toy/deep/b.bin" in str(caught.value)


# --- the owner ----------------------------------------------------------------------------------------------------


def test_single_files_come_one_by_one_and_each_is_verified(owner: Owner, folder: Path, checkout: Path) -> None:
    owner.files = {f"/data/{name}": data for name, data in FILES.items()}
    single = replace(official(owner.url.replace("toy.tar.gz", "data/")), checksum=None)
    bring(single, folder)
    assert_whole(folder)
    assert len(owner.asked) == 2
    owner.files["/data/toy/a.bin"] = b"other"
    with pytest.raises(UserError, match="wrong checksum"):
        bring(single, checkout / "data/raw/again")
    assert everything_below(checkout / "data/raw/again") + everything_below(checkout / DOWNLOADS) == []


def test_a_file_that_came_whole_is_not_asked_for_again_when_another_fails(
    owner: Owner, folder: Path, checkout: Path
) -> None:
    first, second = FILES
    owner.files = {f"/data/{first}": FILES[first], f"/data/{second}": b"other"}
    single = replace(official(owner.url.replace("toy.tar.gz", "data/")), checksum=None)
    with pytest.raises(UserError, match="wrong checksum"):
        bring(single, folder)
    assert everything_below(checkout / DOWNLOADS) == ["toy-toy-a.bin"]
    owner.files[f"/data/{second}"] = FILES[second]
    bring(single, folder)
    assert_whole(folder)
    assert len(owner.asked) == 3
    assert everything_below(checkout / DOWNLOADS) == []


def test_downloads_may_lie_on_another_disk_than_the_data(
    owner: Owner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def on_one_disk(source: Any, target: Any) -> None:
        if (DOWNLOADS in str(source)) != (DOWNLOADS in str(target)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", on_one_disk)
    monkeypatch.setattr(os, "replace", on_one_disk)
    owner.files = {f"/data/{name}": data for name, data in FILES.items()}
    bring(replace(official(owner.url.replace("toy.tar.gz", "data/")), checksum=None), folder)
    assert_whole(folder)


def test_a_download_that_breaks_off_goes_on_where_it_was(owner: Owner, folder: Path, checkout: Path) -> None:
    owner.break_after = len(ARCHIVE) // 3 + 1
    bring(official(owner.url), folder)
    assert_whole(folder)
    first, second = owner.break_after, 2 * owner.break_after
    assert owner.asked == [None, f"bytes={first}-", f"bytes={second}-"]
    assert everything_below(checkout / DOWNLOADS) == []


@pytest.fixture
def part(checkout: Path) -> Path:
    """What an interrupted download left."""
    path = checkout / DOWNLOADS / "toy-toy.tar.gz.part"
    path.parent.mkdir(parents=True)
    path.write_bytes(ARCHIVE[:1234])
    return path


@pytest.mark.parametrize("resumes", [True, False])
def test_a_second_run_goes_on_from_the_part_that_the_first_left(
    owner: Owner, folder: Path, part: Path, resumes: bool
) -> None:
    owner.resumes = resumes
    bring(official(owner.url), folder)
    assert_whole(folder)
    assert owner.asked == ["bytes=1234-"]


def test_a_part_that_is_whole_already_is_kept(owner: Owner, folder: Path, part: Path) -> None:
    part.write_bytes(ARCHIVE)
    bring(official(owner.url), folder)
    assert_whole(folder)


def test_a_second_process_does_not_write_into_the_same_part(owner: Owner, folder: Path, part: Path) -> None:
    with part.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"toy\.tar\.gz\.part: another process downloads this file"):
            bring(official(owner.url), folder)


def test_an_owner_who_is_busy_is_asked_again_and_one_who_refuses_is_not(
    owner: Owner, folder: Path, checkout: Path
) -> None:
    owner.refusals = [503, 429, 500]
    bring(official(owner.url), folder)
    assert_whole(folder)
    owner.refusals, owner.asked = [404] * 9, []
    with pytest.raises(UserError, match=r"toy\.tar\.gz: cannot be downloaded: .*404"):
        bring(official(owner.url), checkout / "again")
    assert len(owner.asked) == 1


def test_a_wrong_checksum_names_both_and_leaves_nothing_to_go_on_from(
    owner: Owner, folder: Path, checkout: Path
) -> None:
    owner.content = b"not the archive"
    with pytest.raises(UserError, match=md5(b"not the archive")) as caught:
        bring(official(owner.url), folder)
    assert owner.url in str(caught.value)
    assert md5(ARCHIVE) in str(caught.value)
    assert everything_below(folder) + everything_below(checkout / DOWNLOADS) == []


@pytest.mark.parametrize("mirror_value", [None, "../elsewhere"])
def test_no_network_and_no_mirror_says_what_to_get_and_where_to_put_it(
    owner: Owner, folder: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, mirror_value: str | None
) -> None:
    if mirror_value:
        monkeypatch.setenv("DATASET_MIRROR", mirror_value)
    with pytest.raises(UserError, match="cannot be downloaded") as caught:
        bring(official("http://127.0.0.1:9/toy.tar.gz"), folder)
    place = f"{mirror_value or '../datasets'}/toy/toy.tar.gz"
    for words in ("http://127.0.0.1:9/toy.tar.gz", place, "DATASET_MIRROR="):
        assert words in str(caught.value)
    assert everything_below(folder) + everything_below(checkout / DOWNLOADS) == []


def test_a_full_disk_is_not_taken_for_a_lost_connection(
    owner: Owner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.data.download.tqdm.update", full)
    with pytest.raises(UserError, match=r"toy\.tar\.gz\.part: cannot be written: No space left"):
        bring(official(owner.url), folder)
    assert len(owner.asked) == 1


# --- the stage ----------------------------------------------------------------------------------------------------


def fetch(monkeypatch: pytest.MonkeyPatch, bring_it: Callable[[Path, Any], None], *words: str) -> None:
    """The fetch stage of a project called cifar_cnn."""
    monkeypatch.setattr(sys, "argv", ["fetch.py", *words])
    fetch_stage({"sample": bring_it, "official": bring_it}, Params, str(ROOT / "projects/cifar_cnn/fetch.py"))


def test_the_raw_data_appear_whole_with_a_note_of_their_source(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(folder: Path, params: Any) -> None:
        (folder / "seed").write_text(str(params.seed))

    fetch(monkeypatch, write, "fetch.seed=5")
    raw = checkout / "data/raw/cifar_cnn"
    assert everything_below(raw) == ["seed", "source.json"]
    assert ((raw / "seed").read_text(), source_of(raw)) == ("5", "sample")
    (raw / "source.json").unlink()
    assert source_of(raw) == "own"
    (raw / "source.json").write_text("[]")
    with pytest.raises(UserError, match="not what fetch writes"):
        source_of(raw)


def test_official_data_that_cannot_be_had_leave_the_old_as_they_were(
    checkout: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "data/raw/cifar_cnn").mkdir(parents=True)
    (checkout / "data/raw/cifar_cnn/old").touch()
    (mirror / "toy.tar.gz").write_bytes(b"half of it")
    with pytest.raises(SystemExit, match="2"):
        fetch(monkeypatch, lambda folder, params: bring(official(), folder), "fetch.source=official")
    assert "toy.tar.gz: not a complete archive" in capsys.readouterr().err
    assert everything_below(checkout / "data/raw") == ["cifar_cnn", "cifar_cnn/old"]


def test_a_mirror_that_cannot_be_read_is_not_a_disk_that_cannot_be_written(
    mirror: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(source))

    for name, data in FILES.items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(data)
    monkeypatch.setattr("shared.data.source.shutil.copyfile", refuse)
    with pytest.raises(UserError, match=r"mirror/toy/toy/a\.bin: cannot be read: Permission denied"):
        bring(official(), folder)
