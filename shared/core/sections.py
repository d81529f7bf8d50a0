"""Sections of params.yaml that every project has; a project adds its own keys."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section


class TrainParams(Section):
    """The keys of a project's `train` section that every training loop reads."""

    seed: int = Field(ge=0)
    epochs: float = Field(gt=0)  # passes over the training data; a fraction ends inside one
    batch_size: int = Field(ge=1)  # samples, or their padded cost, of one update: all processes and micro-batches
    micro_batch_size: int = Field(ge=1)  # the same of one forward in one process; batch norm groups are this large
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp64"]
    ema_decay: float = Field(ge=0, lt=1)  # of the averaged weights that are validated and kept; 0: none


class FitParams(TrainParams):
    """The keys that `fit()` reads in addition."""

    clip_norm: float = Field(ge=0)  # largest gradient norm; 0: no clipping
    validate_epochs: float = Field(gt=0)  # from one validation to the next
    monitor: str  # the validation metric that chooses; its name says which values are better (headline.py)
    keep: Literal["best", "last"]  # which weights are the result
    patience: int = Field(ge=0)  # validations without improvement before training stops; 0: never stops early


class Runtime(Section):
    """Settings that do not change results: no stage depends on them and no fingerprint includes them."""

    device: str  # auto, cpu, cuda, mps
    processes: Literal["auto"] | int  # auto: one a GPU, or one
    workers: int = Field(ge=0)  # processes that read ahead from the disk; 0: all data lie on the device
    log_steps: int = Field(ge=1)
    checkpoint_steps: int = Field(ge=1)
    profile: bool


class Explain(Section):
    """The keys of a project's `explain` section."""

    seed: int = Field(ge=0)
    methods: list[str] = Field(min_length=1)
    num_scored: int = Field(ge=1)  # of the test split, that the faithfulness figures are computed over
    num_shown: int = Field(ge=1)  # on the page, half of them errors if there are enough
    num_randomised: int = Field(ge=1)  # weight-randomised models to compare with
