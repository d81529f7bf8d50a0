"""The U-Net takes any size; networks of torchvision are there by name, and start from local files."""

from pathlib import Path

import pytest
import torch

from projects.pets_segmentation.model import build_model, predict_probabilities, start_from, torchvision_network
from shared.core.errors import UserError

UNET = {"name": "unet", "width": 4, "depth": 3, "stem": 2}
CONFIG = {"model": UNET, "classes": ["a", "b", "c"], "mean": [0.5] * 3, "std": [0.25] * 3, "views": 2}
LRASPP = {"name": "lraspp_mobilenet_v3_large", "width": 4, "depth": 1, "stem": 2}


@pytest.mark.parametrize("size", [(64, 64), (50, 81), (7, 33)])
@pytest.mark.parametrize("stem", [1, 2, 4])
def test_sizes_that_the_strides_do_not_divide_are_no_obstacle(size: tuple[int, int], stem: int) -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG | {"model": UNET | {"stem": stem}}).eval()
    assert model(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_padding_at_the_end_does_not_reach_far() -> None:
    """An image and the same image with more of it at the right agree at the left, but for the mean over the whole."""
    torch.manual_seed(0)
    model = build_model(CONFIG).eval()
    torch.nn.init.zeros_(model[1].context.weight)
    wide = torch.rand(1, 3, 64, 256)
    torch.testing.assert_close(model(wide[..., :150])[..., :32], model(wide)[..., :32], rtol=0, atol=1e-5)


def test_the_second_view_is_the_mirror_image() -> None:
    torch.manual_seed(0)
    model, images = build_model(CONFIG).eval(), torch.rand(2, 3, 32, 48)
    found = predict_probabilities(model, images, CONFIG)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 32, 48))
    torch.testing.assert_close(found, predict_probabilities(model, images.flip(3), CONFIG).flip(3))


def test_a_network_of_torchvision_starts_from_a_local_file(tmp_path: Path) -> None:
    config = CONFIG | {"model": LRASPP}
    torch.manual_seed(0)
    saved, model = torchvision_network(LRASPP["name"], 21), build_model(config)
    path = tmp_path / "weights.pth"
    torch.save(saved.network.state_dict(), path)
    assert "tensors from" in start_from(model, path)
    own, other = model[1].network.backbone.state_dict(), saved.network.backbone.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert model(torch.rand(2, 3, 64, 80)).shape == (2, 3, 64, 80)
    with pytest.raises(UserError, match="not weights of this network"):
        start_from(build_model(CONFIG), path)
    for others in ([1.0], {"epoch": 1, "model": {}}):
        torch.save(others, path)
        with pytest.raises(UserError, match="not weights of this network"):
            start_from(build_model(CONFIG), path)
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        start_from(model, path)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match="unknown network 'unet2'"):
        build_model(CONFIG | {"model": UNET | {"name": "unet2"}})
