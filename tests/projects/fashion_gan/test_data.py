"""Noise is drawn for the batch, augmentation for the sample; neither for the rank."""

import pytest
import torch
from torch import Tensor

from projects.fashion_gan.data import AUGMENTATIONS, Latents, augment
from shared.data.draws import Draws
from shared.training.distributed import World

from .tiny import params

SAMPLE = torch.arange(12)
IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seen(images: Tensor, sample: Tensor, *kinds: str) -> Tensor:
    return augment(images, Draws(7, 0, sample), kinds)


@pytest.mark.parametrize("kind", sorted(AUGMENTATIONS))
def test_a_sample_is_augmented_alike_in_whatever_batch(kind: str) -> None:
    whole = seen(IMAGES, SAMPLE, kind)
    assert not torch.equal(whole, IMAGES)
    order = torch.tensor([5, 2, 9])
    torch.testing.assert_close(seen(IMAGES[order], SAMPLE[order], kind), whole[order])


@pytest.mark.parametrize("kind", sorted(AUGMENTATIONS))
def test_gradients_pass(kind: str) -> None:
    images = IMAGES[:3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: seen(x, SAMPLE[:3], kind), images)


def test_nothing_is_done_unasked() -> None:
    torch.testing.assert_close(seen(IMAGES, SAMPLE), IMAGES)


@pytest.mark.parametrize("kind", sorted(AUGMENTATIONS))
def test_autocast_does_not_shorten_what_the_discriminator_sees(kind: str) -> None:
    images = IMAGES.float()
    with torch.autocast("cpu", torch.bfloat16):
        short = seen(images, SAMPLE, kind)
    torch.testing.assert_close(short, seen(images, SAMPLE, kind))


def test_translation_moves_by_up_to_an_eighth_and_fills_with_grey() -> None:
    images = torch.zeros(200, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    moved = seen(images, torch.arange(200), "translation")
    places = (moved == 1).nonzero()[:, 2:] - 8
    assert sorted({tuple(place) for place in places.tolist()}) == [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    grey = (moved == 0.5).sum((1, 2, 3))
    height, width = places.abs().T
    assert torch.equal(grey, 16 * 16 - (16 - height) * (16 - width))


def test_cutout_takes_a_square_of_half_the_side() -> None:
    cut = seen(torch.zeros(300, 1, 16, 16), torch.arange(300), "cutout")
    sizes = (cut == 0.5).sum((1, 2, 3))
    assert sizes.max() == 8 * 8
    assert sizes.min() == 4 * 4  # around a corner


def test_colours_keep_the_place_and_a_flat_image_flat() -> None:
    flat = torch.full((50, 3, 4, 4), 0.5)
    changed = seen(flat, torch.arange(50), "colour")
    torch.testing.assert_close(changed, changed[:, :1, :1, :1].expand_as(changed))
    assert (changed - 0.5).abs().max() <= 0.25


@pytest.mark.parametrize("size", [1, 2, 4])
def test_ranks_and_micro_batches_take_shares_of_one_draw(size: int) -> None:
    chosen = params(batch_size=8, micro_batch_size=2).train
    whole = Latents(chosen, [3, 1], World(0, 1, torch.device("cpu"))).draw(8, "generator", 5)
    shares = [
        part
        for rank in range(size)
        for part in Latents(chosen, [3, 1], World(rank, size, torch.device("cpu"))).share("generator", 5)
    ]
    assert {len(part.place) for part in shares} == {2}
    for index, name in enumerate(whole._fields):
        assert torch.equal(torch.cat([part[index] for part in shares]), whole[index]), name
    assert whole.place.tolist() == list(range(8))
