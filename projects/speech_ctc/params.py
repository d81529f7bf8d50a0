"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.audio.params import Bands, Listening, SoundChanges
from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "digits"]  # the latter: strings of Free Spoken Digit recordings
    seed: int = Field(ge=0)  # of what is said, by whom, in which noise
    num_train: int = Field(ge=20)  # utterances
    num_test: int = Field(ge=10)
    test_speakers: list[str]  # of the digits, whose strings are the test; none: new recordings of known speakers


class Prepare(Listening):
    """No utterance is cut: those longer than max_seconds are refused."""

    seed: int = Field(ge=0)  # of the draws below
    frame_ms: float = Field(gt=0, le=200)  # from one output of the network to the next: a symbol takes one at least
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid split
    test_fraction: float = Field(gt=0, lt=1)  # of all, where the data has no test split


class Model(Section):
    width: int = Field(ge=4)  # channels of the first block of convolutions; the last one has four times as many
    hidden_size: int = Field(ge=4)  # of the GRU, in each direction
    dropout: float = Field(ge=0, lt=1)  # before and behind it


class Train(FitParams, SoundChanges):
    """batch_size and micro_batch_size are outputs of the network, padding included."""

    model: Model
    bands: Bands  # of the features, which have two frames for each output of the network
    lr: float = Field(gt=0)  # of AdamW, at its highest
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0
    beam: int = Field(ge=1)  # texts that decoding follows; 1: the most probable path alone
    word_weight: float = Field(ge=0)  # of the log probability of words after each other, as train has them; 0: none


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap
    batch_size: int = Field(ge=1)  # outputs of the network, padding included
    num_worst: int = Field(ge=1)  # utterances shown and played


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime
