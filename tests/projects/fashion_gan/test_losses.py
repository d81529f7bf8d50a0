"""Losses against values by hand, the penalty against that of a linear discriminator."""

import math

import pytest
import torch
from torch import Tensor, nn

from projects.fashion_gan.losses import LOSSES, discriminator_loss, generator_loss, r1_penalty

from .tiny import params

LABEL = torch.zeros(3, dtype=torch.int64)
LATENT = {"noise": torch.zeros(3, 1), "label": LABEL, "place": torch.arange(3)}


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


@pytest.mark.parametrize(
    ("name", "of_discriminator", "of_generator"),
    [
        ("non_saturating", [softplus(-2) + softplus(0.5), softplus(1) + softplus(-3)], [softplus(-0.5), softplus(3)]),
        ("hinge", [0 + 1.5, 2 + 0], [-0.5, 3]),
    ],
)
def test_values(name: str, of_discriminator: list[float], of_generator: list[float]) -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    assert LOSSES[name].discriminator(real, fake).tolist() == pytest.approx(of_discriminator)
    assert LOSSES[name].generator(fake).tolist() == pytest.approx(of_generator)


class Linear(nn.Module):
    """D(x) = w . x: its gradient by the image is w everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 1, 4, 4, dtype=torch.float64))

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return (images * self.weight).sum((1, 2, 3))


class Cubic(nn.Module):
    """D(x) = sum (w x)^3: its gradient by the image depends on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 1, 4, 4, dtype=torch.float64))

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return (images * self.weight).pow(3).sum((1, 2, 3))


class Fixed(nn.Module):
    """A generator of fixed images."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return 1 * self.images


def images(seed: int) -> Tensor:
    return torch.rand(3, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_r1_of_a_linear_discriminator_and_its_gradient() -> None:
    model = Linear()
    value = r1_penalty(model, images(0), LABEL)
    torch.testing.assert_close(value, 3 * model.weight.square().sum() / 2)
    torch.testing.assert_close(torch.autograd.grad(value, model.weight)[0], 3 * model.weight.detach())


def test_the_gradient_of_r1_is_that_of_finite_differences() -> None:
    model = Cubic()
    (found,) = torch.autograd.grad(r1_penalty(model, images(0), LABEL), model.weight)
    step = 1e-6
    for place in ((0, 0, 0, 0), (0, 0, 2, 3)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                model.weight[place] += sign * step
            ends.append(r1_penalty(model, images(0), LABEL).item())
            with torch.no_grad():
                model.weight[place] -= sign * step
        assert found[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_r1_is_computed_in_full_precision() -> None:
    model = Cubic().float()
    exact = r1_penalty(model, images(0).float(), LABEL)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(r1_penalty(model, images(0).float(), LABEL), exact)


@pytest.mark.parametrize("penalised", [False, True])
def test_the_discriminators_loss_is_the_sum_with_the_weighted_penalty(penalised: bool) -> None:
    real, generator, model = images(0), Fixed(images(1)), Linear()
    chosen = params(loss="hinge", r1_weight=0.5, r1_steps=4).train
    total, count, extras = discriminator_loss(
        model, LATENT | {"image": real, "real_label": LABEL}, generator=generator, params=chosen, seed=5,
        penalised=penalised,
    )  # fmt: skip
    expected = LOSSES["hinge"].discriminator(model(real, LABEL), model(images(1), LABEL)).sum()
    added = 0.5 * 4 * 3 * model.weight.square().sum() / 2 if penalised else torch.zeros_like(expected)
    torch.testing.assert_close(total, expected + added)
    torch.testing.assert_close(extras["penalty"], added.detach())
    assert count == 3
    total.backward()  # type: ignore[no-untyped-call]
    assert generator.images.grad is None


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_generators_loss_raises_the_logit(name: str) -> None:
    model, generator = Linear().requires_grad_(False), Fixed(images(1))
    total, count, _ = generator_loss(generator, LATENT, discriminator=model, params=params(loss=name).train, seed=5)
    total.backward()  # type: ignore[no-untyped-call]
    assert generator.images.grad is not None
    raised = images(1) - 1e-3 * generator.images.grad
    assert count == 3
    assert (model(raised, LABEL) > model(images(1), LABEL)).all()
