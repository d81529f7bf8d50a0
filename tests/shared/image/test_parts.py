"""Attribution of images: known values, chunks and neighbours that change nothing, which layer Grad-CAM looks at."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared.explain import parts
from shared.explain.methods import Unsuitable
from shared.explain.parts import Subject, log_odds
from shared.image import parts as image_parts
from shared.image.parts import IMAGE_METHODS, ImageScene, last_map_layer

GRADIENT = [name for name, method in IMAGE_METHODS.items() if method.complete]


class Linear(nn.Module):
    """(M, C, H, W) -> (M,): the weighted sum of the pixels."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weights).sum((1, 2, 3))


def small_net() -> nn.Sequential:
    """What real ones have: convolution, batch norm, pooling, dropout. (M, 3, 16, 16) -> (M, 4)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(),
            nn.Linear(384, 4),
        )  # fmt: skip
        net(torch.rand(8, 3, 16, 16))
    return net.eval()


def images_of(count: int, channels: int = 3, side: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def number(model: nn.Module, batch: parts.Batch) -> Tensor:
    return model(batch["image"])


def of_class(model: nn.Module, batch: parts.Batch) -> Tensor:
    return log_odds(model(batch["image"]), batch["target"])


def subject_of(model: nn.Module, images: Tensor, baselines: Tensor, value: Any = number, **fields: Tensor) -> Subject:
    return Subject(model, ImageScene(images, baselines, fields), value, images[0, 0].numel())


def classes(count: int) -> Subject:
    images = images_of(count)
    return subject_of(small_net(), images, images * 0, of_class, target=torch.arange(count) % 4)


def test_present_shows_the_baseline_where_a_pixel_is_removed() -> None:
    images = images_of(3)
    scene = ImageScene(images, images + 1, {"target": torch.tensor([7, 8, 9])}, torch.ones(3, 16, 16).bool())
    kept = torch.zeros(2, 256, dtype=torch.bool)
    kept[1, 3] = True
    batch = scene.present(torch.tensor([2, 0]), kept)
    assert batch["target"].tolist() == [9, 7]
    assert torch.equal(batch["image"][0], images[2] + 1)
    changed = batch["image"][1] - images[0] < 0.5
    assert changed.nonzero().tolist() == [[channel, 0, 3] for channel in range(3)]
    assert scene.evidence is not None
    assert scene[torch.tensor([1])].evidence.shape == (1, 256)  # type: ignore[union-attr]


def test_windows_tile_an_image_and_squares_lie_inside() -> None:
    scene = ImageScene(images_of(2, side=32), images_of(2, side=32))
    windows = scene.groups(0)
    assert windows.shape == (49, 1024)
    assert (windows.sum(0) == 1).all()
    assert windows[0].view(32, 32)[:5, :5].all()
    for square in scene.removals(seed=1)[0].view(-1, 32, 32):
        sides = square.any(0).sum(), square.any(1).sum()
        assert sides[0] == sides[1] == square.sum().sqrt()
        assert 4 <= sides[0] <= 8


@pytest.mark.parametrize("method", GRADIENT)
def test_of_a_linear_model_is_weight_times_difference_summed_over_channels(method: str) -> None:
    weights = torch.linspace(-1, 1, 192).view(3, 8, 8)
    images, baselines = images_of(3, side=8), images_of(3, side=8, seed=1)
    subject = subject_of(Linear(weights), images, baselines)
    maps = IMAGE_METHODS[method].run(subject, 0)
    torch.testing.assert_close(maps, (weights * (images - baselines)).sum(1).flatten(1), rtol=1e-4, atol=1e-5)
    assert parts.completeness(maps, subject.change).max() < 1e-4


def test_occlusion_of_a_linear_model_is_what_the_window_held() -> None:
    weights, images = torch.linspace(-1, 1, 64).view(1, 8, 8), images_of(2, 1, 8)
    maps = IMAGE_METHODS["occlusion"].run(subject_of(Linear(weights), images, images * 0), 0)
    assert round(8 * image_parts.WINDOW) == 1  # so that the window is a pixel
    torch.testing.assert_close(maps, (weights * images).flatten(1), rtol=1e-3, atol=1e-4)


def test_grad_cam_is_the_positive_weighted_activation_enlarged() -> None:
    class TwoMaps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.unused = nn.AvgPool2d(4), nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> Tensor:
            left, right = self.pool(images).mean((2, 3)).unbind(1)
            return left - right

    images = torch.zeros(1, 2, 8, 8)
    images[0, 0, :, :4], images[0, 1, :, 4:] = 1, 1
    maps = IMAGE_METHODS["grad_cam"].run(subject_of(TwoMaps(), images, images * 0), 0)
    expected = torch.tensor([1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0]) / 4  # the right half weighs -1/4: cut off
    torch.testing.assert_close(maps.view(8, 8), expected.expand(8, 8))


def test_integrated_gradients_of_a_class_add_up() -> None:
    subject = classes(4)
    maps = IMAGE_METHODS["integrated_gradients"].run(subject, 0)
    assert parts.completeness(maps, subject.change).mean() < 0.05


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_chunks_neighbours_and_fields_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes = classes(5), []
    whole = IMAGE_METHODS[method].run(subject, 0)
    subject.model.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    monkeypatch.setattr(image_parts, "BATCH", 24)
    torch.testing.assert_close(IMAGE_METHODS[method].run(subject, 0), whole, rtol=1e-3, atol=1e-6)
    assert max(sizes) <= 24
    alone = IMAGE_METHODS[method].run(subject[torch.tensor([3])], 0)
    torch.testing.assert_close(alone, whole[3:4], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_the_same_bytes_and_all_is_left_as_found(method: str) -> None:
    subject = classes(2)
    subject.model[0].weight.requires_grad_(False)
    before = {name: weights.clone() for name, weights in subject.model.state_dict().items()}
    first = IMAGE_METHODS[method].run(subject, 0)
    np.random.seed(5)
    torch.manual_seed(5)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert torch.equal(IMAGE_METHODS[method].run(subject, 0), first)
    assert (np.random.get_state()[1] == numpy_before).all()
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert all(torch.equal(weights, before[name]) for name, weights in subject.model.state_dict().items())
    assert all(weights.grad is None for weights in subject.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in subject.model.modules())


def test_grad_cam_finds_the_last_maps_and_refuses_others() -> None:
    subject = classes(2)
    assert last_map_layer(subject) == (subject.model[4], False)
    images = images_of(2)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(768, 1), nn.Flatten(0))
    with pytest.raises(Unsuitable, match="needs a convolutional network"):
        last_map_layer(subject_of(flat, images, images))

    attention = nn.Sequential(
        nn.Flatten(2), nn.Linear(256, 90), nn.Unflatten(1, (1, 3)), nn.Flatten(), nn.Linear(270, 1)
    )
    with pytest.raises(Unsuitable, match=r"'2', is \(2, 1, 3, 90\).* no maps at all"):
        last_map_layer(subject_of(attention, images, images, lambda model, batch: model(batch["image"])[:, 0]))
    valid = nn.Sequential(nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(2 * 8 * 28, 1))
    wide = torch.rand(2, 3, 12, 32)  # a convolution without padding makes maps a little narrower
    assert last_map_layer(subject_of(valid, wide, wide)) == (valid[0], False)


class ChannelsLast(nn.Module):
    """(M, C, h, w) -> (M, h, w, C), as transformers of windows have it."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


@pytest.mark.parametrize(("channels", "sides"), [(5, (16, 16)), (96, (16, 16)), (4, (16, 16)), (7, (12, 32))])
def test_grad_cam_of_maps_whose_channels_come_last_is_that_of_the_same_maps_before(
    channels: int, sides: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, *sides)
    conv, head = nn.Conv2d(3, channels, 2, 2), nn.Linear(channels, 1)

    class Net(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.maps = nn.Sequential(*layers)
            self.head = head

        def forward(self, images: Tensor) -> Tensor:
            maps = self.maps(images)
            dims = (2, 3) if len(self.maps) == 1 else (1, 2)
            return self.head(maps.square().mean(dims))[:, 0]

    def found(net: nn.Module) -> Tensor:
        return image_parts.grad_cam(subject_of(net, images, images, lambda model, batch: model(batch["image"])), 0)

    last = Net(conv, ChannelsLast())
    assert last_map_layer(subject_of(last, images, images)) == (last.maps, True)
    assert found(last).std() > 0
    assert torch.allclose(found(last), found(Net(conv)), atol=1e-7)
    assert not last.maps._forward_hooks
