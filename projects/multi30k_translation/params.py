"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "official"]
    language: Literal["de", "fr", "cs"]  # of Multi30k, beside English; which is the source is said in prepare
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=20)  # sentence pairs of the sample
    num_valid: int = Field(ge=10)
    num_test: int = Field(ge=10)


class Prepare(Section):
    seed: int = Field(ge=0)  # of the draws below
    source_language: str = Field(min_length=1)  # suffix of the file, name of the column, xml:lang of TMX
    target_language: str = Field(min_length=1)
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid split
    test_fraction: float = Field(gt=0, lt=1)  # of all pairs, where the data has no test split
    pieces: str = Field(min_length=1)  # bpe or unigram: learned; or a checkpoint: folder, hub id, package:<folder>
    num_pieces: int = Field(ge=64)  # of a learned vocabulary, both languages together
    max_tokens: int = Field(ge=8)  # of a side, its end included; the rest is cut off, and counted
    max_ratio: float = Field(gt=1)  # of a pair's characters, longer side to shorter; train leaves out what has more


class Model(Section):
    """Of the networks from scratch; a checkpoint has its own sizes."""

    name: Literal["transformer", "gru", "checkpoint"]  # the last: the one that prepare.pieces names
    width: int = Field(ge=4)  # of an embedding and of every layer
    num_heads: int = Field(ge=1)  # transformer
    num_encoder_layers: int = Field(ge=1)
    num_decoder_layers: int = Field(ge=1)  # transformer; the GRU's decoder has one
    feedforward: int = Field(ge=4)  # transformer: inner size
    dropout: float = Field(ge=0, lt=1)


class Train(FitParams):
    model: Model
    lr: float = Field(gt=0)  # of AdamW, at its highest
    muon_lr: float = Field(ge=0)  # of Muon, likewise, for the matrices of the layers; 0: AdamW for all weights
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0
    label_smoothing: float = Field(ge=0, lt=1)
    blank_rate: float = Field(ge=0, lt=1)  # share of tokens read that become unknown, as explain removes words
    average_last: int = Field(ge=1)  # checkpoints, one an epoch, whose mean is the result; 1: the last alone


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap
    batch_size: int = Field(ge=1)  # source tokens with padding, times beams, decoded at once
    beam: int = Field(ge=1)  # translations of a sentence that are followed at once; 1: greedy
    length_penalty: float = Field(ge=0)  # exponent a of ((5 + length) / 6)^a, by which log-probabilities are divided
    num_worst: int = Field(ge=1)  # sentences shown, as many of the best


class ExplainWords(Explain):
    num_aligned: int = Field(ge=1)  # sentences: all their words are aligned, one of each is scored


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: ExplainWords
    runtime: Runtime
