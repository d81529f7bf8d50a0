"""Own recordings: folders and tables, speakers kept together, and everything that is wrong named at once."""

from pathlib import Path

import numpy as np
import pytest

from shared.audio import classes
from shared.core.errors import UserError
from tests.shared.audio.test_files import broken
from tests.shared.audio.tones import PARAMS, write_folder, write_tone

BY_NAME = PARAMS.model_copy(update={"speaker_pattern": "^(s[0-9]+)_"})


def table(root: Path, rows: list[str], name: str = "all.csv") -> None:
    (root / name).write_text("\n".join(rows) + "\n")


def test_a_folder_a_class_and_speakers_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = classes.read(tmp_path, BY_NAME)
    assert data.classes == ["high", "low"]
    assert np.bincount(data.labels).tolist() == [8, 8]
    splits = data.splits(BY_NAME)
    speakers = {name: set(columns["speaker"]) for name, columns in splits.items()}
    assert speakers["train"] | speakers["test"] == {"s0", "s1", "s2", "s3"}
    assert not speakers["train"] & speakers["test"]
    assert splits["test"]["sound"].values.dtype == np.int16


def test_it_is_said_when_nothing_names_the_speakers(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert any("nothing says who speaks" in note for note in classes.read(tmp_path, PARAMS).notes)
    other = PARAMS.model_copy(update={"speaker_pattern": "^speaker(.)"})
    assert any("does not fit s0_0.wav" in note for note in classes.read(tmp_path, other).notes)


def test_a_table_of_paths_with_speakers_and_splits(tmp_path: Path) -> None:
    rows = ["path,label,speaker,split"]
    for number in range(8):
        write_tone(tmp_path / f"clips/{number}.ogg", 200 + 40 * number, rate_hz=44100)
        split = "test" if number >= 6 else "train"
        rows.append(f"clips/{number}.ogg,{number % 2},{'ab'[number % 2]},{split}")
    table(tmp_path, rows)
    data = classes.read(tmp_path, PARAMS)
    splits = data.splits(PARAMS)
    assert {name: len(columns["id"]) for name, columns in splits.items()} == {"train": 6, "test": 2}
    assert data.speakers == list("abababab")
    assert any("8 of 44,100 Hz" in note for note in data.notes)


def test_the_evidence_moves_with_the_part_that_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path, number=2)
    write_tone(tmp_path / "high/s9_9.wav", seconds=3.0)
    lines = ["path,start_s,end_s,low_hz,high_hz", "high/s9_9.wav,1.2,1.5,300,600"]
    table(tmp_path, lines, "evidence.csv")
    data = classes.read(tmp_path, PARAMS)
    box = data.boxes[data.ids.index("high/s9_9.wav")]
    assert box.tolist() == pytest.approx([0.2, 0.5, 300, 600], abs=1e-3)  # the middle second is kept
    assert np.isnan(data.boxes[0]).all()


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "high").mkdir(exist_ok=True)
    bad = broken(tmp_path / "high")
    with pytest.raises(UserError) as error:
        classes.read(tmp_path, PARAMS)
    for path in bad.values():
        assert sum(path.name in problem for problem in error.value.problems) == 1


def test_wrong_rows_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    for number in range(4):
        write_tone(tmp_path / f"{number}.wav", 200 + number)
    rows = ["path,label,split", "0.wav,a,", "1.wav,b,", "2.wav,,", "gone.wav,a,", "0.wav,b,", "3.wav,a,exam"]
    table(tmp_path, rows)
    with pytest.raises(UserError) as error:
        classes.read(tmp_path, PARAMS)
    found = "\n".join(error.value.problems)
    assert "all.csv:4: label is empty" in found
    assert "all.csv:5: gone.wav: no such file" in found
    assert "all.csv:6: 0.wav: again" in found
    assert "all.csv:7: split 'exam'" in found


def test_whole_numbers_are_classes_and_speakers_0_as_well(tmp_path: Path) -> None:
    for number in range(6):
        write_tone(tmp_path / f"{number}.wav", 200 + number)
    rows = [f'{{"path": "{number}.wav", "label": {number % 2}, "speaker": {number % 3}.0}}' for number in range(6)]
    table(tmp_path, rows, "all.jsonl")
    data = classes.read(tmp_path, PARAMS)
    assert data.classes == ["0", "1"]
    assert data.speakers == list("012012")


def test_what_is_suggested_is_allowed(tmp_path: Path) -> None:
    for name in ("high", "low"):
        for number in range(3):
            write_tone(tmp_path / f"{name}/{number}.wav", 300 + number + 10 * len(name), 31.0)
    found = classes.suggest(tmp_path, PARAMS)
    assert found["prepare.max_seconds"] == 30.0
    assert found["prepare.rate_hz"] == 8000


def test_one_class_and_one_speaker(tmp_path: Path) -> None:
    write_tone(tmp_path / "only/s0_0.wav")
    write_tone(tmp_path / "only/s0_1.wav", 300)
    with pytest.raises(UserError, match="one class only"):
        classes.read(tmp_path, BY_NAME)
    write_tone(tmp_path / "more/s0_2.wav", 350)
    write_tone(tmp_path / "more/s0_3.wav", 380)
    assert any("one speaker only" in note for note in classes.read(tmp_path, BY_NAME).notes)


def test_the_lists_of_speech_commands_are_obeyed(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_tone(tmp_path / "_background_noise_/hum.wav", 50, 3.0)
    (tmp_path / "testing_list.txt").write_text("high/s0_0.wav\nlow/s1_1.wav\n")
    (tmp_path / "validation_list.txt").write_text("high/s2_2.wav\n")
    data = classes.read(tmp_path, PARAMS)
    assert data.classes == ["high", "low"]
    splits = data.splits(PARAMS)
    assert {name: len(columns["id"]) for name, columns in splits.items()} == {"train": 13, "valid": 1, "test": 2}
    (tmp_path / "testing_list.txt").write_text("high/gone.wav\n")
    with pytest.raises(UserError, match=r"gone\.wav: listed for test"):
        classes.read(tmp_path, PARAMS)


def test_copies_stay_in_one_split(tmp_path: Path) -> None:
    write_folder(tmp_path, number=4)
    for number in range(3):
        (tmp_path / f"low/copy{number}.wav").write_bytes((tmp_path / "low/s0_0.wav").read_bytes())
    data = classes.read(tmp_path, PARAMS)
    splits = data.splits(PARAMS)
    same = {"low/s0_0.wav", *(f"low/copy{number}.wav" for number in range(3))}
    assert sum(bool(same & set(columns["id"])) for columns in splits.values()) == 1
