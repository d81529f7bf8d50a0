"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "official"]
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=10)  # sentences of the sample
    num_valid: int = Field(ge=10)
    num_test: int = Field(ge=10)


class Prepare(Section):
    seed: int = Field(ge=0)  # of the draws below
    encoder: str = Field(min_length=1)  # "words": LSTM from scratch; or a checkpoint: folder, hub id, package:<folder>
    max_tokens: int = Field(ge=8)  # of a sequence: words, or pieces of words for a checkpoint
    join_sentences: bool  # put sentences of one document together, up to max_tokens
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid file
    test_fraction: float = Field(gt=0, lt=1)  # of all documents, where the data has no test file
    learn_from_valid: bool  # make a given valid file part of train, once every choice is made
    max_words: int = Field(ge=1)  # of the vocabulary, the most frequent ones
    min_count: int = Field(ge=1)  # how often a word of the vocabulary occurs in train


class Model(Section):
    """Of the network from scratch; a checkpoint brings its own sizes, and takes `dropout` alone."""

    word_size: int = Field(ge=1)  # of a word's vector
    num_filters: int = Field(ge=1)  # of the characters' convolutions, of each width
    hidden_size: int = Field(ge=1)  # of an LSTM, in each direction
    word_dropout: float = Field(ge=0, lt=1)  # of the words' vectors: the same places throughout a sequence
    dropout: float = Field(ge=0, lt=1)  # of what each LSTM, or the checkpoint, gives


class Train(FitParams):
    model: Model
    forget_rate: float = Field(ge=0)  # r: a word that occurs n times in train becomes unknown in r of r + n cases
    blank_rate: float = Field(ge=0, lt=1)  # share of words that lose their letters too: explanations take words out
    lr: float = Field(gt=0)  # of AdamW, at its highest
    checkpoint_lr: float = Field(gt=0)  # of a checkpoint's own weights
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap
    batch_size: int = Field(ge=1)  # tokens with their padding
    num_worst: int = Field(ge=1)  # sentences of the most confident errors


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime
