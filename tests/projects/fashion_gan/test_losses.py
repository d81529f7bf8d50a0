"""Losses against values by hand, penalties against those of a linear discriminator."""

import math

import pytest
import torch
from shared.image.batches import ImageBatch
from torch import Tensor, nn

from projects.fashion_gan.data import Latent
from projects.fashion_gan.losses import (
    LOSSES,
    DiscriminatorBatch,
    GeneratorBatch,
    discriminator_loss,
    generator_loss,
    penalty,
    squared_slope,
)

from .tiny import params

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


@pytest.mark.parametrize(
    ("name", "of_discriminator", "of_generator"),
    [
        (
            "non_saturating",
            [softplus(-2) + softplus(0.5), softplus(1) + softplus(-3)],
            [softplus(-0.5), softplus(3)],
        ),
        ("hinge", [0 + 1.5, 2 + 0], [-0.5, 3]),
        ("wasserstein", [-1.5, -2], [-0.5, 3]),
    ],
)
def test_values(name: str, of_discriminator: list[float], of_generator: list[float]) -> None:
    assert LOSSES[name].discriminator(REAL, FAKE).tolist() == pytest.approx(of_discriminator)
    assert LOSSES[name].generator(FAKE).tolist() == pytest.approx(of_generator)


class Linear(nn.Module):
    """D(x) = w . x: its gradient by the image is w, wherever."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 1, 4, 4, dtype=torch.float64))

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return (images * self.weight).sum((1, 2, 3))


class Square(nn.Module):
    """D(x) = |x|^2 / 2: its gradient by the image is the image."""

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return images.square().sum((1, 2, 3)) / 2


def some(number: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    real, fake = torch.rand(2, number, 1, 4, 4, dtype=torch.float64)
    return real, fake, torch.zeros(number).long(), torch.rand(number)


def test_r1_of_a_linear_discriminator_and_its_gradient() -> None:
    real, fake, label, share = some()
    model = Linear()
    value = penalty(model, real, fake, label, share, params(penalty="r1").train)
    torch.testing.assert_close(value, 3 * model.weight.square().sum() / 2)
    value.backward()
    torch.testing.assert_close(model.weight.grad, 3 * model.weight.detach())


def test_the_penalty_on_interpolates_of_a_linear_discriminator_and_its_gradient() -> None:
    real, fake, label, share = some()
    model = Linear()
    value = penalty(model, real, fake, label, share, params(penalty="interpolates").train)
    norm = model.weight.detach().norm()
    torch.testing.assert_close(value, 3 * (norm - 1) ** 2)
    value.backward()
    torch.testing.assert_close(model.weight.grad, 3 * 2 * (norm - 1) * model.weight.detach() / norm)


def test_r1_looks_at_real_images_and_the_other_between() -> None:
    real, fake, label, share = some()
    r1 = penalty(Square(), real, fake, label, share, params(penalty="r1").train)
    torch.testing.assert_close(r1, real.square().sum() / 2)
    ratio = share.double().view(-1, 1, 1, 1)
    between = (ratio * real + (1 - ratio) * fake).flatten(1).norm(dim=1)
    value = penalty(Square(), real, fake, label, share, params(penalty="interpolates").train)
    torch.testing.assert_close(value, (between - 1).square().sum())


def test_a_slope_of_0_has_a_finite_gradient() -> None:
    real, fake, label, share = some()
    model = Linear()
    model.weight.data.zero_()
    penalty(model, real, fake, label, share, params(penalty="interpolates").train).backward()
    assert model.weight.grad is not None
    assert model.weight.grad.isfinite().all()


def test_slopes_are_taken_in_full_precision() -> None:
    real, *_, label, _ = some()
    with torch.autocast("cpu", torch.bfloat16):
        slope = squared_slope(Square(), real.float(), label)
    torch.testing.assert_close(slope, real.float().square().sum((1, 2, 3)))


class Fixed(nn.Module):
    """A generator of fixed images."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return 1 * self.images


def batch(number: int = 3, penalised: bool = False) -> tuple[DiscriminatorBatch, nn.Module]:
    real, fake, label, _ = some(number)
    latent = Latent(torch.zeros(number, 1), label, torch.arange(number))
    return DiscriminatorBatch(ImageBatch(real, label, torch.arange(number)), latent, 5, penalised), Fixed(fake)


@pytest.mark.parametrize("penalised", [False, True])
def test_the_discriminators_loss_is_the_sum_with_the_weighted_penalty(penalised: bool) -> None:
    given, generator = batch(penalised=penalised)
    chosen = params(loss="wasserstein", penalty="r1", penalty_weight=0.5, penalty_steps=4, augment="[]").train
    model = Linear()
    total, count, extras = discriminator_loss(model, given, generator=generator, params=chosen)
    fake = generator(None, None)
    expected = model(fake, None).sum() - model(given.real.image, None).sum()
    added = 0.5 * 4 * 3 * model.weight.square().sum() / 2 if penalised else torch.zeros_like(expected)
    torch.testing.assert_close(total, expected + added)
    torch.testing.assert_close(extras["penalty"], added.detach())
    assert count == 3
    total.backward()
    assert generator.get_parameter("images").grad is None  # it stands still


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_generator_learns_to_raise_the_logit(name: str) -> None:
    given, generator = batch()
    model, drawn = Linear().requires_grad_(False), GeneratorBatch(given.latent, 5)
    total, count, _ = generator_loss(
        generator, drawn, discriminator=model, params=params(loss=name, augment="[]").train
    )
    total.backward()
    images = generator(None, None).detach()
    raised = images - 1e-3 * generator.get_parameter("images").grad
    assert count == 3
    assert (model(raised, None) > model(images, None)).all()
