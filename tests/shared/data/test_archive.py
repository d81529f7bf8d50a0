"""What is extracted stays inside its folder, and damaged archives are named."""

import tarfile
from pathlib import Path

import pytest

from shared.core.errors import UserError
from shared.data.archive import extract
from tests.shared.data.archives import linked, tarball, zipped

FILES = {"toy/a.bin": b"a" * 1000, "toy/deep/b.bin": bytes(range(256)) * 400}


@pytest.mark.parametrize(
    "content",
    [zipped(FILES), *(tarball(FILES, f"w:{kind}") for kind in ("", "gz", "bz2", "xz"))],
    ids=["zip", "tar", "gz", "bz2", "xz"],
)
def test_every_kind_is_known_by_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "toy").write_bytes(content)
    extract(tmp_path / "toy", tmp_path / "out")
    for name, data in FILES.items():
        assert (tmp_path / "out" / name).read_bytes() == data


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    (tmp_path / "toy").write_bytes(tarball({"inner.zip": zipped({"a.bin": b"a"})}, "w:"))
    extract(tmp_path / "toy", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["inner.zip"]


@pytest.mark.parametrize(
    ("content", "member"),
    [
        (tarball({**FILES, "../evil": b""}), "../evil"),
        (tarball({**FILES, "toy/../../evil": b""}), "toy/../../evil"),
        (tarball({**FILES, "/evil": b""}), "/evil"),
        (linked("evil", tarfile.SYMTYPE, "/etc/passwd"), "evil"),
        (linked("evil", tarfile.LNKTYPE, "../../evil"), "evil"),
        (linked("evil", tarfile.FIFOTYPE, ""), "evil"),
        (zipped({**FILES, "../evil": b""}), "../evil"),
        (zipped({**FILES, "/evil": b""}), "/evil"),
        (zipped({**FILES, "C:/evil": b""}), "C:/evil"),
        (zipped({**FILES, "..\\evil": b""}), "..\\evil"),
    ],
)
def test_a_member_that_leads_outside_is_refused(tmp_path: Path, content: bytes, member: str) -> None:
    (tmp_path / "toy").write_bytes(content)
    with pytest.raises(UserError, match="toy: member") as caught:
        extract(tmp_path / "toy", tmp_path / "deep" / "out")
    assert repr(member) in str(caught.value)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all" * 99, tarball(FILES)[:-200], tarball(FILES)[:20], zipped(FILES)[:-3],
     tarball(FILES, "w:xz")[:-99]],
    ids=["empty", "text", "short tar", "head alone", "short zip", "short xz"],
)  # fmt: skip
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "toy.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"toy\.tar\.gz: not a complete archive"):
        extract(tmp_path / "toy.tar.gz", tmp_path / "out")
