"""Noise is drawn for the batch, augmentation for the sample; neither for the rank."""

import pytest
import torch
from torch import Tensor

from projects.fashion_gan.data import Latents, augment, share
from shared.data.draws import Draws
from shared.training.distributed import World

from .tiny import params

SAMPLE = torch.arange(12)
IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def moved(images: Tensor, sample: Tensor, translation: float = 0.25) -> Tensor:
    return augment(images, Draws(7, 0, sample), translation)


def test_an_image_is_moved_alike_in_any_batch() -> None:
    whole, order = moved(IMAGES, SAMPLE), torch.tensor([5, 2, 9])
    assert not torch.equal(whole, IMAGES)
    torch.testing.assert_close(moved(IMAGES[order], SAMPLE[order]), whole[order])
    torch.testing.assert_close(moved(IMAGES, SAMPLE, 0.0), IMAGES)


def test_its_gradient_is_that_of_finite_differences() -> None:
    images = IMAGES[:3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: moved(x, SAMPLE[:3]), images)


def test_autocast_does_not_change_what_the_discriminator_sees() -> None:
    images = IMAGES.float()
    with torch.autocast("cpu", torch.bfloat16):
        short = moved(images, SAMPLE)
    torch.testing.assert_close(short, moved(images, SAMPLE))


def test_translation_reaches_every_place_in_its_range_and_fills_with_grey() -> None:
    images = torch.zeros(200, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    result = moved(images, torch.arange(200), 1 / 8)
    places = (result == 1).nonzero()[:, 2:] - 8
    assert sorted({tuple(place) for place in places.tolist()}) == [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    height, width = places.abs().T
    assert torch.equal((result == 0.5).sum((1, 2, 3)), 16 * 16 - (16 - height) * (16 - width))


def latents(counts: list[int], seed: int = 0, size: int = 2) -> Latents:
    return Latents({"class_counts": counts, "model": {"latent_size": size}}, seed)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_ranks_and_micro_batches_get_shares_of_one_draw(size: int) -> None:
    chosen, drawn = params(batch_size=8, micro_batch_size=2).train, latents([3, 1])
    worlds = [World(rank, size, torch.device("cpu")) for rank in range(size)]
    shares = [part for world in worlds for part in share(drawn, chosen, world, "generator", 5)]
    assert {len(part["place"]) for part in shares} == {2}
    whole = drawn.draw(8, "generator", 5) | {"place": torch.arange(8)}
    for name, values in whole.items():
        assert torch.equal(torch.cat([part[name] for part in shares]), values), name


def test_draws_are_functions_of_seed_and_keys() -> None:
    first, again, other = (latents([1, 1], seed=3).draw(4, "a", key)["noise"] for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    many = latents([100, 0, 300], size=1).draw(20_000)
    assert many["noise"].mean().item() == pytest.approx(0, abs=0.03)
    assert many["noise"].std().item() == pytest.approx(1, abs=0.03)
    assert (many["label"].bincount(minlength=3) / 20_000).tolist() == pytest.approx([0.25, 0, 0.75], abs=0.01)
