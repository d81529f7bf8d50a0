"""From a file of spans to the page: what is learned, every file that is left, new text."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from projects.conll_ner import evaluate, explain, predict, prepare, train
from tests.whole_pipeline import assert_complete, run_all

PROJECT = Path(train.__file__).parent
SMALL = {
    "prepare.max_tokens": 12,
    "train.epochs": 12.0,
    "train.batch_size": 256,
    "train.micro_batch_size": 256,
    "train.validate_epochs": 4.0,
    "train.model.word_size": 16,
    "train.model.num_filters": 8,
    "train.model.hidden_size": 16,
    "train.lr": 0.01,
    "explain.num_scored": 8,
    "explain.num_shown": 4,
    "explain.num_randomised": 1,
    "runtime.device": "cpu",
    "runtime.processes": 1,
}
FILES = [
    "evaluate/metrics.json",
    "evaluate/page.json",
    "evaluate/predictions.csv",
    "evaluate/run.json",
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
CUES = {"PER": ["Herr", "Frau"], "<b>LÄND": ["nach", "aus"]}


def make(num: int, seed: int) -> list[dict[str, object]]:
    """Invented names of one or two words; the word before says what they are, and a < is in the text."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num):
        label = list(CUES)[rng.integers(2)]
        name = " ".join("".join(rng.choice(list("aeioulmn"), 6)).capitalize() for _ in range(rng.integers(1, 3)))
        before = " ".join(
            [*rng.choice(["Heute", "ging", "dann", "<b>", "oft"], rng.integers(1, 5)), rng.choice(CUES[label])]
        )
        place = len(before) + 1
        cue = [before.rindex(" ") + 1, len(before)]
        span = {"start": place, "end": place + len(name), "label": label, "evidence": [cue]}
        rows.append({"text": f"{before} {name} .", "spans": [span]})
    return rows


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("root")
    (root / "data/raw/conll_ner").mkdir(parents=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in make(500, seed=0)]
    (root / "data/raw/conll_ner/own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with run_all(root, PROJECT, SMALL, (prepare, train, evaluate, explain)) as results:
        yield results


def test_it_learns_what_a_list_of_names_cannot(results: Path) -> None:
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert (metrics["num_samples"], metrics["unit"], metrics["source"]) == (100, "sentences", "own")
    assert metrics["f1_low"] <= metrics["f1"] <= metrics["f1_high"]
    assert metrics["f1"] > 0.95
    assert metrics["recall_unseen"] > 0.95
    assert metrics["baseline"]["gazetteer_f1"] < 0.2
    assert sum(metrics[f"num_{kind}"] for kind in ("right", "type", "boundary", "missed")) == metrics["num_entities"]
    explained = json.loads((results / "explain/metrics.json").read_text())["layer_integrated_gradients"]
    assert explained["evidence_score"] > 2 * explained["evidence_score_random"]
    assert explained["completeness_error"] < 0.1


def test_every_file_is_there_and_no_other(results: Path) -> None:
    assert_complete(results, FILES)


def test_data_are_text_on_the_page(results: Path) -> None:
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;LÄND" in page
    assert "<b>LÄND" not in page
    for title in ("Errors", "Seen and unseen names", "From the raw text of each sentence F1 is"):
        assert title in page


def test_what_is_evaluated_is_what_predict_does(results: Path) -> None:
    """raw_text_f1 is that of predict, and equals F1 here, where predict cuts the words as the data do."""
    metrics = json.loads((results / "evaluate/metrics.json").read_text())
    assert metrics["raw_text_f1"] == metrics["f1"]
    predictor, rows = predict.load_predictor(), make(40, seed=1)
    texts = [str(row["text"]) for row in rows]
    found = [[(one["start"], one["end"], one["label"]) for one in each["entities"]] for each in predictor(texts)]
    true = [[(span["start"], span["end"], span["label"]) for span in row["spans"]] for row in rows]  # type: ignore
    assert np.mean([one == other for one, other in zip(found, true, strict=True)]) > 0.9


def test_a_long_text_of_any_form_is_tagged_to_its_end(results: Path) -> None:
    text = "e\u0301e\u0301 oft\r\n" + "dann " * 200 + "Herr Lumana ging"
    predictor = predict.load_predictor()
    (entity,) = [one for one in predictor([text])[0]["entities"] if one["text"] == "Lumana"]
    assert text[entity["start"] : entity["end"]] == "Lumana"
    assert 0 < entity["confidence"] <= 1
    assert predictor(["\u200b", "ging"])[1] == {"entities": []}
    assert predictor([" "]) == [{"error": "no word in this text"}]
