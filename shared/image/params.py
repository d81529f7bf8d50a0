"""Params of image classifiers."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section


class Reading(Section):
    """How an image file becomes an array, the same for training data and for prediction."""

    image_size: int = Field(ge=8, le=1024)  # px, both sides
    channels: Literal[1, 3]  # grey or RGB
    fit: Literal["crop", "pad", "squash"]  # to a square: its centre, the whole with borders, the whole distorted
    ground: int = Field(ge=0, le=255)  # grey level behind transparency and of those borders: 0 black, 255 white
    white: float = Field(gt=0)  # the number that is white, in files of more than 8 bits; 0 is black


class PrepareImages(Reading):
    """A project's `prepare` section, for labelled images."""

    seed: int = Field(ge=0)  # of the draws below
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid folder
    test_fraction: float = Field(gt=0, lt=1)  # of all images, where the data has no test folder


class EvaluateImages(Section):
    """A project's `evaluate` section, for labelled images."""

    seed: int = Field(ge=0)  # of the bootstrap and the baseline
    batch_size: int = Field(ge=1)
    num_worst: int = Field(ge=1)  # pictures of the most confident errors
    baseline_images: int = Field(ge=10)  # most training images of the linear baseline
