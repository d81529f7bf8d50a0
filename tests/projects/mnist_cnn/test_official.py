"""MNIST and Fashion-MNIST as their owners publish them, and the digits of scikit-learn, prepared."""

from pathlib import Path

import numpy as np
import pytest
from shared.data.arrays import read_split
from shared.image.mnist import IMAGES, TEST
from sklearn.datasets import load_digits

from projects.mnist_cnn import fetch, prepare
from projects.mnist_cnn.params import Params
from shared.core import params as params_
from shared.core.errors import UserError
from shared.data.prepared import read_manifest
from tests.data_mirror import mirror
from tests.empty_root import checkout

__all__ = ["checkout"]

YAML = Path(fetch.__file__).with_name("params.yaml")
PREPARED = "data/prepared/mnist_cnn"


def bring(*overrides: str) -> None:
    params = params_.load(Params, YAML, overrides)
    fetch.main(params)
    prepare.main(params)


def test_the_sample_is_the_digits_with_the_last_360_in_file_order_for_test(checkout: Path) -> None:
    bring("prepare.image_size=8")
    parts = [read_split(checkout / PREPARED, name) for name in ("train", "valid", "test")]
    digits = load_digits()
    expected = (digits.images * 255 / 16).round().astype(np.uint8)
    seen = set()
    for split in parts:
        for image, label, id_ in zip(split.images, split.labels, split.ids, strict=True):
            number = int(Path(id_).stem)
            assert digits.target[number] == label
            assert np.array_equal(image[0], expected[number])
            seen.add(number)
    assert seen == set(range(1797))
    assert {int(Path(id_).stem) for id_ in parts[2].ids} == set(range(1437, 1797))


@pytest.mark.parametrize(("name", "first"), [("mnist", "0"), ("fashion_mnist", "T-shirt/top")])
def test_the_official_files_are_prepared_bit_by_bit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: str
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror(name)))
    bring("fetch.source=official", f"fetch.dataset={name}", "prepare.valid_fraction=0.0")
    train, test = (read_split(checkout / PREPARED, split) for split in ("train", "test"))
    manifest = read_manifest(checkout / PREPARED)
    assert (train.images.shape, test.images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (manifest["source"], manifest["classes"][0], manifest["channels"]) == ("official", first, 1)
    mean, std = {"mnist": (0.1307, 0.3081), "fashion_mnist": (0.2860, 0.3530)}[name]
    assert manifest["mean"] == pytest.approx([mean], abs=1e-4)
    assert manifest["std"] == pytest.approx([std], abs=1e-4)
    assert np.bincount(test.labels).min() >= 892


def test_a_damaged_file_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("mnist")))
    params = params_.load(Params, YAML, ["fetch.source=official"])
    fetch.main(params)
    path = checkout / "data/raw/mnist_cnn" / IMAGES.format(TEST)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz: wrong checksum"):
        prepare.main(params)
