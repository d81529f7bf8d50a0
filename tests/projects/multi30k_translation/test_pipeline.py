"""From sentence pairs to the page: what is learned, every file that is left, as many lines out as in."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from projects.multi30k_translation import evaluate, explain, predict, prepare, train
from tests.whole_pipeline import assert_complete, run_all

PROJECT = Path(train.__file__).parent
SMALL = {
    "prepare.num_pieces": 100,
    "train.epochs": 40.0,
    "train.batch_size": 512,
    "train.micro_batch_size": 512,
    "train.validate_epochs": 20.0,
    "train.model.width": 32,
    "train.model.num_heads": 2,
    "train.model.num_encoder_layers": 1,
    "train.model.num_decoder_layers": 1,
    "train.model.feedforward": 64,
    "train.model.dropout": 0.0,
    "train.lr": 0.01,
    "train.average_last": 2,
    "explain.num_scored": 6,
    "explain.num_shown": 2,
    "explain.num_aligned": 6,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "evaluate/metrics.json",
    "evaluate/page.json",
    "evaluate/predictions.csv",
    "evaluate/run.json",
    "explain/alignment.json",
    "explain/curves.tsv",
    "explain/metrics.json",
    "explain/page.json",
    "report.html",
    "train/history.tsv",
    "train/model.json",
    "train/model.safetensors",
    "train/run.json",
    "train/validation.tsv",
    "train/README.md",
]
WORDS = {"red": "rot", "blue": "blau", "cat": "Katze", "dog": "Hund", "<b>": "<b>", "two": "zwei", "old": "alt"}


def make(num: int, seed: int) -> list[tuple[str, str]]:
    """Words in one language, and in the other in reverse."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(list(WORDS), rng.integers(1, 5)).tolist() for _ in range(num)]
    return [(" ".join(row), " ".join(WORDS[word] for word in row[::-1])) for row in rows]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    (root / "data/raw/multi30k_translation").mkdir(parents=True)
    for name, size, seed in (("train", 900, 0), ("valid", 40, 1), ("test", 60, 2)):
        rows = "\r\n".join("\t".join(pair) for pair in make(size, seed))
        (root / f"data/raw/multi30k_translation/{name}.tsv").write_text(rows, encoding="utf-8", newline="")
    small = SMALL | {"prepare.max_ratio": 9.0}
    with run_all(root, PROJECT, small, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns_words_and_their_order(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (60, "sentences", "own")
    assert metrics["bleu_score_low"] <= metrics["bleu_score"] <= metrics["bleu_score_high"]
    assert metrics["bleu_score"] > 80
    assert metrics["difference"]["dictionary_low"] > 10
    assert metrics["empty_error_rate"] == 0


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results, FILES)


def test_data_are_text_on_the_page(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b> " not in page
    for title in ("The worst translations", "Which source word makes which target word", "left out: a side is empty"):
        assert title in page


LINES = [
    b"red cat",
    b"",
    b"old\x0bdog\xe2\x80\xa8two\xc2\x85",
    b"\xff\xfe",
    "日本語 ☃".encode(),
    b"dog " * 5000,
    b"cat\r",
]


def test_as_many_lines_out_as_in(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in them: what cannot be read and what is cut is named, and all else is translated."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(LINES))))
    with pytest.raises(SystemExit) as left:
        predict.main(["--beam", "2", "--model", str(results / "train")])
    out, err = capsys.readouterr()
    found = out.split("\n")[:-1]
    assert left.value.code == 2
    assert len(found) == len(LINES)
    assert found[0] == "Katze rot"
    assert found[1] == found[3] == ""
    assert "Katze" in found[6]
    assert "-:4: byte 1 is not UTF-8" in err
    assert "-:6: " in err
    assert "tokens too long" in err


def test_several_translations_are_given_best_first(results: Path) -> None:
    (found,) = predict.load_predictor(results / "train", beam=1, best=3)(["old dog"])
    scores = [one["score"] for one in found["best"]]
    assert found["translation"] == found["best"][0]["translation"] == "Hund alt"
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
