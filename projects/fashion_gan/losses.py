"""What both networks are trained on, by the loss contract: sum over images, number of images, sums for the log.

The R1 penalty is no mean over items of one forward, but additive all the same; batch norm in the generator is not: it
sees one micro-batch. For equal micro-batches 1 and n processes agree.

N images, C channels, S side in pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.data.draws import Draws

from .data import augment
from .params import Train

Terms = tuple[Tensor, int, dict[str, Tensor]]


class Losses(NamedTuple):
    """discriminator: (N,) real and (N,) generated logits -> (N,) losses. generator: (N,) generated logits -> (N,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES = {
    # Goodfellow et al. 2014 (arXiv:1406.2661): -log D(x) - log(1 - D(G(z))), and -log D(G(z))
    "non_saturating": Losses(lambda real, fake: F.softplus(-real) + F.softplus(fake), lambda fake: F.softplus(-fake)),
    # Lim & Ye 2017 (arXiv:1705.02894)
    "hinge": Losses(lambda real, fake: (1 - real).relu() + (1 + fake).relu(), lambda fake: -fake),
}


def discriminator_loss(
    model: nn.Module, batch: Batch, *, generator: nn.Module, params: Train, seed: int, penalised: bool
) -> Terms:
    """Of the discriminator; the generator gets no gradients.

    Args:
        batch: real images, image (N, C, S, S) and real_label (N,); noise, label and place of as many generated ones.
        seed: of this step's augmentation.
        penalised: whether this step computes the R1 penalty.
    """
    with torch.no_grad():
        fake = generator(batch["noise"], batch["label"])
    real = augment(batch["image"], Draws(seed, 0, batch["place"]), params.translation)
    fake = augment(fake, Draws(seed, 1, batch["place"]), params.translation)
    real_logit, fake_logit = model(real, batch["real_label"]), model(fake, batch["label"])
    total = LOSSES[params.loss].discriminator(real_logit, fake_logit).sum()
    penalty = torch.zeros_like(total)
    if penalised:
        penalty = params.r1_weight * params.r1_steps * r1_penalty(model, real, batch["real_label"])
    logits = {"real_logit": real_logit.detach().sum(), "fake_logit": fake_logit.detach().sum()}
    return total + penalty, len(real), logits | {"penalty": penalty.detach()}


def generator_loss(model: nn.Module, batch: Batch, *, discriminator: nn.Module, params: Train, seed: int) -> Terms:
    """Of the generator, on noise, label and place; the discriminator's weights get no gradients."""
    fake = augment(model(batch["noise"], batch["label"]), Draws(seed, 1, batch["place"]), params.translation)
    return LOSSES[params.loss].generator(discriminator(fake, batch["label"])).sum(), len(fake), {}


def r1_penalty(model: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """Half the squared norm of the logit's gradient by a real image, summed over images (Mescheder et al. 2018,
    arXiv:1801.04406); itself differentiable by the weights.

    In full precision: fp16 has no room for squares of small gradients.
    """
    images = images.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        (slope,) = torch.autograd.grad(model(images, label).sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3)).sum() / 2
