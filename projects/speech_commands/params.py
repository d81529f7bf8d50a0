"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.audio.params import Mel, PrepareSounds, SoundChanges
from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "official", "fsdd"]  # Speech Commands version 2; the Free Spoken Digit recordings
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=20)  # recordings of the sample
    num_test: int = Field(ge=20)
    test_speakers: list[str]  # of the digits, whose recordings are the test; none: the official split


class Model(Section):
    width: int = Field(ge=4)  # channels of the first block; the others have twice and three times as many
    recurrent_size: int = Field(ge=0)  # of a GRU behind the convolutions, in each direction; 0: none
    dropout: float = Field(ge=0, lt=1)  # before the last layer


class Train(FitParams, SoundChanges):
    model: Model
    mel: Mel
    label_smoothing: float = Field(ge=0, lt=1)
    lr: float = Field(gt=0)  # of AdamW, at its highest
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0
    shift_ms: float = Field(ge=0)  # a recording is moved by up to this much within its length
    mix_share: float = Field(ge=0, le=1)  # of the recordings that are mixed with another one, and their labels (mixup)


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap, and of the noise
    batch_size: int = Field(ge=1)  # recordings
    num_worst: int = Field(ge=1)  # most confident errors shown and played
    snr_db: list[float]  # of noise that is added to the test recordings, for the robustness curve
    stream_seconds: float = Field(ge=0)  # length of the stream that detection is measured on; 0: none


class ExplainSounds(Explain):
    keep_fraction: float = Field(gt=0, lt=1)  # of the parts, the most important, that are played and classified again


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareSounds
    train: Train
    evaluate: Evaluate
    explain: ExplainSounds
    runtime: Runtime
