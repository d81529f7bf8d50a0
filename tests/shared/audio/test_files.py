"""Files as people have them: every form gives the same sound, and what is wrong is named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.audio.files import loudest, read_sound, resample, to_int16, write_wav
from shared.core.errors import UserError
from tests.shared.audio.tones import tone, write_tone


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("pcm16.wav", {"subtype": "PCM_16"}),
        ("pcm24.wav", {"subtype": "PCM_24"}),
        ("pcm8.wav", {"subtype": "PCM_U8"}),
        ("float.wav", {"subtype": "FLOAT"}),
        ("ulaw.wav", {"subtype": "ULAW"}),
        ("lossless.flac", {}),
        ("apple.aiff", {}),
        ("lossy.mp3", {}),
    ],
)
def test_every_form_gives_the_same_sound(tmp_path: Path, name: str, form: dict[str, str]) -> None:
    write_tone(tmp_path / name, 440, 0.5, 16000, **form)
    found = read_sound(tmp_path / name, 16000).samples
    middle = found[2000:6000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) * 16000 / len(middle) - 440) < 5
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000, 192000])
def test_any_rate_becomes_the_one_that_is_wanted(tmp_path: Path, rate_hz: int) -> None:
    write_tone(tmp_path / "a.wav", 440, 0.5, rate_hz)
    found = read_sound(tmp_path / "a.wav", 8000)
    assert found.file_rate_hz == rate_hz
    inside = slice(800, 3200)  # beyond the filter's edges
    assert np.abs(found.samples[inside] - tone(440, 0.5, 8000)[inside]).max() < 0.01


def test_what_lies_above_the_new_rate_does_not_fold_down() -> None:
    high = tone(6000, 0.5, 16000).astype(np.float32)
    assert np.abs(resample(high, 16000, 8000)[400:-400]).max() < 0.3 * 10 ** (-50 / 20)


def test_channels_are_averaged_along_time_and_cancelling_ones_are_not(tmp_path: Path) -> None:
    one = tone(440, 0.2, 8000)
    soundfile.write(tmp_path / "8.wav", np.stack([one] * 8, 1), 8000)
    soundfile.write(tmp_path / "2.wav", np.stack([one, -0.95 * one], 1), 8000)
    eight, two = (read_sound(tmp_path / name, 8000) for name in ("8.wav", "2.wav"))
    assert np.abs(eight.samples - one).max() < 1e-3
    assert np.abs(two.samples - one).max() < 1e-3
    assert "cancel" in two.notes[0]


def broken(folder: Path) -> dict[str, Path]:
    """Bad files, by what is wrong with them."""
    found = {
        name: folder / f"{name}.wav" for name in ("zero", "text", "short", "nan", "silent", "empty", "cut", "rate")
    }
    found["zero"].write_bytes(b"")
    found["text"].write_text("this is no recording\n" * 20)
    write_tone(found["short"], seconds=0.01)
    soundfile.write(found["nan"], np.full(4000, np.nan), 8000, subtype="FLOAT")
    soundfile.write(found["silent"], np.zeros(4000), 8000)
    soundfile.write(found["empty"], np.zeros(0), 8000)
    write_tone(found["cut"])
    found["cut"].write_bytes(found["cut"].read_bytes()[:3000])
    write_tone(found["rate"])
    whole = bytearray(found["rate"].read_bytes())
    whole[24:28] = bytes(4)  # 0 Hz
    found["rate"].write_bytes(whole)
    return found


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    expected = {
        "zero": "zero bytes", "text": "a text, no recording", "short": "80 samples", "nan": "NaN",
        "silent": "digital silence", "empty": "0 samples", "cut": "truncated", "rate": r"rate\.wav",
    }  # fmt: skip
    for name, path in broken(tmp_path).items():
        with pytest.raises(UserError, match=expected[name]) as error:
            read_sound(path, 8000)
        assert path.name in error.value.what


@pytest.mark.parametrize(("riff", "data"), [(8044, 8000), (0x7FFFF024, 0x7FFFF000), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_sizes_that_streams_and_careless_programs_write_are_no_loss(tmp_path: Path, riff: int, data: int) -> None:
    write_tone(tmp_path / "a.wav")
    whole = bytearray((tmp_path / "a.wav").read_bytes())
    assert whole[36:40] == b"data"
    whole[4:8], whole[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(whole)
    assert len(read_sound(tmp_path / "a.wav", 8000).samples) == 4000


def test_a_file_that_ends_early_is_not_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 80_000), 8000)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"a\.flac: (truncated|cannot be decoded)"):
        read_sound(path, 8000)


def test_an_offset_and_clipping_are_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "dc.wav", tone(440, 0.5, 8000) + 0.3, 8000)
    soundfile.write(tmp_path / "clip.wav", np.clip(tone(440, 0.5, 8000, 4.0), -1, 1), 8000)
    offset, clipped = (read_sound(tmp_path / name, 8000) for name in ("dc.wav", "clip.wav"))
    assert abs(offset.samples.mean()) < 1e-3
    assert "offset" in offset.notes[0]
    assert clipped.notes == ("are clipped",)


def test_the_loudest_part_is_kept_and_the_middle_of_an_even_one() -> None:
    assert loudest(np.array([0, 0, 0, 0, 0, 1, 1, 0], np.float32), 3) in (4, 5)
    assert loudest(np.ones(9, np.float32), 3) == 3


def test_samples_survive_being_written(tmp_path: Path) -> None:
    some = np.random.default_rng(0).normal(0, 0.2, 500).astype(np.float32)
    some -= some.mean()
    write_wav(tmp_path / "a.wav", some, 8000)
    write_wav(tmp_path / "b.wav", some, 8000)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert (to_int16(read_sound(tmp_path / "a.wav", 8000).samples) == to_int16(some)).all()
