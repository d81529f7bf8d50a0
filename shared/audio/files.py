"""Recordings of any form -> mono samples at one rate, in the same way for training data and for prediction.

L samples.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from math import gcd
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
from scipy.signal import resample_poly  # type: ignore[import-untyped]

from shared.core.errors import Problems, UserError
from shared.core.paths import reason_of, show

RATES_HZ = 1000, 768000  # outside, a header is damaged
LONGEST_S = 3600.0  # decoded at once; a header may claim less, or absurdly more
BLOCK_FRAMES = 1 << 16
STREAMED_BYTES = 0x7FFFF000  # of a WAV file whose writer did not know its length: this (SoX), or more
UNKNOWN_FRAMES = 2**63 - 1  # what libsndfile says of a FLAC stream whose header leaves its length open
SHORTEST_S = 0.02  # below, nothing can be heard
SILENT = 1e-6  # peak below which a recording holds nothing: less than half a step of 16 bits
CLIPPED, CLIPPED_SHARE = 0.999, 0.01  # level, and the share of the samples there that is worth a word
CANCEL = 0.01  # of the channels' mean power: below, their mean is what they cancel out to
LOUDER = 1.05  # times the energy of the middle: less is chance
OFFSET = 0.05  # mean level that is worth a word
SOUND_SUFFIXES = {
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".sph", ".voc",
    ".m4a", ".aac", ".wma", ".amr", ".webm", ".mp4", ".3gp", ".ape", ".mka",  # not readable: reported, not skipped
}  # fmt: skip
_FOREIGN = {  # how files begin that people take for recordings -> what they are, and what to do
    b"PK\3\4": ("a zip archive", "recordings: unpack it"),
    b"\x1f\x8b": ("a gzip archive", "recordings: unpack it"),
    b"<!doctype html": ("a web page", "the recording itself: download it again"),
    b"<html": ("a web page", "the recording itself: download it again"),
    b"version https://git-lfs": ("a pointer of Git LFS", "the recording itself: git lfs pull"),
    b"\x30\x26\xb2\x75": ("WMA", "WAV or FLAC: ffmpeg -i it.wma it.flac"),
    b"#!AMR": ("AMR", "WAV or FLAC: ffmpeg -i it.amr it.flac"),
    b"\x1aE\xdf\xa3": ("WebM or Matroska", "WAV or FLAC: ffmpeg -i it.webm it.flac"),
}


@dataclass(frozen=True)
class Sound:
    """A recording, decoded.

    Args:
        samples: (L,) float32, mono, full scale is 1.
        rate_hz: of the samples.
        file_rate_hz: of the file.
        notes: what was done or is odd, in words that continue "some recordings ...".
    """

    samples: np.ndarray
    rate_hz: int
    file_rate_hz: int
    notes: tuple[str, ...] = ()


def read_sound(path: Path, rate_hz: int) -> Sound:
    """Decodes a whole file, mixes its channels and resamples it.

    Channels are averaged; where they cancel each other (opposite phase), the loudest is taken.

    Args:
        rate_hz: wanted.

    Raises:
        UserError: no recording, damaged, truncated, empty, silent, not finite, longer than an hour.
    """
    frames, rate = _decode(path)
    mono, notes = _mix(frames)
    if len(mono) < SHORTEST_S * rate:
        raise UserError(f"{show(path)}: {len(mono):,} samples at {rate:,} Hz", expected=f"at least {SHORTEST_S} s")
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise UserError(f"{show(path)}: {bad:,} samples are NaN or infinite", expected="numbers: export it again")
    if np.ptp(mono) < SILENT:
        raise UserError(f"{show(path)}: digital silence, all samples equal", expected="a recording of something")
    if abs(offset := float(mono.mean())) > OFFSET:
        notes.append("have a constant offset, which the features do not see")
        mono = mono - np.float32(offset)
    if (np.abs(mono) > CLIPPED).mean() > CLIPPED_SHARE:
        notes.append("are clipped")
    return Sound(resample(mono, rate, rate_hz), rate_hz, rate, tuple(notes))


def resample(samples: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """(L,) float32 -> (ceil(L * wanted / rate),) float32.

    A zero-phase FIR low-pass at the lower of the two Nyquist frequencies (Kaiser window, beta 5, 10 zero crossings a
    side), polyphase: scipy.signal.resample_poly. Its stop band is more than 50 dB down.
    """
    if rate_hz == wanted_hz:
        return samples
    common = gcd(rate_hz, wanted_hz)
    made: np.ndarray = resample_poly(samples, wanted_hz // common, rate_hz // common).astype(np.float32)
    return made


def _decode(path: Path) -> tuple[np.ndarray, int]:
    """All frames (L, channels) float32, and their rate.

    Not by SoundFile.blocks: where a file holds fewer frames than its header says, it fills up with what was in memory.
    """
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{show(path)}: zero bytes", expected="a recording")
        if missing := _missing_bytes(path):
            raise UserError(f"{show(path)}: truncated, {missing:,} bytes are missing", expected="the whole file")
        with soundfile.SoundFile(path) as file:
            rate, most = int(file.samplerate), int(LONGEST_S * file.samplerate)
            if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
                raise UserError(f"{show(path)}: {rate:,} Hz", expected=f"a rate of {RATES_HZ[0]:,} to {RATES_HZ[1]:,}")
            blocks, count = [], 0
            while count < file.frames and len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                blocks.append(block)
                count += len(block)
                if count > most:
                    raise UserError(f"{show(path)}: longer than an hour", expected="clips: cut it into pieces")
            if file.format == "FLAC" and count < file.frames < UNKNOWN_FRAMES:
                raise UserError(f"{show(path)}: truncated, {count:,} of {file.frames:,} frames", expected="all of it")
    except OSError as error:
        raise UserError(f"{show(path)}: cannot be read: {error.strerror or error}") from None
    except (soundfile.LibsndfileError, RuntimeError) as error:
        what, expected = _foreign(path)
        reason = what or f"cannot be decoded: {' '.join(str(error).split()).rpartition(': ')[2]}"
        raise UserError(f"{show(path)}: {reason}", expected=expected or "WAV, FLAC, OGG or MP3") from None
    return (np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)), rate


def _missing_bytes(path: Path) -> int:
    """Of a WAV file: bytes of samples that are promised and not there. Streams promise 0 or about 2 or 4 GiB.

    Not by the size in the file's first header: some programs get that wrong, and what it counts may be no samples.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return max(0, file.tell() + length - path.stat().st_size) if length < STREAMED_BYTES else 0
            file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _foreign(path: Path) -> tuple[str, str]:
    """What a file is instead of a recording, and what to do; "" where it is not known."""
    with path.open("rb") as file:
        head = file.read(1024)
    if head[4:8] == b"ftyp":
        return "MP4 or M4A", "WAV or FLAC: ffmpeg -i it.m4a it.flac"
    for magic, found in _FOREIGN.items():
        if head.lower().startswith(magic.lower()):
            return found
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "a text, no recording", ""
    return "", ""


