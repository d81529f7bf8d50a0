"""Augmentation has exact values, as a function of (seed, epoch, sample)."""

import pytest
import torch
import torch.nn.functional as F

from shared.data.draws import Draws
from shared.image.augment import flip, resize, translate


@pytest.fixture
def images():
    return torch.randint(0, 256, (40, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws(count=40, epoch=0):
    return Draws(0, epoch, torch.arange(count))


def test_translate_is_a_crop_of_the_reflected_image(images):
    rows, columns = (lambda d: (d.integers(-2, 2), d.integers(-2, 2)))(draws())
    padded = F.pad(images.float(), (2, 2, 2, 2), mode="reflect").byte()
    expected = [padded[i, :, 2 + r : 11 + r, 2 + c : 9 + c] for i, (r, c) in enumerate(zip(rows, columns, strict=True))]
    assert torch.equal(translate(images, draws(), 2), torch.stack(expected))


def test_two_epochs_show_each_image_both_ways(images):
    first, second = flip(images, draws(), 0), flip(images, draws(), 1)
    assert torch.equal(first, second.flip(-1))
    mirrored = (first == images.flip(-1)).flatten(1).all(1)
    assert ((first == images).flatten(1).all(1) | mirrored).all()
    assert 8 < mirrored.sum() < 32


@pytest.mark.parametrize("augment", [lambda x, d: flip(x, d, 0), lambda x, d: translate(x, d, 2)])
def test_a_sample_is_augmented_the_same_in_any_company(images, augment):
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    whole = augment(images, draws())
    assert torch.equal(augment(images[order], Draws(0, 0, order)), whole[order])


def test_resize_keeps_the_mean(images):
    small = resize(images.float(), 4)
    assert small.shape == (40, 3, 4, 4)
    assert small.mean().item() == pytest.approx(images.float().mean().item(), rel=0.03)
