"""The embedded sample: two to five synthetic words in a row by random voices, in noise.

The words are those of speech_commands' sample (shared/audio/voices.py); pairs of them differ in the order of their
sounds, in rhythm or in the movement of the pitch alone. Between them lie pauses of random length in the same bed of
noise, so that no silence tells where a word ends. When each word is said is kept as evidence. Test voices do not occur
in train.

Written as recordings, index.csv (path, text, speaker, split) and words.csv (path, start_s, end_s), the form that a
user's own data may have.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.files import write_wav
from shared.audio.voices import WORDS, Voice, background, say
from shared.core.files import write_tsv

from .params import Fetch

RATE_HZ = 8000
NUM_WORDS = 2, 5
PAUSE_S, EDGE_S = (0.06, 0.3), (0.05, 0.3)  # between two words, and before the first and after the last
VOICE_UTTERANCES = 10  # a voice
SNR_DB = (-2.0, 16.0)  # of the words over the noise
LEVEL = (0.01, 0.15)  # RMS of an utterance

Array = np.ndarray[Any, Any]
Spans = list[tuple[float, float]]  # start and end of each word in seconds


def joined(pieces: Sequence[Array], gaps_s: Sequence[float], rate_hz: int) -> tuple[Array, Spans]:
    """(L,) of pieces one after another, each gap before one and the last at the end; negative gaps overlap."""
    size = sum(map(len, pieces)) + round(sum(gaps_s) * rate_hz)
    made, spans, at = np.zeros(max(1, size)), [], 0.0
    for gap, piece in zip(gaps_s[:-1], pieces, strict=True):
        start = max(0, round((at + gap) * rate_hz))
        room = made[start : start + len(piece)]
        room += piece[: len(room)]
        at = (start + len(piece)) / rate_hz
        spans.append((start / rate_hz, at))
    return made, spans


def make_utterance(words: Sequence[str], voice: Voice, rng: np.random.Generator) -> tuple[Array, Spans]:
    """(L,) float samples, and when each word is said."""
    pieces = [say(word, voice, rng, RATE_HZ)[0] * rng.uniform(0.8, 1.25) for word in words]
    gaps = [rng.uniform(*EDGE_S), *rng.uniform(*PAUSE_S, len(words) - 1), rng.uniform(*EDGE_S)]
    made, spans = joined(pieces, gaps, RATE_HZ)
    made += background(len(made), rng, RATE_HZ) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    level = rng.uniform(*LEVEL) / np.sqrt(np.square(made).mean())
    return (made - made.mean()) * level, spans


def write_utterances(folder: Path, rows: Sequence[tuple[str, Array, str, str, str, Spans]], rate_hz: int) -> None:
    """Writes the recordings and both tables.

    Args:
        rows: path below the folder, samples, text, speaker, split, spans.
    """
    index, words = [], []
    for name, samples, text, speaker, split, spans in rows:
        (folder / name).parent.mkdir(exist_ok=True)
        write_wav(folder / name, samples, rate_hz)
        index.append([name, text, speaker, split])
        words += [[name, round(start, 4), round(end, 4)] for start, end in spans]
    write_tsv(folder / "index.csv", ["path", "text", "speaker", "split"], index)
    write_tsv(folder / "words.csv", ["path", "start_s", "end_s"], words)


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes the utterances of both splits."""
    rows, known = [], sorted(WORDS)
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        rng = np.random.default_rng([params.seed, count, split == "test"])
        for number in range(count):
            if number % VOICE_UTTERANCES == 0:
                voice = Voice.draw(rng)
            words = rng.choice(known, rng.integers(NUM_WORDS[0], NUM_WORDS[1] + 1)).tolist()
            samples, spans = make_utterance(words, voice, rng)
            speaker = f"{split}{number // VOICE_UTTERANCES:03}"
            rows.append((f"recordings/{speaker}_{number:05}.wav", samples, " ".join(words), speaker, split, spans))
    write_utterances(folder, rows, RATE_HZ)
