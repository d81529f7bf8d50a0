"""The sample: the same bytes for a seed, and every word inside its evidence."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from projects.speech_commands.params import Fetch
from projects.speech_commands.sample import MOST_SHARE, NOTHING, RATE_HZ, make_recording, write_sample
from shared.audio.voices import WORDS, Voice, say

PARAMS = Fetch(source="sample", seed=3, num_train=22, num_test=22, test_speakers=[])


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_sample(tmp_path / name, PARAMS)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 45
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in files)
    voices = {
        split: {p.name.split("_")[0] for p in (tmp_path / "one" / split).rglob("*.wav")} for split in ("train", "test")
    }
    assert not voices["train"] & voices["test"]
    assert len((tmp_path / "one/evidence.csv").read_text().splitlines()) == 1 + 2 * 20  # none of the background's


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_word_lies_inside_its_evidence(word: str) -> None:
    rng = np.random.default_rng(0)
    made, (start, end, low, high) = make_recording(word, Voice.draw(rng), rng)
    assert (end - start) * RATE_HZ <= MOST_SHARE * len(made) + 1
    assert 0 <= start < end <= len(made) / RATE_HZ
    assert 0 < low < high <= RATE_HZ / 2
    assert np.abs(made).max() < 1.5
    spoken, (low, high) = say(word, Voice.draw(rng), rng, RATE_HZ)
    power, hz = np.square(np.abs(np.fft.rfft(spoken))), np.fft.rfftfreq(len(spoken), 1 / RATE_HZ)
    assert power[(hz >= 0.5 * low) & (hz <= high)].sum() > 0.7 * power.sum()


def test_background_holds_no_word() -> None:
    rng = np.random.default_rng(0)
    made, (start, end, _, _) = make_recording(NOTHING, Voice.draw(rng), rng)
    assert start == end
    assert RATE_HZ <= len(made) <= 1.4 * RATE_HZ


def test_recordings_are_not_clipped(tmp_path: Path) -> None:
    write_sample(tmp_path, PARAMS)
    peaks = [np.abs(soundfile.read(path)[0]).max() for path in tmp_path.rglob("*.wav")]
    assert np.mean(np.array(peaks) > 0.999) < 0.1
