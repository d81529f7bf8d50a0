"""Public recordings from a mirror: verified or counted, and nothing half-written."""

import csv
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from projects.speech_commands import digits, official
from projects.speech_commands.params import Fetch
from shared.audio import fsdd
from shared.core.errors import UserError
from shared.core.files import checksum_of
from tests.shared.audio.tones import write_tone

PARAMS = Fetch(source="fsdd", seed=0, num_train=20, num_test=20, test_speakers=[])


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror/fsdd").mkdir(parents=True)
    (tmp_path / "mirror/speech_commands_v0.02").mkdir(parents=True)
    (tmp_path / "raw").mkdir()
    return tmp_path / "mirror"


def test_digits_become_a_table_with_the_owners_split(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsdd, "NUM_RECORDINGS", 12)
    for index in range(6):
        for digit in (3, 7):
            write_tone(mirror / f"new/recordings/{digit}_ann_{index}.wav", 100 * digit + index, 0.1)
    with tarfile.open(mirror / "fsdd/recordings.tar.xz", "w:xz") as archive:
        archive.add(mirror / "new/recordings", "recordings")
    raw = mirror.parent / "raw"
    digits.bring_digits(raw, PARAMS)
    with (raw / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert {row["path"] for row in rows if row["split"] == "train"} == {
        "recordings/3_ann_5.wav", "recordings/7_ann_5.wav",
    }  # fmt: skip
    assert {(row["label"], row["speaker"]) for row in rows} == {("3", "ann"), ("7", "ann")}
    assert all((raw / row["path"]).is_file() for row in rows)
    assert sorted(path.name for path in raw.iterdir()) == ["index.csv", "recordings"]


def test_an_incomplete_mirror_leaves_nothing(mirror: Path) -> None:
    write_tone(mirror / "fsdd/3_ann_0.wav")
    with pytest.raises(UserError, match="1 recordings"):
        digits.bring_digits(mirror.parent / "raw", PARAMS)
    assert list((mirror.parent / "raw").iterdir()) == []


def test_commands_are_unpacked_after_their_checksum_was_compared(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tone(mirror / "new/yes/0a_nohash_0.wav")
    path = mirror / "speech_commands_v0.02/any.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(mirror / "new/yes", "yes")
    with pytest.raises(UserError, match=r"any\.tar\.gz"):
        official.bring_commands(mirror.parent / "raw", PARAMS)
    assert list((mirror.parent / "raw").iterdir()) == []
    known = replace(official.COMMANDS, checksum=checksum_of(path, like="0" * 64))
    monkeypatch.setattr(official, "COMMANDS", known)
    official.bring_commands(mirror.parent / "raw", PARAMS)
    assert (mirror.parent / "raw/yes/0a_nohash_0.wav").is_file()
    monkeypatch.delenv("DATASET_MIRROR")
    monkeypatch.setattr(official, "downloaded", lambda *_: path)
    (mirror.parent / "again").mkdir()
    official.bring_commands(mirror.parent / "again", PARAMS)
    assert (mirror.parent / "again/yes/0a_nohash_0.wav").is_file()
    assert not path.exists()  # what is unpacked is kept once
