"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "official"]
    dataset: Literal["latest-small", "100k", "1m", "25m"]  # which official one
    seed: int = Field(ge=0)  # of the sample
    num_users: int = Field(ge=20)  # of the sample
    num_items: int = Field(ge=40)


class Prepare(Section):
    seed: int = Field(ge=0)  # of the division `random`
    division: Literal["new_users", "time", "last", "random"]  # see division.py
    test_fraction: float = Field(gt=0, lt=1)  # of the interactions, the latest; random: of each user's items
    valid_fraction: float = Field(ge=0, lt=1)  # new_users: of the other users, the latest; else of what is left
    fold_in: float = Field(gt=0, lt=1)  # new_users: share of their items, the first ones, to start from
    min_rating: float  # an interaction of a lower rating is no liking and is left out; 0: all count
    min_user_items: int = Field(ge=1)
    min_item_users: int = Field(ge=1)
    user_column: str  # names of columns, or without a header their numbers; "": recognised
    item_column: str
    rating_column: str
    time_column: str


class Model(Section):
    name: Literal["factors", "two_tower", "sequence"]  # a bag of the history; with item features; a Transformer
    size: int = Field(ge=2)  # of a vector
    dropout: float = Field(ge=0, lt=1)  # of the user's vector; sequence: of each block too
    num_blocks: int = Field(ge=1)  # sequence: Transformer blocks
    num_heads: int = Field(ge=1)
    max_history: int = Field(ge=1)  # the latest items of a user that are read


class Train(FitParams):
    model: Model
    hide: float = Field(gt=0, lt=1)  # factors, two_tower: share of a history that is to be found from the rest
    num_negatives: int = Field(ge=0)  # items drawn for the softmax of a step; 0: all items
    lr: float = Field(gt=0)  # of AdamW, at its highest
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap
    ease_penalties: list[float] = Field(min_length=1)  # the best on validation is taken, as of the next ones
    knn_shrinkages: list[float] = Field(min_length=1)
    als_alphas: list[float] = Field(min_length=1)  # how much more an item of the history weighs than another one
    als_penalties: list[float] = Field(min_length=1)
    als_size: int = Field(ge=1)  # of a vector of implicit ALS
    max_items: int = Field(ge=1)  # of the catalogue, for EASE and item-kNN, whose memory is its square
    num_worst: int = Field(ge=1)  # users shown


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime
