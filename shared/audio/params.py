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


class SoundChanges(Section):
    """How training recordings are changed, each by a draw of its own (see augment.py)."""

    speed: float = Field(ge=1, le=2)  # played faster or slower by up to this factor, pitch included; 1: never
    noise_share: float = Field(ge=0, le=1)  # of the recordings that get noise
    noise_db: list[float] = Field(min_length=2, max_length=2)  # at a signal-to-noise ratio in this range
    warp: float = Field(ge=1, le=1.5)  # bands are stretched by up to this factor, as by another vocal tract; 1: never
    tilt_db: float = Field(ge=0, le=30)  # through a random smooth filter with this standard deviation over the bands
    mask_bands: int = Field(ge=0)  # SpecAugment: most bands that are blanked
    mask_frames: int = Field(ge=0)  # and most frames


class Bands(Section):
    """The bands of log-mel spectrograms."""

    num_mels: int = Field(ge=8, le=256)
    window_ms: float = Field(gt=0, le=200)
    low_hz: float = Field(ge=0)  # the lowest band begins here, the highest ends at half the rate


class Mel(Bands):
    """The features: log-mel spectrograms."""

    hop_ms: float = Field(gt=0, le=100)
