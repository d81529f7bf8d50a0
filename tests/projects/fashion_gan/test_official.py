"""Fashion-MNIST, MNIST and CIFAR-10, told apart and read by the shared readers."""

from pathlib import Path

import pytest

from projects.fashion_gan import fetch, prepare
from projects.fashion_gan.params import Params
from shared.core import params as params_
from shared.data.prepared import read_manifest
from tests.data_mirror import mirror
from tests.empty_root import checkout

__all__ = ["checkout"]

YAML = Path(fetch.__file__).with_name("params.yaml")


@pytest.mark.parametrize(
    ("name", "side", "channels", "count", "first"),
    [
        ("fashion_mnist", 28, 1, 60_000, "T-shirt/top"),
        ("mnist", 28, 1, 60_000, "0"),
        ("cifar10", 32, 3, 50_000, "airplane"),
    ],
)
def test_each_is_fetched_and_prepared(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: int, channels: int, count: int, first: str
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", str(mirror(name)))
    words = ["fetch.source=official", f"fetch.dataset={name}", f"prepare.image_size={side}"]
    params = params_.load(Params, YAML, [*words, f"prepare.channels={channels}", "prepare.valid_fraction=0.0"])
    fetch.main(params)
    prepare.main(params)
    manifest = read_manifest(checkout / "data/prepared/fashion_gan")
    assert (manifest["source"], manifest["classes"][0]) == ("official", first)
    assert {part: split["count"] for part, split in manifest["splits"].items()} == {"train": count, "test": 10_000}
