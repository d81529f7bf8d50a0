"""IMDB: only the official reviews, from an archive that is never unpacked."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from projects.imdb_sentiment import official
from projects.imdb_sentiment.params import Fetch
from shared.core.errors import UserError
from tests.data_mirror import mirror
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]


def make_mirror(folder: Path, names: list[str]) -> None:
    """An archive with a review of each name, below $DATASET_MIRROR."""
    folder.mkdir(parents=True)
    with tarfile.open(folder / "some.tar.gz", "w:gz") as archive:
        for name in names:
            data = f"A review<br /><br />of {name}".encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


PARAMS = Fetch(source="official", seed=0, num_train=20, num_test=20)
NAMES = [f"aclImdb/{split}/{name}/{number}_7.txt" for split in ("train", "test") for name in ("neg", "pos")
         for number in range(2)]  # fmt: skip


@pytest.fixture
def small(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(official, "NUM_EACH", 2)
    monkeypatch.setenv("DATASET_MIRROR", str(checkout / "mirror"))
    return checkout / "mirror/imdb"


def test_reviews_become_lines_and_breaks_line_ends(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mirror(small, [*NAMES, "aclImdb/train/unsup/0_0.txt", "aclImdb/README"])
    reviews = sorted(official._read(small / "some.tar.gz"))
    monkeypatch.setattr(official, "CONTENT", official.checksum(reviews))
    official.write_official(tmp_path, PARAMS)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "id": "train/neg/0_7",
        "text": "A review\n\nof aclImdb/train/neg/0_7.txt",
        "label": "negative",
    }
    assert [row["label"] for row in rows] == ["negative"] * 2 + ["positive"] * 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES[1:], "labelled reviews found: 2 test/neg, 2 test/pos, 1 train/neg, 2 train/pos"),
        (NAMES, "the reviews are not the official ones"),
        ([], "labelled reviews found: none"),
    ],
)
def test_other_reviews_are_refused(small: Path, tmp_path: Path, names: list[str], message: str) -> None:
    make_mirror(small, names)
    with pytest.raises(UserError, match=message):
        official.write_official(tmp_path, PARAMS)
    assert everything_below(tmp_path / "checkout") == everything_below(small.parents[1])


def test_what_is_no_archive_is_named(small: Path, tmp_path: Path) -> None:
    small.mkdir(parents=True)
    with pytest.raises(UserError, match="no archive"):
        official.write_official(tmp_path, PARAMS)
    (small / "a.tar.gz").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"a\.tar\.gz: cannot be read"):
        official.write_official(tmp_path, PARAMS)


def test_a_download_does_not_stay_beside_its_reviews(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mirror(small, NAMES)
    archive = small / "some.tar.gz"
    monkeypatch.setattr(official, "CONTENT", official.checksum(sorted(official._read(archive))))
    official.write_official(tmp_path, PARAMS)
    assert archive.exists()  # a mirror's stays
    monkeypatch.delenv("DATASET_MIRROR")
    monkeypatch.setattr(official, "downloaded", lambda *_: archive)
    official.write_official(tmp_path, PARAMS)
    assert not archive.exists()


def test_the_real_reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("imdb")))
    official.write_official(tmp_path, PARAMS)
    lines = (
        (tmp_path / "test.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    )  # reviews hold other line ends
    labels = [json.loads(line)["label"] for line in lines]
    assert (labels.count("negative"), labels.count("positive"), len(labels)) == (12_500, 12_500, 25_000)
