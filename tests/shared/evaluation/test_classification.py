"""The evaluate stage of anything with classes: figures, differences to baselines, the worst errors first."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from shared.core.headline import headline_of
from shared.data.prepared import Prepared, write_prepared
from shared.evaluation.classification import confusions, describe_errors, error_blocks, evaluate_classes
from shared.report.blocks import articles, text
from shared.training.distributed import local
from tests.empty_root import everything_below

CLASSES = ["a", "<b>", "c"]
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0])
LOGITS = np.eye(3)[[0, 1, 2, 0, 0, 0, 1, 0]] * np.array([5, 5, 5, 5, 2, 9, 4, 5])[:, None]  # errors: rows 4, 5, 6


class Section(SimpleNamespace):
    def model_dump(self):
        return vars(self)


def show(rows, cases, folder):
    (folder / "shown.txt").write_text(str(rows))
    return articles([case | {"text": ""} for case in cases])


def test_confusions_come_most_frequent_first() -> None:
    actual, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 1, 0, 2, 0, 2])
    assert confusions(actual, predicted, CLASSES) == [("a", "<b>", 2), ("<b>", "a", 1), ("c", "a", 1)]


def test_the_worst_errors_are_the_most_confident(tmp_path) -> None:
    _, matrix, intro, shown = error_blocks(LOGITS, LABELS, CLASSES, 2, show, tmp_path)
    assert (tmp_path / "shown.txt").read_text() == "[5, 6]"
    assert "The 2 most confident of 3 errors" in intro["text"]
    assert [case["title"] for case in shown["rows"]] == ["c taken for a", "a taken for <b>"]
    assert [case["group"] for case in shown["rows"]] == ["c", "a"]
    assert matrix["links"] == {"2-0": shown["rows"][0]["id"], "0-1": shown["rows"][1]["id"]}
    assert len(error_blocks(LOGITS, LOGITS.argmax(1), CLASSES, 2, show, tmp_path)) == 3  # no errors: a sentence instead


def test_an_error_is_told_with_three_guesses_and_the_truth() -> None:
    logits = np.log([[0.1, 0.5, 0.2, 0.15, 0.05], [0.1, 0.5, 0.25, 0.1, 0.05]])
    cases, links = describe_errors(logits, np.array([0, 2]), list("abcde"), [0, 1])
    assert [case["note"] for case in cases] == ["b 50%, c 20%, d 15%, a 10%", "b 50%, c 25%, a 10%"]
    assert links == {"0-1": "error-0-1", "2-1": "error-2-1"}


def test_only_the_first_of_a_confusion_is_linked_to() -> None:
    cases, links = describe_errors(LOGITS[[6, 6]], np.array([0, 0]), CLASSES, [0, 1])
    assert ["id" in case for case in cases] == [True, False]
    assert links == {"0-1": "error-0-1"}


def test_confusions_of_many_classes_are_listed(tmp_path) -> None:
    classes = [f"c{number}" for number in range(13)]
    logits, actual = np.eye(13)[[0, 1, 1]], np.array([0, 1, 2])
    listed = next(block for block in error_blocks(logits, actual, classes, 9, show, tmp_path) if "columns" in block)
    assert listed["rows"] == [("c2", "c1", 1)]


@pytest.fixture
def results(tmp_path):
    write_prepared(
        tmp_path / "prepared",
        {"train": {"label": LABELS, "id": list("abcdefgh")}, "test": {"label": LABELS, "id": list("ijklmnop")}},
        {"source": "own"},
    )
    folder = tmp_path / "results"
    folder.mkdir()
    trained = SimpleNamespace(
        project=SimpleNamespace(results=lambda stage: folder),
        params=SimpleNamespace(evaluate=Section(seed=0, num_worst=2)),
        config={"classes": CLASSES},
        prepared=Prepared(tmp_path / "prepared"),
        world=local(),
    )
    evaluate_classes(
        trained,
        lambda batch: batch["logits"],
        lambda index: {"logits": torch.from_numpy(LOGITS)[index], "label": torch.from_numpy(LABELS)[index]},
        [torch.tensor([5, 4, 7]), torch.tensor([0, 1, 2, 3, 6])],
        unit="sounds",
        baselines=lambda train, test: {"majority": np.zeros(len(test), int)},
        show_errors=show,
        more=lambda right, guesses: [text(f"{int(right.sum())} right, {len(guesses)} baselines")],
    )
    return folder


def test_the_stage_leaves_figures_rows_and_a_page(results) -> None:
    names = ["metrics.json", "page.json", "pictures", "pictures/shown.txt", "predictions.csv", "run.json"]
    assert everything_below(results) == names
    metrics = json.loads((results / "metrics.json").read_text())
    headline = headline_of(metrics)
    assert (headline.name, headline.value, headline.best_baseline) == ("accuracy", 0.625, ("majority", 0.5))
    assert (headline.num_samples, headline.unit, headline.source) == (8, "sounds", "own")
    header, *rows = (results / "predictions.csv").read_text().splitlines()
    assert header == "id,actual,predicted,confidence"
    assert [row.rsplit(",", 1)[0] for row in rows][4:7] == ["m,<b>,a", "n,c,a", "o,a,<b>"]
    page = (results / "page.json").read_text()
    assert "5 right, 1 baselines" in page
    assert "3 of 8 sounds wrong" in page
    assert "roc_auc_score" not in page
