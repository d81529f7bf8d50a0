"""Images of one's own, with classes or without; sizes and folders that cannot be learned from are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from projects.fashion_gan import fetch, prepare
from projects.fashion_gan.params import Fetch, Params, num_doublings
from shared.core.errors import UserError
from shared.core.params import load
from shared.data.prepared import Prepared
from tests.data_mirror import mirror
from tests.empty_root import checkout

__all__ = ["checkout"]

YAML = Path(prepare.__file__).with_name("params.yaml")
RAW, PREPARED = "data/raw/fashion_gan", "data/prepared/fashion_gan"


def run(*words: str) -> None:
    prepare.main(load(Params, YAML, words))


def contents(folder: Path) -> dict[Path, bytes]:
    """Of all files and folders below, hidden ones too."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def fill(folder: Path, number: int, side: int = 16) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        pixels = np.random.default_rng([*folder.name.encode(), index]).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")


@pytest.mark.parametrize(
    ("folders", "classes", "counts"),
    [
        ({"": 50}, ["images"], {"train": 36, "valid": 4, "test": 10}),
        ({"train": 20, "valid": 3, "test": 10}, ["images"], {"train": 20, "valid": 3, "test": 10}),
        ({"shoe": 30, "bag": 30}, ["bag", "shoe"], {"train": 44, "valid": 4, "test": 12}),
    ],
)
def test_folders_with_classes_and_without(
    checkout: Path, folders: dict[str, int], classes: list[str], counts: dict[str, int]
) -> None:
    for name, number in folders.items():
        fill(checkout / RAW / name, number)
    run()
    manifest = Prepared(checkout / PREPARED).manifest
    assert (manifest["source"], manifest["classes"]) == ("own", classes)
    assert {name: split["count"] for name, split in manifest["splits"].items()} == counts


def test_fashion_mnist_is_fetched_and_prepared(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror("fashion_mnist")))
    fetch.official(checkout / RAW, Fetch(source="official"))
    run("prepare.image_size=28", "prepare.valid_fraction=0.0")
    manifest = Prepared(checkout / PREPARED).manifest
    assert (manifest["source"], manifest["classes"][0]) == ("official", "T-shirt/top")
    assert {part: split["count"] for part, split in manifest["splits"].items()} == {"train": 60_000, "test": 10_000}


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
    ("number", "words", "problem"),
    [
        (1, (), "no sample is left"),
        (19, (), "15 images for train"),
        (45, (), "9 images for test"),
        (50, ("prepare.image_size=9",), "9 px cannot be made"),
    ],
)
def test_what_is_refused_leaves_what_was_prepared_before(
    checkout: Path, number: int, words: tuple[str, ...], problem: str
) -> None:
    def refused() -> None:
        with pytest.raises(UserError, match=problem):
            run("prepare.valid_fraction=0.0", *words)

    fill(checkout / RAW, number)
    refused()
    assert not (checkout / "data/prepared").exists()
    fill(checkout / RAW, 50)
    run()
    before = contents(checkout / "data/prepared")
    for image in sorted((checkout / RAW).iterdir())[number:]:
        image.unlink()
    refused()
    assert contents(checkout / "data/prepared") == before


@pytest.mark.parametrize("side", [16, 20, 33, 60])
def test_what_is_suggested_can_be_made(checkout: Path, side: int) -> None:
    fill(checkout / RAW, 60, side)
    values = prepare.suggest(checkout / RAW)
    assert num_doublings(values["prepare.image_size"])
    assert values["prepare.channels"] == 1
    assert (values["train.batch_size"], values["train.epochs"]) == (21, 2000)  # 42 of 60 to train on: two steps a pass
