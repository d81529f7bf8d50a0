"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime
from shared.image.params import EvaluateImages, PrepareImages


class Fetch(Section):
    source: Literal["sample", "official"]
    dataset: Literal["mnist", "fashion_mnist"]  # which official one


class Model(Section):
    name: Literal["cnn", "mlp", "linear"]


class Train(FitParams):
    model: Model
    label_smoothing: float = Field(ge=0, lt=1)
    lr: float = Field(gt=0)  # of AdamW, at its highest
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0
    turn_deg: float = Field(ge=0, le=180)  # largest rotation of an image, either way
    zoom: float = Field(ge=0, lt=1)  # largest change of its size, as a fraction, either way
    translate_px: float = Field(ge=0)  # largest shift, in both directions


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareImages
    train: Train
    evaluate: EvaluateImages
    explain: Explain
    runtime: Runtime
