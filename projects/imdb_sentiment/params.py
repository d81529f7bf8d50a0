"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime
from shared.text.params import PrepareTexts


class Fetch(Section):
    source: Literal["sample", "official"]
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=20)  # reviews of the sample
    num_test: int = Field(ge=20)


class Model(Section):
    name: Literal["bilstm", "ngrams", "checkpoint"]  # the last has its own sizes
    width: int = Field(ge=4)  # bilstm: numbers of a word's vector
    hidden: int = Field(ge=4)  # bilstm: numbers of a state, each direction
    word_dropout: float = Field(ge=0, lt=1)  # bilstm: share of the words that a step hides
    dropout: float = Field(ge=0, lt=1)  # bilstm: of states; ngrams: share of the n-grams that a step leaves out
    ngrams: int = Field(ge=1, le=5)  # ngrams: the longest, in words
    min_texts: int = Field(ge=1)  # ngrams: an n-gram of fewer training texts is unknown


class Train(FitParams):
    model: Model
    lr: float = Field(gt=0)  # of AdamW, at its highest
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap, and of the texts the baselines learn from
    batch_size: int = Field(ge=1)  # tokens with padding
    num_worst: int = Field(ge=1)  # most confident errors listed
    baseline_texts: int = Field(ge=10)  # training texts the linear baselines see at most


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: PrepareTexts
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime
