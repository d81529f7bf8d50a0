"""Transcripts as people have them, and everything that is wrong with them at once."""

from pathlib import Path

import pytest

from projects.speech_ctc.transcripts import find_utterances, normalise_transcript
from shared.core.errors import Problems
from tests.shared.audio.tones import write_tone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It\u2019s", "it's"),
        ("rock \u2019n\u2019 roll", "rock n roll"),
        ("cafe\u0301", "caf\u00e9"),
        ("Stra\u00dfe", "stra\u00dfe"),
        ("well\u2014known\u00a0 facts.", "well known facts"),
        ("\ufb01ve \uff11", "five 1"),
        ("?!", ""),
    ],
)
def test_a_transcript_is_normalised(text: str, expected: str) -> None:
    assert normalise_transcript(text) == expected
    assert normalise_transcript(expected) == expected


def found_in(root: Path) -> list[tuple[str, str]]:
    problems = Problems("here")
    found = find_utterances(root, problems)
    problems.raise_if_any()
    return [(one.id, one.text) for one in found]


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    texts = {"a": "One two.", "b": "Three"}
    forms = {
        "plain": ("all.csv", 'path,text\na.wav,"One two."\nb.wav,Three\n', ""),
        "voice": ("train.tsv", "client_id\tpath\tsentence\nx\ta.wav\tOne two.\ny\tb.wav\tThree\n", "clips/"),
        "lj": ("metadata.csv", "a|1 2.|One two.\nb|3|Three\n", "wavs/"),
    }
    for form, (name, content, folder) in forms.items():
        for stem in texts:
            write_tone(tmp_path / form / folder / f"{stem}.wav")
        (tmp_path / form / name).write_text(content)
        expected = [(f"{folder}a.wav", "one two"), (f"{folder}b.wav", "three")]
        assert found_in(tmp_path / form) == expected, form
    for stem, text in texts.items():
        write_tone(tmp_path / f"pairs/x/{stem}.wav")
        (tmp_path / f"pairs/x/{stem}.txt").write_text(text)
    assert found_in(tmp_path / "pairs") == [("x/a.wav", "one two"), ("x/b.wav", "three")]


def test_common_voice_is_read_as_it_comes(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "dev", "test", "other")):
        write_tone(tmp_path / f"clips/{name}.wav", 300 + number)
        (tmp_path / f"{name}.tsv").write_text(f'client_id\tpath\tsentence\n{name}\t{name}.wav\tOne "two.\n')
    (tmp_path / "clip_durations.tsv").write_text("clip\tduration[ms]\ntrain.wav\t500\n")
    problems = Problems("here")
    found = find_utterances(tmp_path, problems)
    assert problems.found == []
    assert [(one.split, one.speaker) for one in found] == [("valid", "dev"), ("test", "test"), ("train", "train")]


def test_a_text_that_speaks_of_a_path_is_no_header(tmp_path: Path) -> None:
    write_tone(tmp_path / "wavs/a.wav")
    write_tone(tmp_path / "wavs/b.wav", 300)
    (tmp_path / "metadata.csv").write_bytes("a|A path.|\r\nb|2\u2028|Two.\r\na|Again.|\r\n".encode())
    problems = Problems("here")
    found = find_utterances(tmp_path, problems)
    assert [(one.id, one.text) for one in found] == [("wavs/a.wav", "a path"), ("wavs/b.wav", "two")]
    (problem,) = problems.found
    assert "metadata.csv:3: wavs/a.wav: again" in problem


def test_pairs_below_a_folder_of_a_split_are_of_that_split(tmp_path: Path) -> None:
    for number, name in enumerate(("train/a/one", "Test/two", "three")):
        write_tone(tmp_path / f"{name}.wav", 300 + number)
        (tmp_path / f"{name}.txt").write_text("one")
    found = find_utterances(tmp_path, Problems("here"))
    assert [(one.id, one.split) for one in found] == [
        ("Test/two.wav", "test"), ("three.wav", None), ("train/a/one.wav", "train"),
    ]  # fmt: skip


def test_a_recording_elsewhere_and_an_unknown_split_are_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "elsewhere.wav")
    write_tone(tmp_path / "here/a.wav", 300)
    rows = f"path,text,split\n{tmp_path / 'elsewhere.wav'},one,\na.wav,two,exam\n"
    (tmp_path / "here/all.csv").write_text(rows)
    problems = Problems("here")
    find_utterances(tmp_path / "here", problems)
    found = "\n".join(problems.found)
    assert "all.csv:2" in found
    assert "elsewhere.wav: no such file below" in found
    assert "all.csv:3: split 'exam', expected train, valid or test" in found


def test_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    (tmp_path / "all.csv").write_text("path,text\na.wav,one\na.wav,two\ngone.wav,three\na.wav,?!\n")
    problems = Problems("here")
    find_utterances(tmp_path, problems)
    found = "\n".join(problems.found)
    assert "all.csv:3: a.wav: again" in found
    assert "all.csv:4: gone.wav: no such file" in found
    assert "all.csv:5: '?!': no letter" in found
    assert len(problems.found) == 3
