"""Params of sound classifiers."""

from pydantic import Field

from shared.core.params import Section


class Listening(Section):
    """How a recording becomes samples, the same for training data and for prediction."""

    rate_hz: int = Field(ge=4000, le=48000)  # that everything is resampled to
    max_seconds: float = Field(gt=0, le=30)  # of a clip; of a longer one the loudest part of this length is kept


class PrepareSounds(Listening):
    """A project's `prepare` section, for labelled recordings."""

    seed: int = Field(ge=0)  # of the draws below
    path_column: str  # of tables
    label_column: str
    speaker_column: str  # used where a table has it: recordings of one speaker stay in one split
    speaker_pattern: str  # regular expression: its first group in a file's name is the speaker; "": none
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid split
    test_fraction: float = Field(gt=0, lt=1)  # of all, where the data has no test split


class Mel(Section):
    """The features: log-mel spectrograms."""

    num_mels: int = Field(ge=8, le=256)
    window_ms: float = Field(gt=0, le=200)
    hop_ms: float = Field(gt=0, le=100)
    low_hz: float = Field(ge=0)  # the lowest band begins here, the highest ends at half the rate
