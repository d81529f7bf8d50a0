"""CIFAR-10 as its owner publishes it, prepared."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shared.data.arrays import read_split
from shared.image.cifar import CIFAR10, FOLDER

from projects.cifar_cnn import fetch, prepare
from projects.cifar_cnn.params import Params
from shared.core import params as params_
from shared.core.errors import UserError
from shared.data.prepared import read_manifest
from tests.data_mirror import mirror
from tests.empty_root import checkout

__all__ = ["checkout"]

YAML = Path(fetch.__file__).with_name("params.yaml")
PREPARED = "data/prepared/cifar_cnn"


def with_params(*overrides: str) -> Params:
    return params_.load(Params, YAML, overrides)


def test_batches_with_a_wrong_checksum_are_not_unpickled(checkout: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (checkout / "evil",)

    raw = checkout / "data/raw/cifar_cnn"
    for name in CIFAR10.files:
        (raw / name).parent.mkdir(exist_ok=True, parents=True)
        (raw / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="7 problems") as caught:
        prepare.main(with_params())
    assert "data_batch_1: wrong checksum" in caught.value.what
    assert not (checkout / "evil").exists()


def test_both_stages_start_without_torch() -> None:
    code = f"import sys, {fetch.__name__}, {prepare.__name__}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_official_data_are_prepared_bit_by_bit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("cifar10")))
    fetch.main(with_params("fetch.source=official"))
    prepare.main(with_params())
    train, valid, test = (read_split(checkout / PREPARED, name) for name in ("train", "valid", "test"))
    manifest = read_manifest(checkout / PREPARED)
    assert (len(train), len(valid), len(test)) == (45_000, 5_000, 10_000)
    assert np.bincount(train.labels).tolist() == [4_500] * 10
    assert (manifest["source"], manifest["classes"][3]) == ("official", "cat")
    np.testing.assert_allclose(manifest["mean"], [0.4914, 0.4822, 0.4465], atol=5e-4)
    np.testing.assert_allclose(manifest["std"], [0.2470, 0.2435, 0.2616], atol=5e-4)
    batch = pickle.loads((checkout / "data/raw/cifar_cnn" / FOLDER / "test_batch").read_bytes(), encoding="latin1")
    np.testing.assert_array_equal(test.images.reshape(-1, 3072), batch["data"])
    assert test.labels.tolist() == batch["labels"]
    assert len({*train.ids, *valid.ids, *test.ids}) == 60_000
    assert "airplane     4,500     500   1,000" in capsys.readouterr().out
    assert json.loads((checkout / "data/raw/cifar_cnn/source.json").read_text()) == {"source": "official"}
