"""The sample and the strings of digits: the same bytes for a seed, words inside their spans, nothing shared."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from projects.speech_ctc import digits
from projects.speech_ctc.params import Fetch
from projects.speech_ctc.sample import RATE_HZ, joined, make_utterance, write_sample
from shared.audio import fsdd
from shared.audio.voices import Voice
from shared.core.errors import UserError
from tests.shared.audio.tones import write_tone

PARAMS = Fetch(source="sample", seed=3, num_train=20, num_test=12, test_speakers=[])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_seed_gives_the_same_bytes_and_every_word_has_a_span(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_sample(tmp_path / name, PARAMS)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 32 + 2
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in files)
    index, words = (rows_of(tmp_path / "one" / name) for name in ("index.csv", "words.csv"))
    assert len(words) == sum(len(row["text"].split()) for row in index)
    speakers = {split: {row["speaker"] for row in index if row["split"] == split} for split in ("train", "test")}
    assert not speakers["train"] & speakers["test"]


def test_pieces_lie_where_their_spans_say() -> None:
    pieces = [np.ones(800), 2 * np.ones(400)]
    made, spans = joined(pieces, [0.1, -0.05, 0.2], 1000)
    assert spans == [(0.1, 0.9), (0.85, 1.25)]
    assert len(made) == 1450
    assert (made[100:850] == 1).all()
    assert (made[850:900] == 3).all()
    assert (made[1250:] == 0).all()


def test_noise_goes_on_in_the_pauses() -> None:
    rng = np.random.default_rng(0)
    made, spans = make_utterance(["ai", "usa"], Voice.draw(rng), rng)
    pause = made[round(spans[0][1] * RATE_HZ) : round(spans[1][0] * RATE_HZ)]
    assert np.abs(pause).max() > 1e-4


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path))
    monkeypatch.setattr(fsdd, "NUM_RECORDINGS", 42)
    for speaker in ("ann", "bob", "cem"):
        for number in range(7):
            for digit in (3, 7):
                write_tone(tmp_path / f"fsdd/{digit}_{speaker}_{number}.wav", 100 * digit + number, 0.2)
    (tmp_path / "raw").mkdir()
    return tmp_path


@pytest.mark.parametrize("held_out", [[], ["bob"]])
def test_strings_of_digits_share_no_recording_or_speaker(mirror: Path, held_out: list[str]) -> None:
    digits.bring_strings(mirror / "raw", PARAMS.model_copy(update={"source": "digits", "test_speakers": held_out}))
    index = rows_of(mirror / "raw/index.csv")
    assert {row["split"] for row in index} == {"train", "test"}
    assert {word for row in index for word in row["text"].split()} == {"three", "seven"}
    tested = {row["speaker"] for row in index if row["split"] == "test"}
    learned = {row["speaker"] for row in index if row["split"] == "train"}
    assert (tested, learned) == ((set(held_out), {"ann", "cem"}) if held_out else ({"ann", "bob", "cem"},) * 2)
    wave, rate = soundfile.read(mirror / "raw" / index[0]["path"])
    assert rate == digits.RATE_HZ
    assert np.abs(wave).min() < 1e-3 < np.abs(wave).max()


def test_a_speaker_that_there_is_not_is_named(mirror: Path) -> None:
    with pytest.raises(UserError, match=r"test_speakers: eve") as caught:
        digits.bring_strings(mirror / "raw", PARAMS.model_copy(update={"test_speakers": ["eve"]}))
    assert caught.value.expected == "some of ann, bob, cem"
    assert list((mirror / "raw").iterdir()) == []
