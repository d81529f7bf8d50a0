"""What both networks learn from, by the loss contract: sum over images, number of images, sums for the log.

Adversarial losses are not additive in the whole: batch norm and penalties see one micro-batch. For equal micro-batches
1 and n processes agree all the same.

N images, C channels, S side in pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from shared.image.batches import ImageBatch
from torch import Tensor, nn

from shared.data.draws import Draws

from .data import Latent, augment
from .params import Train

NORM_EPS = 1e-12  # below a squared norm: the root has no slope at 0

Terms = tuple[Tensor, int, dict[str, Tensor]]


class Adversaries(NamedTuple):
    """discriminator: (N,) real and (N,) generated logits -> (N,) losses. generator: (N,) generated logits -> (N,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES = {
    # Goodfellow et al. 2014 (arXiv:1406.2661): -log D(x) - log(1 - D(G(z))), and -log D(G(z))
    "non_saturating": Adversaries(
        lambda real, fake: F.softplus(-real) + F.softplus(fake), lambda fake: F.softplus(-fake)
    ),
    # Lim & Ye 2017 (arXiv:1705.02894)
    "hinge": Adversaries(lambda real, fake: (1 - real).relu() + (1 + fake).relu(), lambda fake: -fake),
    # Arjovsky et al. 2017 (arXiv:1701.07875)
    "wasserstein": Adversaries(lambda real, fake: fake - real, lambda fake: -fake),
}


class DiscriminatorBatch(NamedTuple):
    """Real images and what as many are generated from.

    seed: of this step's augmentation and interpolation; penalised: whether it computes the penalty, for all steps until
    the next that does.
    """

    real: ImageBatch
    latent: Latent
    seed: int
    penalised: bool


class GeneratorBatch(NamedTuple):
    """What images are generated from; seed: of this step's augmentation."""

    latent: Latent
    seed: int


def discriminator_loss(model: nn.Module, batch: DiscriminatorBatch, *, generator: nn.Module, params: Train) -> Terms:
    """Of the discriminator, which learns, against a generator that stands still."""
    latent, place = batch.latent, batch.latent.place
    with torch.no_grad():
        fake = generator(latent.noise, latent.label)
    real = augment(batch.real.image, Draws(batch.seed, 0, place), params.augment)
    fake = augment(fake, Draws(batch.seed, 1, place), params.augment)
    real_logit, fake_logit = model(real, batch.real.label), model(fake, latent.label)
    total = LOSSES[params.loss].discriminator(real_logit, fake_logit).sum()
    added = torch.zeros_like(total)
    if batch.penalised:
        share = Draws(batch.seed, 2, place).uniform()
        added = (
            params.penalty_weight * params.penalty_steps * penalty(model, real, fake, batch.real.label, share, params)
        )
    logits = {"real_logit": real_logit.detach().sum(), "fake_logit": fake_logit.detach().sum()}
    return total + added, len(place), logits | {"penalty": added.detach()}


def generator_loss(model: nn.Module, batch: GeneratorBatch, *, discriminator: nn.Module, params: Train) -> Terms:
    """Of the generator, which learns, against a discriminator that stands still."""
    latent = batch.latent
    fake = augment(model(latent.noise, latent.label), Draws(batch.seed, 1, latent.place), params.augment)
    return LOSSES[params.loss].generator(discriminator(fake, latent.label)).sum(), len(latent.label), {}


def penalty(model: nn.Module, real: Tensor, fake: Tensor, label: Tensor, share: Tensor, params: Train) -> Tensor:
    """The sum over images of what keeps the discriminator's slope small, before its weight.

    r1: half of the squared slope at real images (Mescheder et al. 2018, arXiv:1801.04406). interpolates: the squared
    distance of the slope from 1, between a real and a generated image (Gulrajani et al. 2017, arXiv:1704.00028).

    Args:
        share: (N,) in [0, 1), of the real image in an interpolate.
    """
    if params.penalty == "r1":
        return squared_slope(model, real, label).sum() / 2
    between = torch.lerp(fake, real, share.view(-1, 1, 1, 1).to(real.dtype))
    return ((squared_slope(model, between, label) + NORM_EPS).sqrt() - 1).square().sum()


def squared_slope(model: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """(N,) squared norm of the logit's gradient by the image; itself differentiable by the weights.

    In full precision: fp16 has no room for squares of small gradients.
    """
    images = images.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        (slope,) = torch.autograd.grad(model(images, label).sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3))
