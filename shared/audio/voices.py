"""Synthetic words by random voices: what the samples of projects with speech are made of.

A word is a sequence of phones: vowels and glides by a source and formants, hisses, and stops (a gap and a burst). Pairs
of words differ in the order of their parts, in rhythm or in the movement of the pitch, so that statistics over time
do not tell them apart. L samples, H harmonics, P points of a contour.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import butter, sosfilt  # type: ignore[import-untyped]

Array = np.ndarray[Any, Any]
VOWELS = {  # the three formants in Hz
    "a": (730, 1200, 2500),
    "i": (290, 2250, 3000),
    "u": (320, 800, 2300),
    "o": (480, 950, 2400),
    "e": (450, 1850, 2550),
}
HISS_HZ = 2300.0, 3600.0
BANDWIDTH_HZ = 90.0, 120.0, 180.0
WORDS: dict[str, tuple[str, tuple[float, float]]] = {  # phones, a repeated one is longer; pitch at start and end
    "ai": ("aaaiii", (1.0, 1.0)),
    "ia": ("iiiaaa", (1.0, 1.0)),
    "asu": ("aassuu", (1.0, 1.0)),
    "usa": ("uussaa", (1.0, 1.0)),
    "eo": ("eeeooo", (1.0, 1.0)),
    "oe": ("oooeee", (1.0, 1.0)),
    "taata": ("taaaata", (1.0, 1.0)),
    "tataa": ("tataaaa", (1.0, 1.0)),
    "up": ("oooooo", (0.75, 1.35)),
    "down": ("oooooo", (1.35, 0.75)),
}
PHONE_S = 0.055  # mean length of a phone
FALL_DB = 6.0  # of the source and the mouth together, an octave


@dataclass(frozen=True)
class Voice:
    """A speaker: pitch, size of the vocal tract, rate of speech, level of breath."""

    pitch_hz: float
    tract: float
    tempo: float
    breath: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Voice":
        pitch = float(np.exp(rng.uniform(np.log(85), np.log(240))))
        tract = float(1 + 0.16 * (np.log2(pitch / 143) / 0.75) * rng.uniform(0.3, 1) + rng.normal(0, 0.03))
        return cls(pitch, tract, float(rng.uniform(0.85, 1.2)), float(rng.uniform(0.0, 0.05)))


def say(word: str, voice: Voice, rng: np.random.Generator, rate_hz: int) -> tuple[Array, tuple[float, float]]:
    """A word: (L,) float64 of RMS 1, and the lowest and highest frequency in Hz that hold what it is told by."""
    phones, (first, last) = WORDS[word]
    lengths = PHONE_S / voice.tempo * rng.uniform(0.85, 1.2, len(phones)) * rng.uniform(0.9, 1.1)
    ends = np.round(np.cumsum(lengths) * rate_hz).astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    size = int(ends[-1])
    vowels = [(place, phone) for place, phone in enumerate(phones) if phone in VOWELS]
    middles = np.array([(starts[place] + ends[place]) / 2 for place, _ in vowels])
    targets = np.array([VOWELS[phone] for _, phone in vowels]) * voice.tract * rng.normal(1, 0.03, 3)
    time = np.arange(size)
    formants = np.stack([np.interp(time, middles, targets[:, k]) for k in range(3)], 1)
    pitch = voice.pitch_hz * rng.uniform(0.93, 1.07) * np.geomspace(first, last, size) * _wobble(size, rate_hz, rng)
    voiced = _voiced(pitch, formants, rate_hz) + voice.breath * rng.normal(0, 1, size)
    made, level = np.zeros(size), np.zeros(size)
    hiss = _band(rng.normal(0, 1, size), HISS_HZ[0], min(HISS_HZ[1], 0.47 * rate_hz), rate_hz)
    for phone, start, end in zip(phones, starts, ends, strict=True):
        if phone in VOWELS:
            level[start:end] = 1
        elif phone == "s":
            made[start:end] = 0.5 * hiss[start:end]
        else:
            burst = min(round(0.015 * rate_hz), end - start)
            made[end - burst : end] = rng.normal(0, 0.7, burst)
    ramp = np.hanning(2 * round(0.012 * rate_hz) + 1)
    made += voiced * np.convolve(level, ramp / ramp.sum(), "same")
    used = [VOWELS[phone][0] for _, phone in vowels], [VOWELS[phone][1] for _, phone in vowels]
    low, high = 0.75 * voice.tract * min(used[0]), 1.2 * voice.tract * max(used[1])
    if first != last:
        low, high = 0.7 * voice.pitch_hz, 1.3 * voice.tract * VOWELS["o"][1]
    return made / np.sqrt(np.square(made).mean()), (low, min(max(high, HISS_HZ[1] * ("s" in phones)), rate_hz / 2))


def _wobble(size: int, rate_hz: int, rng: np.random.Generator) -> Array:
    """(L,) near 1: the natural movement of a pitch."""
    points = rng.normal(0, 0.015, size // (rate_hz // 20) + 2)
    return np.asarray(1 + np.interp(np.arange(size), np.linspace(0, size, len(points)), points))


def _voiced(pitch: Array, formants: Array, rate_hz: int) -> Array:
    """(L,): harmonics of a pitch (L,) through three resonances (L, 3); mean square 1."""
    step = max(1, rate_hz // 500)  # gains change every 2 ms
    coarse, shapes = pitch[::step], formants[::step]
    number = np.arange(1, int(rate_hz / 2 / pitch.min()) + 1)
    hz = coarse[:, None] * number
    gain = sum(0.6**k / (1 + ((hz - shapes[:, k, None]) / BANDWIDTH_HZ[k]) ** 2) for k in range(3))
    gain = (gain + 0.01) * number ** (-FALL_DB / (20 * np.log10(2))) * (hz < 0.48 * rate_hz)
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / rate_hz)[:, None]
    waves = np.cumprod(np.broadcast_to(turn, (len(pitch), len(number))), axis=1).imag  # of all harmonics
    made = (waves * np.repeat(gain, step, axis=0)[: len(pitch)]).sum(1)
    return np.asarray(made / np.sqrt(np.square(made).mean()))


def _band(noise: Array, low_hz: float, high_hz: float, rate_hz: int) -> Array:
    """Noise between two frequencies, mean square 1."""
    made = sosfilt(butter(4, [low_hz, high_hz], "bandpass", fs=rate_hz, output="sos"), noise)
    return np.asarray(made / np.sqrt(np.square(made).mean()))


def background(size: int, rng: np.random.Generator, rate_hz: int) -> Array:
    """(L,) of RMS 1: noise of a random colour whose level drifts, sometimes with a hum."""
    spectrum = np.fft.rfft(rng.normal(0, 1, size))
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    made = np.fft.irfft(spectrum * (hz + 60) ** -rng.uniform(0.0, 1.0), n=size)
    made /= np.sqrt(np.square(made).mean())
    if rng.random() < 0.3:
        time = np.arange(size) / rate_hz
        made += rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * (50 * time + rng.random()))
    points = rng.uniform(0.6, 1.4, max(2, round(size / rate_hz * 3)))
    made = made * np.interp(np.arange(size), np.linspace(0, size, len(points)), points)
    return np.asarray(made / np.sqrt(np.square(made).mean()))
