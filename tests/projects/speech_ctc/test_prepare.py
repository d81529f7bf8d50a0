"""Everything that is wrong with recordings and texts at once, and nothing half-written."""

from pathlib import Path

import numpy as np
import pytest

from projects.speech_ctc.data import check_speed
from projects.speech_ctc.decode import num_frames
from projects.speech_ctc.params import Prepare
from projects.speech_ctc.prepare import prepare, suggest
from shared.core import paths
from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared
from tests.shared.audio.tones import write_tone

PARAMS = Prepare(rate_hz=8000, max_seconds=1.0, seed=0, frame_ms=25.0, valid_fraction=0.0, test_fraction=0.25)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    project = Project("anywhere")
    project.raw.mkdir(parents=True)
    return project


def write(project: Project, rows: list[str], seconds: float = 0.5, columns: str = "path,text,speaker") -> None:
    (project.raw / "index.csv").write_text("\n".join([columns, *rows]) + "\n")
    for number, row in enumerate(rows):
        name = row.partition(",")[0]
        if name and not (project.raw / name).exists():
            write_tone(project.raw / name, 300 + 10 * number, seconds)


def test_speakers_stay_in_one_split_and_targets_are_texts(project: Project) -> None:
    write(project, [f"{name}{number}.wav,Eins zwei,{name}" for name in "abcd" for number in range(3)])
    prepare(project, PARAMS)
    prepared = Prepared(project.prepared)
    manifest = prepared.manifest
    assert manifest["alphabet"] == [" ", *sorted("einszw")]
    train, test = prepared.table("train"), prepared.table("test")
    assert len(test) == 3
    assert not set(train.strings("speaker")[:]) & set(test.strings("speaker")[:])
    symbols = train.ragged("target").row(0).tolist()
    assert "".join(manifest["alphabet"][symbol - 1] for symbol in symbols) == "eins zwei"


def test_all_problems_at_once_and_nothing_written(project: Project) -> None:
    write_tone(project.raw / "long.wav", 400, 1.5)
    write_tone(project.raw / "short.wav", 410, 0.1)
    (project.raw / "text.wav").write_text("no recording")
    rows = ["a.wav,one,x", "a.wav,again,x", "long.wav,two,x", "short.wav,seven,x", "text.wav,three,x", "b.wav,?!,x"]
    write(project, [*rows, "gone.wav,four,x"])
    (project.raw / "gone.wav").unlink()
    (project.raw / "words.csv").write_text(
        "path,start_s,end_s\na.wav,0.1,0.2\na.wav,0.3,0.4\nz.wav,0,1\nlong.wav,2,1\n"
    )
    with pytest.raises(UserError) as caught:
        prepare(project, PARAMS)
    message = str(caught.value)
    for part in (
        "index.csv:3", "a.wav: again", "index.csv:4", "1.5 s, expected at most prepare.max_seconds=1", "index.csv:5",
        "0.10 s give 4 outputs, its text needs 5", "a text, no recording", "no letter or digit",
        "gone.wav: no such file",
        "a.wav: 2 words, but the text has 1", "z.wav: no such utterance", "start_s below end_s",
    ):  # fmt: skip
        assert part in message, part
    assert not project.prepared.exists()


def test_characters_that_train_has_not_are_counted(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, ["a.wav,one,train", "b.wav,on,train", "c.wav,ones,test"], columns="path,text,split")
    prepare(project, PARAMS)
    assert "test has characters that train has not, which are always errors: 's' 1 times." in capsys.readouterr().out
    assert len(Prepared(project.prepared).table("test").ragged("target").row(0)) == 3


def test_a_speed_that_leaves_too_few_outputs_is_refused(project: Project) -> None:
    write(project, ["a.wav,onetwothree,train", "b.wav,o,test"], seconds=0.3, columns="path,text,split")
    prepare(project, PARAMS)
    table = Prepared(project.prepared).table("train")
    assert num_frames(2400, 8000, 25.0) == 12
    check_speed(table, 1.0, 8000, 25.0)
    with pytest.raises(UserError, match=r"1 utterances are too short for their texts: a\.wav"):
        check_speed(table, 1.5, 8000, 25.0)


def test_pairs_of_files_need_no_table(project: Project) -> None:
    for name, hz in (("x", 300), ("y", 400), ("z", 500), ("w", 600)):
        write_tone(project.raw / f"{name}.wav", hz)
        (project.raw / f"{name}.txt").write_text(f"{name}!")
    prepare(project, PARAMS)
    texts = [text for split in ("train", "test") for text in Prepared(project.prepared).table(split).strings("text")]
    assert sorted(texts) == ["w", "x", "y", "z"]
    assert np.dtype(Prepared(project.prepared).table("train").ragged("sound").values.dtype) == np.int16


def test_copies_of_a_recording_stay_in_one_split(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, [f"{name}.wav,o," for name in "abcdefgh"])
    for name in "abcd":
        (project.raw / f"{name}.wav").write_bytes((project.raw / "a.wav").read_bytes())
    prepare(project, PARAMS)
    splits = {name: set(Prepared(project.prepared).table(name).strings("id")[:]) for name in ("train", "test")}
    copies = {"a.wav", "b.wav", "c.wav", "d.wav"}
    assert any(copies <= ids for ids in splits.values())
    assert "Nothing tells speakers apart" in capsys.readouterr().out
    write(project, ["a.wav,o,train", "b.wav,o,test"], columns="path,text,split")
    prepare(project, PARAMS)
    assert "1 recordings of test are in train as well" in capsys.readouterr().out


def test_few_utterances_get_small_batches(project: Project) -> None:
    write(project, [f"{name}.wav,o," for name in "abcdefgh"])
    found = suggest(project.raw)
    assert found["prepare.rate_hz"] == 8000
    assert found["prepare.max_seconds"] == 1.0
    assert found["train.batch_size"] == 400
    assert found["train.epochs"] == 60.0
