"""The raw data are the sample or CIFAR-10, whole, or as they were."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from projects.cifar_cnn import fetch
from projects.cifar_cnn.params import Params
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
