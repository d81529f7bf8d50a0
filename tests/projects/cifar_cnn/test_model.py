"""Evaluate: views of an image, and one record a sample."""

import numpy as np
import pytest
import torch
from shared.data.arrays import Split
from torch import Tensor, nn

from projects.cifar_cnn import evaluate
from projects.cifar_cnn.model import predict_logits
from projects.cifar_cnn.params import Evaluate
from shared.training.distributed import local

PARAMS = Evaluate(seed=0, views=2, batch_size=7, num_worst=3, baseline_images=200)


class Corners(nn.Module):
    """The image's corner pixels as logits: shows exactly where a view has moved them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]] * self.scale


def split_of(num: int = 40, num_classes: int = 4, size: int = 8) -> Split:
    """Brightness says the class: linearly separable."""
    labels = np.arange(num) % num_classes
    noise = np.random.default_rng(num).integers(0, 20, (num, 1, size, size))
    return Split(
        (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels, [f"é/{i}.png" for i in range(num)]
    )


def test_one_view_is_the_model_and_two_are_its_mean_with_the_mirror() -> None:
    images = torch.rand(3, 1, 4, 4)
    model = Corners()
    assert torch.equal(predict_logits(model, images, 1), model(images))
    assert torch.allclose(predict_logits(model, images, 2), (model(images) + model(images.flip(3))) / 2)


def test_six_views_shift_by_a_pixel_with_reflected_borders() -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4)
    mean = lambda image: (Corners()(image) + Corners()(image.flip(3))) / 2  # noqa: E731
    up_left = torch.cat([images[:, :, 1:], images[:, :, 2:3]], 2)
    up_left = torch.cat([up_left[..., 1:], up_left[..., 2:3]], 3)
    down_right = torch.cat([images[:, :, 1:2], images[:, :, :-1]], 2)
    down_right = torch.cat([down_right[..., 1:2], down_right[..., :-1]], 3)
    expected = mean(images) / 2 + mean(up_left) / 4 + mean(down_right) / 4
    assert torch.allclose(predict_logits(Corners(), images, 6), expected)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_weights_of_views_sum_to_one(views: int) -> None:
    assert torch.allclose(predict_logits(Corners(), torch.full((2, 1, 5, 5), 0.7), views), torch.full((2, 4), 0.7))


def test_a_record_a_sample_whatever_the_batches() -> None:
    split = split_of()
    records = evaluate.predict(Corners(), split, PARAMS, local())
    whole = evaluate.predict(Corners(), split, PARAMS.model_copy(update={"batch_size": 100}), local())
    assert records["sample"].tolist() == list(range(len(split)))
    assert torch.equal(records["actual"], torch.from_numpy(split.labels))
    assert torch.equal(records["logits"], whole["logits"])
