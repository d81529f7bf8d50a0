"""Images of one's own, with classes or without; sizes and folders that cannot be learned from are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared.data.arrays import read_split

from projects.fashion_gan import prepare
from projects.fashion_gan.params import Params, halvings
from shared.core import params as params_
from shared.core.errors import UserError
from shared.data.prepared import read_manifest
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

YAML = Path(prepare.__file__).with_name("params.yaml")
RAW, PREPARED = "data/raw/fashion_gan", "data/prepared/fashion_gan"


def run(*words: str) -> None:
    prepare.main(params_.load(Params, YAML, words))


def fill(folder: Path, number: int, side: int = 16) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        pixels = np.random.default_rng([len(folder.name), index]).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")


def test_a_folder_without_classes_is_one_class(checkout: Path) -> None:
    fill(checkout / RAW, 50)
    run()
    manifest = read_manifest(checkout / PREPARED)
    assert (manifest["source"], manifest["classes"]) == ("own", ["images"])
    assert {name: split["count"] for name, split in manifest["splits"].items()} == {"train": 36, "valid": 4, "test": 10}
    split = read_split(checkout / PREPARED, "test")
    for image, id_ in zip(split.images, split.ids, strict=True):
        with Image.open(checkout / RAW / id_) as picture:
            np.testing.assert_array_equal(image[0], np.asarray(picture))


def test_folders_without_classes_may_be_split(checkout: Path) -> None:
    fill(checkout / RAW / "train", 20)
    fill(checkout / RAW / "test", 10)
    run("prepare.valid_fraction=0.0")
    manifest = read_manifest(checkout / PREPARED)
    assert manifest["classes"] == ["images"]
    assert {name: split["count"] for name, split in manifest["splits"].items()} == {"train": 20, "test": 10}


def test_folders_are_classes(checkout: Path) -> None:
    fill(checkout / RAW / "shoe", 30)
    fill(checkout / RAW / "bag", 30)
    run()
    assert read_manifest(checkout / PREPARED)["classes"] == ["bag", "shoe"]


@pytest.mark.parametrize(
    ("side", "next_ones"), [(9, "8 or 10"), (30, "28 or 32"), (50, "48 or 56"), (100, "96 or 112")]
)
def test_a_side_that_no_network_makes_is_refused_before_anything_is_read(
    checkout: Path, side: int, next_ones: str
) -> None:
    with pytest.raises(UserError, match=f"prepare.image_size: {side} px cannot be made") as caught:
        run(f"prepare.image_size={side}")
    assert caught.value.expected == next_ones


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (1, "1 image for train"),
        (3, "2 images for train"),
        (19, "15 images for train"),
        (45, "9 images for test"),
        (0, "no images"),
    ],
)
def test_too_few_images_are_refused(checkout: Path, number: int, problem: str) -> None:
    fill(checkout / RAW, number)
    with pytest.raises(UserError, match=problem):
        run("prepare.valid_fraction=0.0")
    assert not (checkout / "data/prepared").exists()


def test_damaged_images_are_listed_at_once(checkout: Path) -> None:
    fill(checkout / RAW, 30)
    (checkout / RAW / "03.png").write_bytes(b"")
    (checkout / RAW / "07.png").write_bytes((checkout / RAW / "08.png").read_bytes()[:60])
    with pytest.raises(UserError, match="2 problems") as caught:
        run()
    assert "03.png: an empty file" in caught.value.what
    assert everything_below(checkout / "data") == sorted(
        ["raw", "raw/fashion_gan", *(f"raw/fashion_gan/{i:02}.png" for i in range(30))]
    )


def test_a_mixed_folder_is_refused(checkout: Path) -> None:
    fill(checkout / RAW, 10)
    fill(checkout / RAW / "shoe", 20)
    with pytest.raises(UserError, match=r"00\.png: an image outside of a class folder"):
        run()


@pytest.mark.parametrize("side", [16, 20, 33, 60])
def test_what_is_suggested_can_be_made(checkout: Path, side: int) -> None:
    fill(checkout / RAW, 60, side)
    values = prepare.suggest(checkout / RAW)
    assert halvings(values["prepare.image_size"])
    assert values["prepare.channels"] == 1
    assert (values["train.batch_size"], values["train.epochs"]) == (21, 2000)  # 42 of 60 to train on: two steps a pass


def test_what_is_suggested_for_many_small_classes_can_be_trained(checkout: Path) -> None:
    for number in range(20):
        fill(checkout / RAW / ("x" * (number + 1)), 3)
    assert prepare.suggest(checkout / RAW)["train.batch_size"] == 10  # one of three is for training
