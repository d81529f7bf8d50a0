"""What preparing texts reads of params.yaml."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section


class PrepareTexts(Section):
    """A project's `prepare` section, for labelled texts."""

    seed: int = Field(ge=0)  # of the draws below
    text_column: str  # of tables and JSON lines
    label_column: str
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid split
    test_fraction: float = Field(gt=0, lt=1)  # of all texts, where the data has no test split
    tokenizer: Literal["words", "lower_words", "checkpoint"]
    checkpoint: str  # of the tokenizer and the model, where these are "checkpoint": see shared/text/pretrained.py
    max_words: int = Field(ge=1)  # of the vocabulary, the most frequent ones
    min_count: int = Field(ge=1)  # how often a word must stand in train
    max_tokens: int = Field(ge=8)  # of a text; the rest is cut off, and counted
