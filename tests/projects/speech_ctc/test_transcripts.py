"""Transcripts as people have them, and everything that is wrong with them at once."""

from pathlib import Path

import pytest

from projects.speech_ctc.normalise import alphabet_of, encode, normalise_transcript
from projects.speech_ctc.transcripts import find_utterances
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


def test_symbols_begin_after_the_blank() -> None:
    alphabet = alphabet_of(["two one", "won't"])
    assert alphabet == [" ", "'", "e", "n", "o", "t", "w"]
    assert encode("two one", alphabet) == [6, 7, 5, 1, 5, 4, 3]
    with pytest.raises(KeyError):
        encode("x", alphabet)


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
