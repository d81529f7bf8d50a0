"""CIFAR-10, MNIST and Fashion-MNIST as their owners publish them, and the digits of scikit-learn, prepared."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from projects.mnist_cnn.sample import write_sample
from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared
from shared.data.source import bring
from shared.image import classes
from shared.image.official import FOLDER, IMAGES, OFFICIAL, TEST
from shared.image.params import PrepareImages
from tests.data_mirror import mirror
from tests.empty_root import checkout

__all__ = ["checkout"]

OWN = Project("own")


def prepare(size: int, channels: int, valid: float = 0.1) -> Prepared:
    sizes = {"image_size": size, "channels": channels}
    classes.prepare(
        OWN,
        PrepareImages(fit="crop", ground=128, white=65535.0, seed=0, valid_fraction=valid, test_fraction=0.2, **sizes),
    )
    return Prepared(OWN.prepared)


def test_batches_with_a_wrong_checksum_are_not_unpickled(checkout: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (checkout / "evil",)

    for name in OFFICIAL["cifar10"].files:
        (OWN.raw / name).parent.mkdir(exist_ok=True, parents=True)
        (OWN.raw / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="7 problems") as caught:
        prepare(32, 3)
    assert "data_batch_1: wrong checksum" in caught.value.what
    assert not (checkout / "evil").exists()


def test_cifar10_is_prepared_bit_by_bit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("cifar10")))
    bring(OFFICIAL["cifar10"], OWN.raw)
    (OWN.raw / "source.json").write_text(json.dumps({"source": "official"}))
    prepared = prepare(32, 3)
    train, valid, test = (prepared.table(name) for name in ("train", "valid", "test"))
    manifest = prepared.manifest
    assert (len(train), len(valid), len(test)) == (45_000, 5_000, 10_000)
    assert np.bincount(train.fixed("label")).tolist() == [4_500] * 10
    assert (manifest["source"], manifest["classes"][3]) == ("official", "cat")
    np.testing.assert_allclose(manifest["mean"], [0.4914, 0.4822, 0.4465], atol=5e-4)
    np.testing.assert_allclose(manifest["std"], [0.2470, 0.2435, 0.2616], atol=5e-4)
    batch = pickle.loads((OWN.raw / FOLDER / "test_batch").read_bytes(), encoding="latin1")
    np.testing.assert_array_equal(test.fixed("image").reshape(-1, 3072), batch["data"])
    assert test.fixed("label").tolist() == batch["labels"]
    assert len({id_ for table in (train, valid, test) for id_ in table.strings("id")}) == 60_000
    assert "airplane     4,500     500   1,000" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "first"), [("mnist", "0"), ("fashion_mnist", "T-shirt/top")])
def test_mnist_is_prepared_bit_by_bit_and_a_damaged_file_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: str
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror(name)))
    bring(OFFICIAL[name], OWN.raw)
    prepared = prepare(28, 1, valid=0.0)
    images, manifest = prepared.table("train").fixed("image"), prepared.manifest
    assert (images.shape, prepared.table("test").fixed("image").shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (manifest["classes"][0], manifest["splits"].keys()) == (first, {"train", "test"})
    mean, std = {"mnist": (0.1307, 0.3081), "fashion_mnist": (0.2860, 0.3530)}[name]
    assert manifest["mean"] == pytest.approx([mean], abs=1e-4)
    assert manifest["std"] == pytest.approx([std], abs=1e-4)
    path = OWN.raw / IMAGES.format(TEST)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz: wrong checksum"):
        prepare(28, 1)


def test_the_digits_are_those_of_scikit_learn_with_the_last_360_for_test(checkout: Path) -> None:
    write_sample(OWN.raw)
    prepared, digits, seen = prepare(8, 1), load_digits(), {}
    expected = (digits.images * 255 / 16).round().astype(np.uint8)
    for split in ("train", "valid", "test"):
        table = prepared.table(split)
        rows = zip(table.fixed("image"), table.fixed("label"), table.strings("id"), strict=True)
        for image, label, id_ in rows:
            number = int(Path(id_).stem)
            assert digits.target[number] == label
            assert np.array_equal(image[0], expected[number])
            seen[number] = split
    assert seen.keys() == set(range(1797))
    assert {number for number, split in seen.items() if split == "test"} == set(range(1437, 1797))
