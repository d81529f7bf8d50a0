"""The classifier in whose features images are compared."""

import pytest
import torch
from torch import Tensor

from projects.fashion_gan import features

from . import tiny

CPU = torch.device("cpu")


def trained(images: Tensor, labels: Tensor, num_classes: int) -> features.Classifier:
    params = tiny.params(evaluate__classifier_epochs=15.0).evaluate
    return features.train_classifier(images, labels, num_classes, params, CPU)


def test_it_classifies_unseen_images_and_is_the_same_when_trained_again() -> None:
    train, test = tiny.bars(160, 0), tiny.bars(40, 1)
    classifier = trained(*train, 2)
    assert features.accuracy(classifier, *test, 16) > 0.9
    found, labels = features.describe_images(classifier, test[0], 16)
    assert (found.shape, found.dtype) == ((40, features.NUM_FEATURES), torch.float64)
    other, _ = features.describe_images(classifier, test[0], 7)
    torch.testing.assert_close(other, found, rtol=1e-4, atol=1e-4)
    assert (labels == test[1]).double().mean() > 0.9
    states = zip(classifier.state_dict().values(), trained(*train, 2).state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in states)


def test_without_classes_it_learns_quarter_turns() -> None:
    images, labels = torch.full((160, 1, 8, 8), 30, dtype=torch.uint8), torch.zeros(160, dtype=torch.int64)
    images[:, :, :3] = torch.randint(150, 255, (160, 1, 3, 8), generator=torch.Generator().manual_seed(0))  # on top
    classifier = trained(images, labels, 1)
    assert classifier.head.out_features == features.TURNS
    assert features.accuracy(classifier, images, labels, 32) > 0.9


def test_quarter_turns_are_against_the_clock() -> None:
    images = torch.arange(4).view(1, 1, 2, 2).expand(4, -1, -1, -1)
    turned = features.turned(images, torch.arange(4)).flatten(1).tolist()
    assert turned == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (1, 8), (1, 28), (3, 32), (3, 96)])
def test_it_takes_any_images_that_the_generator_makes(channels: int, side: int) -> None:
    classifier = features.Classifier(channels, side, 3).eval()
    assert classifier(torch.rand(2, channels, side, side)).shape == (2, 3)
    assert sum(weights.numel() for weights in classifier.parameters()) < 350_000
