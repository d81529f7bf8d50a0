"""The evaluate stage of anything with classes: figures, differences to baselines, the worst errors first."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from shared.core.headline import headline_of
from shared.data.prepared import Prepared, write_prepared
from shared.evaluation.classification import confusions, evaluate_classes, worst_errors
from shared.report.blocks import text
from shared.training.distributed import local
from tests.empty_root import everything_below

CLASSES = ["a", "<b>", "c"]
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 0])
LOGITS = np.eye(3)[[0, 1, 2, 0, 0, 0, 1, 0]] * np.array([5, 5, 5, 5, 2, 9, 4, 5])[:, None]  # errors: rows 4, 5, 6


class Section(SimpleNamespace):
    def model_dump(self):
        return vars(self)


def show(rows, captions, folder):
    (folder / "shown.txt").write_text(str(rows))
    return text(" | ".join(captions))


def test_confusions_come_most_frequent_first() -> None:
    actual, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 1, 0, 2, 0, 2])
    assert confusions(actual, predicted, CLASSES) == [("a", "<b>", 2), ("<b>", "a", 1), ("c", "a", 1)]


def test_the_worst_errors_are_the_most_confident(tmp_path) -> None:
    blocks = worst_errors(LOGITS, LABELS, CLASSES, 2, show, tmp_path)
    assert (tmp_path / "shown.txt").read_text() == "[5, 6]"
    assert blocks[-1]["text"] == "c (0%) taken for a (100%) | a (2%) taken for <b> (96%)"
    assert len(worst_errors(LOGITS, LOGITS.argmax(1), CLASSES, 2, show, tmp_path)) == 2  # a section and a sentence


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
    assert "3 of 8 test sounds are misclassified" in page
