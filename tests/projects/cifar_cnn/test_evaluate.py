"""Evaluate: views of an image, baselines, and the records of the worst errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from projects.cifar_cnn import evaluate
from projects.cifar_cnn.model import predict_logits
from projects.cifar_cnn.params import Evaluate
from shared.data.arrays import Split
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


def test_the_linear_baseline_learns_what_is_linear_and_majority_does_not() -> None:
    train, test = split_of(120), split_of(40)
    linear = evaluate.linear_baseline(train, test, PARAMS)
    assert linear["linear_accuracy"] > 0.9
    assert linear["linear_converged"]
    assert evaluate.majority_baseline(train, test)["majority_accuracy"] == 0.25


def test_the_linear_baseline_says_when_it_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MAX_ITERATIONS", 1)
    assert not evaluate.linear_baseline(split_of(120), split_of(), PARAMS)["linear_converged"]


def test_the_worst_are_errors_most_confident_first(tmp_path: Path) -> None:
    split = split_of(20)
    logits = torch.eye(4)[torch.from_numpy(split.labels)] * 5
    logits[[3, 8, 11, 14], 1] += torch.tensor([6.0, 9.0, 7.0, 8.0])  # four errors: labels 3, 0, 3, 2 taken for 1
    records = {"sample": torch.arange(20), "actual": torch.from_numpy(split.labels), "logits": logits}
    for _ in range(2):  # the second replaces the first
        evaluate.write_worst(tmp_path / "worst", records, split, ["a", "b", "<c>", "d"], 3)
    index = json.loads((tmp_path / "worst" / "index.json").read_text())
    assert [(row["id"], row["actual"], row["predicted"]) for row in index] == [
        ("é/8.png", "a", "b"),
        ("é/14.png", "<c>", "b"),
        ("é/11.png", "d", "b"),
    ]
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["001.png", "002.png", "003.png", "index.json", "worst"]
    picture = np.asarray(Image.open(tmp_path / "worst" / "001.png"))
    assert np.array_equal(picture[::16, ::16], split.images[8, 0])
