"""Views of an image, the whitening layer, predictions as evaluate measures them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from projects.cifar_cnn import predict
from projects.cifar_cnn.model import build_model, check_side, load_model, predict_logits, whiten_from
from shared.core.errors import UserError
from shared.image.augment import to_float
from shared.training.weights import save_model

CLASSES = ["cat", "Bär", "飛行機"]
CONFIG = {
    "model": {"name": "compact", "width": 4},
    "classes": CLASSES,
    "channels": 3,
    "image_size": 16,
    "fit": "crop",
    "ground": 128,
    "white": 65535.0,
}
CONFIG |= {"mean": [0.5] * 3, "std": [0.2] * 3}
SIX = {"views": 6, "flip": True}


class Corners(nn.Module):
    """The image's corner pixels as logits: shows exactly where a view has moved them."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]


def test_one_view_is_the_model_and_two_are_its_mean_with_the_mirror() -> None:
    images, model = torch.rand(3, 1, 4, 4), Corners()
    for flip in (False, True):
        assert torch.equal(predict_logits(model, images, {"views": 1, "flip": flip}), model(images))
    mirrored = (model(images) + model(images.flip(3))) / 2
    assert torch.allclose(predict_logits(model, images, {"views": 2, "flip": True}), mirrored)
    assert torch.equal(predict_logits(model, images, {"views": 2, "flip": False}), model(images))


@pytest.mark.parametrize("flip", [False, True])
def test_six_views_shift_by_a_pixel_with_reflected_borders(flip: bool) -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4)
    mean = lambda image: (Corners()(image) + Corners()(image.flip(3) if flip else image)) / 2  # noqa: E731
    up_left = torch.cat([images[:, :, 1:], images[:, :, 2:3]], 2)
    up_left = torch.cat([up_left[..., 1:], up_left[..., 2:3]], 3)
    down_right = torch.cat([images[:, :, 1:2], images[:, :, :-1]], 2)
    down_right = torch.cat([down_right[..., 1:2], down_right[..., :-1]], 3)
    expected = mean(images) / 2 + mean(up_left) / 4 + mean(down_right) / 4
    assert torch.allclose(predict_logits(Corners(), images, {"views": 6, "flip": flip}), expected)


def test_whitened_patches_have_no_correlation() -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG)
    images = torch.rand(50, 3, 16, 16).cumsum(3) / 16  # neighbours are alike
    whiten_from(model, images)
    filters = model[1].whiten.weight[:12]
    assert torch.equal(filters, -model[1].whiten.weight[12:])
    out = nn.functional.conv2d(model[0](images), filters).transpose(0, 1).flatten(1)
    covariance = out @ out.T / out.shape[1]
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-4
    assert ((covariance.diag() > 0.8) & (covariance.diag() < 1.01)).all()  # below 1 where the patches are flat


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path, build_model(CONFIG), CONFIG | SIX)
    return tmp_path


def test_predict_needs_the_folder_alone_and_gives_what_the_model_gives(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "größe 日本.PNG"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    (found,) = predict.load_predictor(weights)([path])
    model, config = load_model(weights)
    assert {name: config[name] for name in SIX} == SIX
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None]
    expected = predict_logits(model, to_float(pixels), SIX).softmax(1)[0]
    assert found["probability"] == pytest.approx(expected.max().item(), abs=1e-6)
    assert [one["label"] for one in found["top"]] == [CLASSES[k] for k in expected.argsort(descending=True)]


def test_an_unknown_network_is_named_and_a_known_one_takes_its_channels() -> None:
    with pytest.raises(UserError, match="unknown network 'resnet17'"):
        build_model(CONFIG | {"model": {"name": "resnet17", "width": 4}})
    with pytest.raises(UserError, match="resnet18 takes 3 channels, the data has 1"):
        build_model(CONFIG | {"model": {"name": "resnet18", "width": 4}, "channels": 1})


@pytest.mark.parametrize("constant", [[2], [0, 1], [0, 1, 2]])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_channel_that_is_constant_in_training_trains_and_is_ignored(constant: list[int], level: float) -> None:
    torch.manual_seed(0)
    images = torch.rand(50, 3, 16, 16)
    images[:, constant] = level
    mean, std = ([float(of(images[:, channel])) for channel in range(3)] for of in (torch.mean, torch.std))
    model = build_model(
        CONFIG | {"mean": mean, "std": [0.0 if channel in constant else std[channel] for channel in range(3)]}
    )
    whiten_from(model, images)
    loss = model(images).square().sum()
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)
    others = images.clone()
    others[:, constant] = torch.rand(50, len(constant), 16, 16)
    assert torch.equal(model.eval()(others), model(images))


@pytest.mark.parametrize("name", ["googlenet", "vit_b_32", "squeezenet1_1", "regnet_x_400mf"])
def test_torchvision_classifiers_give_logits_alone(name: str) -> None:
    images = torch.rand(2, 3, 64, 64)
    logits = build_model(CONFIG | {"model": {"name": name, "width": 4}, "image_size": 64})(images)
    assert (type(logits), logits.shape) == (Tensor, (2, 3))


@pytest.mark.parametrize(
    ("name", "side", "better"),
    [("vit_b_16", 40, 48), ("inception_v3", 64, 96), ("alexnet", 32, 64), ("vit_b_32", 48, 64)],
)
def test_a_size_that_a_network_cannot_take_is_named_with_one_that_it_can(name: str, side: int, better: int) -> None:
    with pytest.raises(UserError, match=rf"{name} cannot take images of {side} px \(prepare.image_size\)") as caught:
        build_model(CONFIG | {"model": {"name": name, "width": 4}, "image_size": side})
    assert caught.value.fix == f"prepare.image_size={better}"


def test_smaller_images_of_the_first_epochs_are_checked_too() -> None:
    check_side("compact", 32, 24, "train.small_px")
    check_side("resnet18", 32, 24, "train.small_px")
    with pytest.raises(UserError, match=r"vit_b_16 for 32 px cannot take 16 px \(train.small_px\): Wrong image height"):
        check_side("vit_b_16", 32, 16, "train.small_px")
