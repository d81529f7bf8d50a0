"""The classifier in whose features images are compared."""

import numpy as np
import pytest
import torch

from projects.fashion_gan import features
from shared.data.arrays import Split

from . import tiny

CPU = torch.device("cpu")


def trained(images: np.ndarray, labels: np.ndarray, num_classes: int) -> features.Classifier:
    params = tiny.params().evaluate.model_copy(update={"classifier_epochs": 15.0})
    return features.train_classifier(images, labels, num_classes, params, CPU)


def test_it_classifies_unseen_images_and_is_the_same_when_trained_again() -> None:
    train, test = tiny.bars(160, 0), tiny.bars(40, 1)
    classifier = trained(train.images, train.labels, 2)
    assert features.accuracy(classifier, test.images, test.labels, 16) > 0.9
    found = features.describe_images(classifier, test.images, 16)
    assert found.features.shape == (40, features.NUM_FEATURES)
    assert found.features.dtype == torch.float64
    other = features.describe_images(classifier, test.images, 7)
    torch.testing.assert_close(other.features, found.features, rtol=1e-4, atol=1e-4)
    again = trained(train.images, train.labels, 2)
    states = zip(classifier.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in states)


def test_without_classes_it_learns_quarter_turns() -> None:
    images = np.full((160, 1, 8, 8), 30, np.uint8)
    images[:, :, :3] = np.random.default_rng(0).integers(150, 255, (160, 1, 3, 8))  # bright on top
    split = Split(images, np.zeros(160, np.int64), [""] * 160)
    classifier = trained(split.images, split.labels, 1)
    assert classifier.head.out_features == features.TURNS
    assert features.accuracy(classifier, split.images, split.labels, 32) > 0.9


def test_quarter_turns_are_against_the_clock() -> None:
    images = torch.arange(4).view(1, 1, 2, 2).expand(4, -1, -1, -1)
    turned = features.turned(images, torch.arange(4)).flatten(1).tolist()
    assert turned == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (1, 8), (1, 28), (3, 32), (3, 96)])
def test_it_takes_any_images_that_the_generator_makes(channels: int, side: int) -> None:
    classifier = features.Classifier(channels, side, 3).eval()
    assert classifier(torch.rand(2, channels, side, side)).shape == (2, 3)
    assert sum(weights.numel() for weights in classifier.parameters()) < 350_000
