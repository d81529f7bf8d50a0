"""The official data come from a mirror, verified, and are read as own data would be."""

import io
import tarfile
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest

from projects.voc_detection import fetch
from projects.voc_detection.params import Fetch
from projects.voc_detection.prepare import read_data
from shared.core.errors import UserError

from .forms import PARAMS, image, voc_xml

SOURCE = Fetch(source="official", seed=0, num_train=10, num_valid=10, num_test=10)


def archive(path: Path, scratch: Path, split: str, name: str) -> str:
    """A VOC archive of one image."""
    image(scratch / f"{name}.jpg", int(name))
    files = {
        f"JPEGImages/{name}.jpg": (scratch / f"{name}.jpg").read_bytes(),
        f"Annotations/{name}.xml": voc_xml([("dog", [2, 2, 9, 9])]).encode(),
        f"ImageSets/Main/{split}.txt": f"{name}\n".encode(),
        f"ImageSets/Main/dog_{split}.txt": f"{name} 1\n".encode(),
        f"SegmentationClass/{name}.png": b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for inside, data in files.items():
            entry = tarfile.TarInfo(f"VOCdevkit/VOC2007/{inside}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return md5(path.read_bytes()).hexdigest()


def test_both_archives_of_a_mirror_make_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(fetch.VOC.files)
    sums = {
        name: archive(tmp_path / "mirror/voc2007" / name, tmp_path, split, f"00{number}")
        for number, (name, split) in enumerate(zip(names, ("train", "test"), strict=True))
    }
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(fetch, "VOC", replace(fetch.VOC, files=sums))
    (tmp_path / "raw").mkdir()
    fetch.official(tmp_path / "raw", SOURCE)
    assert {path.name for path in (tmp_path / "raw").iterdir()} == {"Annotations", "ImageSets", "JPEGImages"}
    found, _, _ = read_data(tmp_path / "raw", PARAMS)
    assert [(picture.path.name, picture.split) for picture in found.pictures] == [
        ("000.jpg", "train"),
        ("001.jpg", "test"),
    ]
    monkeypatch.setattr(fetch, "VOC", replace(fetch.VOC, files=sums | {names[1]: "0" * 32}))
    (tmp_path / "again").mkdir()
    with pytest.raises(UserError, match="wrong checksum"):
        fetch.official(tmp_path / "again", SOURCE)
