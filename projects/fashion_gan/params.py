"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core import sections as explain
from shared.core.params import Section
from shared.core.sections import Runtime, TrainParams
from shared.image.params import PrepareImages


class Fetch(Section):
    source: Literal["sample", "official"]
    dataset: Literal["fashion_mnist", "mnist", "cifar10"]  # which official one


class Model(Section):
    name: Literal["dcgan", "residual"]
    width: int = Field(ge=1)  # channels at half of the image's side and above; twice as many at each smaller side
    latent_size: int = Field(ge=1)  # numbers of noise that an image is made of
    conditional: bool  # whether both networks are told the class
    normalise: Literal["batch", "spectral", "none"]  # what keeps the discriminator in bounds


class Train(TrainParams):
    model: Model
    loss: Literal["non_saturating", "hinge", "wasserstein"]
    penalty: Literal["none", "r1", "interpolates"]  # on the discriminator's gradient; WGAN-GP takes interpolates
    penalty_weight: float = Field(ge=0)
    penalty_steps: int = Field(ge=1)  # it is computed at every n-th step, n times as heavy
    augment: list[Literal["colour", "translation", "cutout"]]  # what the discriminator sees, real and generated
    discriminator_lr: float = Field(gt=0)  # of Adam, at its highest
    generator_lr: float = Field(gt=0)
    beta1: float = Field(ge=0, lt=1)  # of both
    beta2: float = Field(ge=0, lt=1)
    discriminator_steps: int = Field(ge=1)  # for one of the generator
    sample_epochs: float = Field(gt=0)  # between two grids of samples


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the classifier, of what is generated and of the bootstrap
    batch_size: int = Field(ge=1)  # images generated and judged at once
    num_images: int = Field(ge=10)  # of each kind; no more than the test or the training images
    classifier_epochs: float = Field(gt=0)  # of the classifier in whose features the figures are taken
    inception: str  # FID and KID too: a file of Inception's weights, or "download"; "": none


class Explain(explain.Explain):
    num_noises: int = Field(ge=2)  # that directions are found on, and as many others that they are tested on
    num_directions: int = Field(ge=1)  # shown, those that change images most


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareImages
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime


def halvings(side: int) -> int | None:
    """How often a side can be halved until 4 to 7 px are left, at least once; None where it cannot.

    >>> halvings(28), halvings(64), halvings(30)
    (2, 4, None)
    """
    number = 0
    while side > 7:
        if side % 2:
            return None
        side, number = side // 2, number + 1
    return number if number else None
