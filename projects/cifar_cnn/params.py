"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime
from shared.image.params import EvaluateImages, PrepareImages


class Fetch(Section):
    source: Literal["sample", "official"]
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=10)  # images of the sample
    num_test: int = Field(ge=10)


class Model(Section):
    name: str  # "compact", or a torchvision classifier such as "resnet18"
    width: int = Field(ge=4)  # channels of the compact net's first block; the others have 4 times as many


class Train(FitParams):
    model: Model
    label_smoothing: float = Field(ge=0, lt=1)
    translate_px: int = Field(ge=0)
    flip: bool  # mirror images, in training and among the views
    views: Literal[1, 2, 6]  # of an image, which predictions average: itself, and mirrored, and shifted
    small_px: int = Field(ge=16)  # size of images in the first epochs
    small_epochs: float = Field(ge=0)  # how many epochs that is
    filter_lr: float = Field(gt=0)  # Muon, of the convolutions
    bias_lr: float = Field(gt=0)  # SGD, of normalisation layers and biases
    head_lr: float = Field(gt=0)  # SGD, of the last layer
    adamw_lr: float = Field(gt=0)  # AdamW, of a torchvision classifier in place of the three
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareImages
    train: Train
    evaluate: EvaluateImages
    explain: Explain
    runtime: Runtime
