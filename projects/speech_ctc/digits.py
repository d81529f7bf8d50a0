"""Strings of three to seven Free Spoken Digit recordings of one speaker, as own data."""

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from shared.audio.files import read_sound
from shared.audio.fsdd import find_spoken_digits
from shared.audio.voices import background
from shared.core.files import writing

from .params import Fetch
from .sample import joined, write_utterances

WORDS = "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"
RATE_HZ = 8000
NUM_DIGITS = 3, 7
GAP_S, EDGE_S = (-0.05, 0.2), (0.05, 0.2)  # between recordings, which overlap where it is below 0; at both ends
SNR_DB = (20.0, 40.0)  # of the digits over one bed of noise, so that no silence tells where a recording ends
DIGIT_LEVEL, LEVEL = (0.8, 1.25), (0.02, 0.15)  # RMS of a digit relative to the others, and of a string
FADE_S = 0.01  # at both ends of a recording


def bring_strings(folder: Path, params: Fetch) -> None:
    """Puts utterances below `folder`, with index.csv and words.csv. From a mirror only.

    Train and test share no recording. Where `test_speakers` are named, they share no speaker either.

    Raises:
        UserError: see `find_spoken_digits`.
    """
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        known: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = defaultdict(list)
        for one in find_spoken_digits(Path(scratch), params.test_speakers):
            samples = read_sound(one.path, RATE_HZ).samples.astype(float)
            known[one.split(params.test_speakers), one.speaker].append((one.digit, samples))
        rows = []
        for split, count in (("train", params.num_train), ("test", params.num_test)):
            rng = np.random.default_rng([params.seed, count, split == "test"])
            speakers = sorted(speaker for of, speaker in known if of == split)
            for number in range(count):
                speaker = speakers[number % len(speakers)]
                chosen = rng.integers(0, len(known[split, speaker]), rng.integers(NUM_DIGITS[0], NUM_DIGITS[1] + 1))
                said = [known[split, speaker][place] for place in chosen.tolist()]
                pieces = [levelled(samples) * rng.uniform(*DIGIT_LEVEL) for _, samples in said]
                gaps = [rng.uniform(*EDGE_S), *rng.uniform(*GAP_S, len(said) - 1), rng.uniform(*EDGE_S)]
                made, spans = joined(pieces, gaps, RATE_HZ)
                made += background(len(made), rng, RATE_HZ) * 10 ** (-rng.uniform(*SNR_DB) / 20)
                made *= rng.uniform(*LEVEL) / np.sqrt(np.square(made).mean())
                text = " ".join(WORDS[int(digit)] for digit, _ in said)
                rows.append((f"recordings/{speaker}_{split}{number:05}.wav", made, text, speaker, split, spans))
        write_utterances(folder, rows, RATE_HZ)


def levelled(samples: np.ndarray) -> np.ndarray:
    """A recording of RMS 1, without offset, faded in and out."""
    samples = samples - samples.mean()
    place = np.arange(len(samples))
    fade = np.minimum(1, (np.minimum(place, place[::-1]) + 1) / (FADE_S * RATE_HZ))
    made: np.ndarray = fade * samples / np.sqrt(np.square(samples).mean())
    return made
