"""The embedded sample: ten synthetic words by random voices at random times in noise, and noise without a word.

The words come in pairs that differ in the order of their sounds, in rhythm or in the movement of the pitch (see
shared/audio/voices.py): what is said, not how often each sound occurs, decides. A word fills at most 40 % of its
recording; before or after it there may be a short chirp that means nothing. Where and in which band the word lies is
kept as evidence for all words. Test voices do not occur in train.

Written as {train,test}/<word>/<voice>_<number>.wav and evidence.csv, the form a user's own data has.
"""

from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.files import write_wav
from shared.audio.voices import WORDS, Voice, background, say
from shared.core.files import write_tsv

from .params import Fetch

RATE_HZ = 8000
NOTHING = "background"  # the class of recordings without a word
VOICE_RECORDINGS = 20  # a voice
SECONDS = (1.0, 1.4)  # of a recording
MOST_SHARE = 0.4  # of it that the word fills
SNR_DB = (-8.0, 14.0)  # of the word over the noise, while it sounds
LEVEL = (0.01, 0.15)  # RMS of a recording
CHIRP, CHIRP_S = 0.5, (0.05, 0.12)  # share of recordings with one, and its length

Array = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]


def make_recording(word: str, voice: Voice, rng: np.random.Generator) -> tuple[Array, Box]:
    """(L,) float samples, and start and end in seconds, lowest and highest frequency of the word; of NOTHING all 0."""
    spoken, (low, high) = (np.zeros(0), (0.0, 0.0)) if word == NOTHING else say(word, voice, rng, RATE_HZ)
    size = max(round(rng.uniform(*SECONDS) * RATE_HZ), int(len(spoken) / MOST_SHARE) + 1)
    start = int(rng.integers(0, size - len(spoken) + 1))
    made = background(size, rng, RATE_HZ) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    made[start : start + len(spoken)] += spoken
    room = max(((0, start), (start + len(spoken), size)), key=lambda gap: gap[1] - gap[0])
    if rng.random() < CHIRP:
        length = round(rng.uniform(*CHIRP_S) * RATE_HZ)
        at = int(rng.integers(room[0], max(room[0] + 1, room[1] - length)))
        piece = made[at : at + length]
        piece += _chirp(len(piece), rng)
    seconds = start / RATE_HZ, (start + len(spoken)) / RATE_HZ
    level = rng.uniform(*LEVEL) / np.sqrt(np.square(made).mean())
    return (made - made.mean()) * level, (*seconds, low, high)


def _chirp(size: int, rng: np.random.Generator) -> Array:
    first, last = np.exp(rng.uniform(np.log(300), np.log(3000), 2)).tolist()
    hz = np.geomspace(first, last, size)
    return np.asarray(rng.uniform(0.3, 1.2) * np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ) * np.hanning(size))


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes the recordings of both splits and evidence.csv."""
    words, rows = sorted([*WORDS, NOTHING]), []
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        rng = np.random.default_rng([params.seed, count, split == "test"])
        for word in words:
            (folder / split / word).mkdir(parents=True)
        for number in range(count):
            if number % VOICE_RECORDINGS == 0:
                voice = Voice.draw(rng)
            word = words[number % len(words)]
            samples, box = make_recording(word, voice, rng)
            name = f"{split}/{word}/{split}{number // VOICE_RECORDINGS:03}_{number:05}.wav"
            write_wav(folder / name, samples, RATE_HZ)
            if word != NOTHING:
                rows.append([name, *(round(value, 4) for value in box)])
    write_tsv(folder / "evidence.csv", ["path", "start_s", "end_s", "low_hz", "high_hz"], rows)
