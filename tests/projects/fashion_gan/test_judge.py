"""The classifier in whose features images are judged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shared.data.arrays import Split

from projects.fashion_gan import judge
from shared.core.errors import UserError
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local

from . import tiny

CLASSES = ["lying", "standing"]


def trained(split: Split, classes: list[str], folder: Path, epochs: float = 15.0) -> judge.Judge:
    folder.mkdir(exist_ok=True)
    chosen = tiny.params()
    world, params = local(), chosen.evaluate.model_copy(update={"classifier_epochs": epochs})
    return judge.train_judge(split, classes, params, chosen.runtime, world, Checkpoint(folder / "last.pt", world))


def test_it_tells_classes_it_has_seen_and_is_the_same_when_trained_again(tmp_path: Path) -> None:
    network = trained(tiny.bars(160, 0), CLASSES, tmp_path / "a")
    test = tiny.bars(40, 1)
    assert judge.accuracy(network, test, CLASSES, 16) > 0.9
    found = judge.judge(network, test.images, 16)
    assert found.features.shape == (40, judge.FEATURES)
    assert found.features.dtype == torch.float64
    torch.testing.assert_close(judge.judge(network, test.images, 7).features, found.features, rtol=1e-4, atol=1e-4)
    again = trained(tiny.bars(160, 0), CLASSES, tmp_path / "b")
    assert all((a == b).all() for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True))


def test_without_classes_it_tells_quarter_turns(tmp_path: Path) -> None:
    images = np.full((160, 1, 8, 8), 30, np.uint8)
    images[:, :, :3] = np.random.default_rng(0).integers(150, 255, (160, 1, 3, 8))  # bright on top
    split = Split(images, np.zeros(160, np.int64), [""] * 160)
    network = trained(split, ["images"], tmp_path)
    assert network.head.out_features == judge.TURNS
    assert judge.accuracy(network, split, ["images"], 32) > 0.9


def test_quarter_turns_are_against_the_clock() -> None:
    images = torch.arange(4).view(1, 1, 2, 2).expand(4, -1, -1, -1)
    turned = judge.turned(images, torch.arange(4)).flatten(1).tolist()
    assert turned == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (1, 8), (1, 28), (3, 32), (3, 64), (3, 96)])
def test_it_takes_any_images_that_the_networks_make(channels: int, side: int) -> None:
    network = judge.Judge(channels, side, 3).eval()
    images = torch.rand(2, channels, side, side)
    assert network(images).shape == (2, 3)
    assert sum(weights.numel() for weights in network.parameters()) < 350_000


def test_saved_and_loaded_it_sees_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, images = judge.Judge(1, 8, 2).eval(), torch.rand(3, 1, 8, 8)
    judge.save_judge(tmp_path, network, {"classes": CLASSES, "channels": 1, "image_size": 8, "model": {}})
    loaded, config = judge.load_judge(tmp_path, "")
    assert config["classes"] == CLASSES
    assert (loaded.features(images) == network.features(images)).all()
    with pytest.raises(UserError, match="no trained model"):
        judge.load_judge(tmp_path / "nowhere", "dvc repro")
