"""Params of image classifiers."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section


class PrepareImages(Section):
    """A project's `prepare` section, for labelled images."""

    seed: int = Field(ge=0)  # of the draws below
    image_size: int = Field(ge=8, le=1024)  # px, both sides
    channels: Literal[1, 3]  # grey or RGB
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid folder
    test_fraction: float = Field(gt=0, lt=1)  # of all images, where the data has no test folder


class EvaluateImages(Section):
    """A project's `evaluate` section, for labelled images."""

    seed: int = Field(ge=0)  # of the bootstrap and the baseline
    batch_size: int = Field(ge=1)
    num_worst: int = Field(ge=1)  # pictures of the most confident errors
    baseline_images: int = Field(ge=10)  # most training images of the linear baseline
