"""From a table of texts to the page: what is learned, every file that is left, new texts."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from projects.imdb_sentiment import evaluate, explain, predict, prepare, train
from tests.whole_pipeline import assert_complete, run_all

PROJECT = Path(train.__file__).parent
SMALL = {
    "prepare.seed": 0,
    "prepare.valid_fraction": 0.1,
    "prepare.test_fraction": 0.2,
    "prepare.tokenizer": "lower_words",
    "prepare.max_words": 1000,
    "prepare.min_count": 1,
    "prepare.max_tokens": 400,
    "train.seed": 0,
    "train.precision": "fp32",
    "train.model.name": "bilstm",
    "prepare.text_column": "said",
    "prepare.label_column": "meant",
    "train.epochs": 15.0,
    "train.batch_size": 512,
    "train.micro_batch_size": 512,
    "train.validate_epochs": 5.0,
    "train.model.width": 16,
    "train.model.hidden": 16,
    "train.lr": 0.01,
    "explain.num_scored": 8,
    "explain.num_shown": 4,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    *(f"evaluate/{name}" for name in ("metrics.json", "page.json", "predictions.csv", "run.json")),
    *(f"explain/{name}" for name in ("curves.tsv", "metrics.json", "page.json")),
    *(f"train/{name}" for name in ("history.tsv", "model.json", "model.safetensors", "run.json", "validation.tsv")),
    "train/README.md",
    "report.html",
]
FILLERS = ["we", "went", "there", "on", "a", "day", "in", "may", "and", "then", "home", "again"]


def some_texts(num: int, seed: int) -> list[tuple[str, str]]:
    """The last of two colours is meant: their bag says nothing, and words between them keep pairs from telling."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(num):
        order = ["rød", "<b>blå"][:: 1 if number % 2 else -1]
        between = [rng.choice(FILLERS, rng.integers(2, 5)).tolist() for _ in range(3)]
        rows.append((" ".join([*between[0], order[0], *between[1], order[1], *between[2]]), order[1]))
    return rows


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    (root / "data/raw/imdb_sentiment").mkdir(parents=True)
    lines = ["said;meant".replace(";", "\t"), *("\t".join(row) for row in some_texts(700, seed=0))]
    (root / "data/raw/imdb_sentiment/own.tsv").write_text("\n".join(lines), encoding="utf-8")
    with run_all(root, PROJECT, SMALL, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns_what_linear_models_cannot(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (140, "texts", "own")
    assert metrics["accuracy"] > 0.95
    assert metrics["roc_auc_score"] > 0.95
    assert metrics["baseline"]["majority_accuracy"] == 0.5
    assert metrics["baseline"]["tfidf_accuracy"] < 0.75
    assert metrics["baseline"]["nbsvm_accuracy"] < 0.75
    assert metrics["difference"]["tfidf_low"] > 0.1


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results, FILES)


def test_data_are_text_on_the_page(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;blå" in page
    assert "<b>blå" not in page
    for title in ("Against baselines", "By length", "Probabilities"):
        assert title in page


def test_new_texts_are_told_apart_in_any_company(results: Path) -> None:
    say, rows = predict.load_predictor(), some_texts(50, seed=1)
    said = say([text for text, _ in rows])
    assert np.mean([one["label"] == label for one, (_, label) in zip(said, rows, strict=True)]) > 0.95
    alone = say([rows[7][0]])[0]
    assert alone["label"] == said[7]["label"]
    assert alone["probability"] == pytest.approx(said[7]["probability"], abs=1e-5)


def test_hard_texts_get_an_answer_or_a_reason(results: Path) -> None:
    long, unknown, nothing = predict.load_predictor()(["rød " * 100_000, "هذا é 👍🏽", "\x07"])
    assert long["num_cut"] == 100_000 - 400
    assert sum(row["probability"] for row in unknown["top"]) == pytest.approx(1, abs=1e-5)
    assert "error" in nothing
