"""The raw data are the sample or CIFAR-10, whole, or as they were."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from projects.cifar_cnn import fetch
from projects.cifar_cnn.params import Params
from projects.cifar_cnn.sample import SHAPES, make_images, write_sample
from shared.core import params as params_
from shared.core.errors import UserError
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

YAML = Path(fetch.__file__).with_name("params.yaml")


def with_params(*overrides: str) -> Params:
    return params_.load(Params, YAML, overrides)


def test_the_sample_is_written_by_its_generator_with_a_note(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_sample(folder: Path, params: object) -> None:
        (folder / "train").mkdir()
        (folder / "params.txt").write_text(repr(params))

    monkeypatch.setitem(sys.modules, "projects.cifar_cnn.sample", SimpleNamespace(write_sample=write_sample))
    params = with_params("fetch.seed=5")
    fetch.main(params)
    raw = checkout / "data/raw/cifar_cnn"
    assert everything_below(checkout / "data/raw") == [
        f"cifar_cnn{name}" for name in ("", "/params.txt", "/source.json", "/train")
    ]
    assert (raw / "params.txt").read_text() == repr(params.fetch)
    assert (raw / "source.json").read_text() == '{"source": "sample"}\n'


def test_every_test_image_has_a_mask_of_what_is_visible_of_its_object(tmp_path: Path) -> None:
    params = with_params("fetch.num_train=10", "fetch.num_test=40").fetch
    for name in ("first", "again"):
        write_sample(tmp_path / name, params)
    first, again = (sorted((tmp_path / name).rglob("*.png")) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    images = sorted((tmp_path / "first/test").rglob("*.png"))
    assert len(images) == 40
    assert {path.parent.name for path in images} == set(SHAPES)
    for path in images:
        mask = np.asarray(Image.open(tmp_path / "first/evidence" / path.parent.name / path.name), bool)
        assert 0.03 < mask.mean() < 0.5


def test_object_and_ground_can_be_told_apart() -> None:
    images, masks = make_images(np.arange(200) % len(SHAPES), np.random.default_rng(0))
    for image, mask in zip(images / 255, masks, strict=True):
        difference = np.median(image[mask], axis=0) - np.median(image[~mask], axis=0)
        assert np.abs(difference).max() > 0.08


def test_official_data_that_cannot_be_had_leave_the_old_as_they_were(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "data/raw/cifar_cnn").mkdir(parents=True)
    (checkout / "data/raw/cifar_cnn/old").touch()
    mirror = checkout / "mirror/cifar10"
    mirror.mkdir(parents=True)
    (mirror / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    monkeypatch.setenv("DATASET_MIRROR", "mirror")
    with pytest.raises(UserError, match=r"mirror/cifar10/cifar-10-python\.tar\.gz: not a whole archive"):
        fetch.main(with_params("fetch.source=official"))
    assert everything_below(checkout / "data/raw") == ["cifar_cnn", "cifar_cnn/old"]
