"""Recordings for predict: files, lists of files and a pipe of raw samples."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.audio.read import RAW_BYTES, SOUNDS, sound_line, sound_predictor
from shared.core import paths
from shared.core.errors import Problems
from tests.shared.audio.tones import tone, write_tone


def heard(samples: np.ndarray) -> dict[str, Any]:
    return {"number": len(samples)}


def test_files_are_found_in_words_folders_and_lists(tmp_path: Path) -> None:
    for name in ("a.wav", "inside/b.flac", "c.wav"):
        write_tone(tmp_path / name)
    (tmp_path / "list.txt").write_bytes(f"\ufeff{tmp_path / 'c.wav'}\r\n\r\n".encode())
    words, lists = [str(tmp_path / "a.wav"), str(tmp_path / "inside")], [tmp_path / "list.txt", tmp_path / "gone.txt"]
    problems = Problems("predict")
    items = [item for some in SOUNDS.read(words, lists, problems) for item in some]
    assert [item.value for item in items] == [tmp_path / name for name in ("a.wav", "inside/b.flac", "c.wav")]
    assert [problem.partition(": ")[0] for problem in problems.found] == [str(tmp_path / "gone.txt")]
    predict = sound_predictor(8000, heard, heard)
    assert predict([item.value for item in items]) == [{"number": 4000}] * 3


def test_an_error_names_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)  # whose paths are shown without it
    (tmp_path / "a.wav").write_text("no recording")
    (found,) = sound_predictor(8000, heard, heard)([str(tmp_path / "a.wav")])
    assert found == {"error": "a text, no recording (expected WAV, FLAC, OGG or MP3)"}


@pytest.mark.parametrize("odd", [0, 1])
def test_a_pipe_comes_in_parts_and_has_an_end(odd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.round(tone(440, 0.6, 8000) * 32767).astype("<i2")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(whole.tobytes() + b"x" * odd)))
    parts = [item.value for some in SOUNDS.read(["-"], [], Problems("predict")) for item in some]
    assert [len(part) for part in parts] == [RAW_BYTES // 2] * 2 + [4800 - RAW_BYTES, 0]
    assert (np.concatenate(parts) * 32768 == whole).all()
    assert sound_predictor(8000, heard, lambda samples: {})(parts) == [{}] * 4


def test_lines_for_a_terminal() -> None:
    assert sound_line({"label": "yes\x1b", "probability": 0.5, "top": []}) == " 50.0% yes\\x1b"
    events = [{"label": "yes", "probability": 0.5, "time_s": 1.0}, {"label": "no", "probability": 0.9, "time_s": 2.5}]
    assert sound_line({"events": events}) == "1.00 s yes 50.0%  2.50 s no 90.0%"
    assert sound_line({"events": []}) == "nothing heard"