def _mix(frames: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(L, channels) -> (L,) and notes."""
    if frames.shape[1] == 1:
        return frames[:, 0], []
    mono, powers = frames.mean(axis=1), np.square(frames).mean(axis=0) if len(frames) else np.zeros(1)
    if len(frames) and np.square(mono).mean() < CANCEL * powers.mean():
        return frames[:, int(powers.argmax())], ["have channels that cancel each other: the loudest one is taken"]
    return mono, [f"have {frames.shape[1]} channels, which are averaged"]


def loudest(samples: np.ndarray, length: int) -> int:
    """Where the part of `length` samples with the most energy begins; the middle, where that has almost as much.

    >>> loudest(np.array([0, 0, 0, 1, 1, 0], np.float32), 2)
    3
    """
    if len(samples) <= length:
        return 0
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    energy = total[length:] - total[:-length]
    best, middle = int(energy.argmax()), (len(samples) - length) // 2
    return best if energy[best] > LOUDER * energy[middle] else middle


def try_sound(path: Path, rate_hz: int) -> Sound | str:
    """The recording, see `read_sound`; or what is wrong with it, for a message that names the file itself."""
    try:
        return read_sound(path, rate_hz)
    except UserError as error:
        return reason_of(error, path)


def read_sounds(paths: Sequence[Path], rate_hz: int, problems: Problems) -> Iterator[Sound | None]:
    """Decodes files side by side; what cannot be read is noted, and None comes in its place."""
    with ThreadPoolExecutor() as pool:
        for path, found in zip(paths, pool.map(try_sound, paths, repeat(rate_hz)), strict=True):
            if isinstance(found, str):
                problems.add(show(path), found)
                yield None
            else:
                yield found


def sound_notes(notes: Counter[str], rates: Iterable[int], rate_hz: int) -> list[str]:
    """Sentences about recordings.

    Args:
        notes: of `Sound`, and how often each was made.
        rates: of the files.
        rate_hz: that they were resampled to.
    """
    lines = [f"{count:,} recordings {note}." for note, count in notes.items()]
    if others := Counter(rate for rate in rates if rate != rate_hz):
        listed = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in others.most_common(4))
        lines.append(f"Resampled to {rate_hz:,} Hz: {listed}.")
    return lines


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples of full scale 1 -> int16, as they are kept: a step is 1 / 32768, the value that clips is 1."""
    made: np.ndarray = np.round(np.clip(samples, -1, 1 - 2**-15) * 32768).astype(np.int16)
    return made


def write_wav(path: Path, samples: np.ndarray, rate_hz: int) -> None:
    """Mono, 16 bits; the same samples give the same bytes."""
    soundfile.write(path, to_int16(samples), rate_hz, format="WAV", subtype="PCM_16")
