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
    name: Literal["bilstm", "bigru", "cnn", "transformer", "ngrams", "checkpoint"]  # the last has its own sizes
    width: int = Field(ge=4)  # numbers of a word's vector
    hidden: int = Field(ge=4)  # states a direction, filters of each width, or units between a Transformer's layers
    layers: int = Field(ge=1)  # of the recurrent nets and the Transformer
    heads: int = Field(ge=1)  # of the Transformer
    dropout: float = Field(ge=0, lt=1)  # between layers and before the head; of n-grams: the share a step leaves out
    word_dropout: float = Field(ge=0, lt=1)  # share of the words that a step hides; of the first four
    ngrams: int = Field(ge=1, le=4)  # the longest, in words
    buckets: int = Field(ge=1)  # rows that all n-grams share


class Train(FitParams):
    model: Model
    label_smoothing: float = Field(ge=0, lt=1)
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
