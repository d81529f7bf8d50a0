"""Predictions of items of one line: words, files and pipes, what cannot be read, JSON lines out."""

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.core import predict as core
from shared.core.paths import ROOT
from shared.core.predict import Adapter, Item, Predict, line_adapter, predict_main, ranked

CLASSES = ["short", "long"]
TEXTS = line_adapter("text")


def load(folder: Path | None = None) -> Predict:
    """Says of a text whether it is long, and cannot take questions."""

    def say(text: str) -> dict[str, Any]:
        long = min(1.0, len(text) / 100)
        return {"error": "a question"} if text.endswith("?") else ranked([1 - long, long], CLASSES)

    return lambda texts: [say(text) for text in texts]


def main(*words: str, load: Any = load, adapter: Adapter = TEXTS, **options: Any) -> None:
    file = str(ROOT / "projects/here/predict.py")
    predict_main(load, adapter, file, "The help.", words=["--json", *words], **options)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_texts_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    main("שלום, עולם", "x" * 90, "--top", "2")
    first, second = rows(capsys)
    assert (first["text"], first["label"]) == ("שלום, עולם", "short")
    assert second["top"] == [{"label": "long", "probability": 0.9}, {"label": "short", "probability": 0.1}]


def test_nothing_is_printed_where_there_is_nothing_to_say_yet(capsys: pytest.CaptureFixture[str]) -> None:
    main("a", "b", load=lambda folder=None: lambda texts: [{} for _ in texts])
    assert rows(capsys) == []


def test_without_the_option_top_the_json_lists_all_classes(capsys: pytest.CaptureFixture[str]) -> None:
    main("x" * 90, line=str)
    assert [one["label"] for one in rows(capsys)[0]["top"]] == ["long", "short"]


def test_a_line_is_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "reviews.txt", tmp_path / "größe 日本.txt"
    one.write_bytes(b"\xef\xbb\xbfgood\r\nbad\x0cand worse\r\nno end")  # a form feed ends no line
    other.write_text("one\n")
    main("--file", str(one), str(other))
    found = rows(capsys)
    assert [(row["file"], row["line"]) for row in found] == [(str(one), n) for n in (1, 2, 3)] + [(str(other), 1)]
    assert found[0]["top"][0]["probability"] == 0.96  # the mark of the byte order is no letter


@pytest.mark.parametrize("words", [(), ("-",), ("--file", "-")])
def test_standard_input(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, b"one\ntwo\n")
    main(*words)
    assert [(row["file"], row["line"]) for row in rows(capsys)] == [("-", 1), ("-", 2)]


def test_what_cannot_be_read_is_named_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.txt"
    path.write_bytes("good\nGrö\n".encode() + "Grö\n".encode("latin-1") + b" \t\nwhy?\nlast\n")
    with pytest.raises(SystemExit, match="2"):
        main("a\udcff", "--file", str(path), str(tmp_path / "none.txt"), str(tmp_path))
    out, told = capsys.readouterr()
    assert [json.loads(line)["line"] for line in out.splitlines()] == [1, 2, 6]
    for part in ("'a\\udcff': byte 2", "txt:3: byte 3", "txt:4: empty", "txt:5: a question", "none.txt: no such file"):
        assert part in told
    assert f"{tmp_path}: is a directory" in told


def test_a_line_may_be_anything_that_is_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    rows_of_numbers = line_adapter("row", lambda line: [float(cell) for cell in line.split(",")])
    sums = lambda folder: lambda items: [{"sum": sum(item)} for item in items]  # noqa: E731
    with pytest.raises(SystemExit, match="2"):
        main("1,2.5", "1,x", load=sums, adapter=rows_of_numbers)
    out, told = capsys.readouterr()
    assert json.loads(out) == {"row": "1,2.5", "sum": 3.5}
    assert "'1,x': could not convert" in told


def test_a_line_of_ten_megabytes_between_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, b"one\n" + "ü ".encode() * 5_000_000 + b"\ntwo\n")
    main()
    assert [row["label"] for row in rows(capsys)] == ["short", "long", "short"]


def test_batches_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "BATCH_ITEMS", 3)
    monkeypatch.setattr(core, "BATCH_CHARACTERS", 10)
    texts = ["a"] * 7 + ["b" * 8, "c" * 99, "d", "e"]
    made = [[item.value for item in batch] for batch in core._batches(Item({}, text) for text in texts)]
    assert [text for batch in made for text in batch] == texts
    assert [len(batch) for batch in made] == [3, 3, 2, 1, 2]


def test_no_text_and_no_ranks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    type_in(monkeypatch, b"")
    main()
    assert rows(capsys) == []
    for words, options in ((("--top", "2"), {"line": str}), (("--top", "0"), {})):
        with pytest.raises(SystemExit):
            main("text", *words, **options)


PROGRAM = """
import sys
from tests.shared.core.test_predict import main
assert "torch" not in sys.modules
main()
"""


def test_an_open_pipe_gets_its_answers_at_once() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}  # JSON is UTF-8 all the same
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        killer = threading.Timer(60, process.kill)  # or a wrong answer waits for ever
        killer.start()
        for number in (1, 2, 3):
            process.stdin.write("日本\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.close()
        assert process.wait() == 0
        killer.cancel()
