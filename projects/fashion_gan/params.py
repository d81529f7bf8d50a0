"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, Runtime, TrainParams
from shared.image.params import PrepareImages


class Fetch(Section):
    source: Literal["sample", "official"]


class Model(Section):
    width: int = Field(ge=1)  # channels at half of the side; twice as many at each smaller one, up to 8 times
    latent_size: int = Field(ge=1)  # numbers of noise that an image is made of
    conditional: bool  # whether both networks get the class


class Train(TrainParams):
    model: Model
    loss: Literal["non_saturating", "hinge"]
    r1_weight: float = Field(ge=0)  # of the R1 penalty on the discriminator; 0: none
    r1_steps: int = Field(ge=1)  # the penalty is computed at every n-th step, n times as heavy
    translation: float = Field(ge=0, lt=1)  # of all that the discriminator sees, by a fraction of the side; 0: none
    lr: float = Field(gt=0)  # of Adam, for both networks, at its highest
    sample_epochs: float = Field(gt=0)  # between two grids of samples, and between two validations


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the classifier, of the generated images and of the bootstrap
    batch_size: int = Field(ge=1)
    num_images: int = Field(ge=10)  # of each kind; no more than the test or the training images
    classifier_epochs: float = Field(gt=0)  # of the classifier whose features the metrics are computed in


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareImages
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime


def num_doublings(side: int) -> int | None:
    """How many times a map of 4 to 7 px is doubled to reach a side, at least once; None where it cannot be reached.

    >>> num_doublings(28), num_doublings(64), num_doublings(30)
    (2, 4, None)
    """
    number = side.bit_length() - 3  # 4 to 7 have three bits
    return number if number > 0 and side % 2**number == 0 else None
