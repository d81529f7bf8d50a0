"""Folders appear whole or not at all."""

import errno
import gzip
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.core.files import replace_folder, write_json, write_tsv
from tests.empty_root import everything_below


def test_the_new_folder_takes_the_place_of_the_old_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "data"
    for content in ("old", "new"):
        with replace_folder(target) as folder:
            assert everything_below(folder) == []
            (folder / f"{content}.txt").write_text(content)
    assert everything_below(tmp_path) == ["deep", "deep/data", "deep/data/new.txt"]


def test_a_link_stays_and_the_folder_that_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk/data/old").mkdir(parents=True)
    (tmp_path / "data").symlink_to("disk/data")
    with replace_folder(tmp_path / "data") as folder:
        (folder / "new.txt").write_text("new")
    assert (tmp_path / "data").is_symlink()
    assert everything_below(tmp_path / "disk") == ["data", "data/new.txt"]
    assert sorted(os.listdir(tmp_path)) == ["data", "disk"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), UserError("bad data")])
def test_on_failure_the_old_one_stays_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    with replace_folder(tmp_path / "data") as folder:
        (folder / "old.txt").write_text("old")

    def write_half() -> None:
        with replace_folder(tmp_path / "data") as folder:
            (folder / "new.txt").write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert everything_below(tmp_path) == ["data", "data/old.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_refuses_names_the_target(tmp_path: Path, number: int) -> None:
    with pytest.raises(UserError, match=r"data: cannot be written: ") as caught, replace_folder(tmp_path / "data"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
    assert everything_below(tmp_path) == []


def test_a_disk_that_is_full_in_the_middle_of_an_array(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match="data: cannot be written"), replace_folder(tmp_path / "data") as folder:
            np.save(folder / "array.npy", np.zeros(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything_below(tmp_path) == []


def test_a_missing_file_inside_is_a_bug_and_not_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_folder(tmp_path / "data"):
        (tmp_path / "nowhere").read_text()


@pytest.mark.parametrize("decode", [lambda file: Image.open(file), lambda file: gzip.GzipFile(fileobj=file).read()])
def test_an_input_that_cannot_be_decoded_is_not_a_disk_that_cannot_be_written(tmp_path: Path, decode) -> None:
    with pytest.raises(OSError, match=r"identify|gzipped"), replace_folder(tmp_path / "data"):
        decode(io.BytesIO(b"nonsense"))


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "ß"})
    write_json(tmp_path / "b.json", {"a": "ß", "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    for name, separator in (("a.tsv", "\t"), ("a.csv", ",")):
        write_tsv(tmp_path / name, ("id", "share"), [("x", 1 / 3), ('"', 2)])
        assert (tmp_path / name).read_text() == f'id{separator}share\nx{separator}0.333333\n""""{separator}2\n'


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal; from shared.core.files import replace_folder\n"
        f"with replace_folder(pathlib.Path({str(tmp_path / 'data')!r})) as folder:\n"
        "    (folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(everything_below(tmp_path)) == 2
    with replace_folder(tmp_path / "data"):
        pass
    assert everything_below(tmp_path) == ["data"]
