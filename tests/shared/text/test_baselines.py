"""Figures of a text classifier against values worked out by hand or by scikit-learn itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from shared.data.columns import Columns, Ragged
from sklearn.metrics import roc_auc_score

from shared.evaluation import text_classes
from shared.text import linear as text_linear

TEXTS = ["good good film", "a good plot", "bad film", "a bad bad plot"] * 5
LABELS = np.array([1, 1, 0, 0] * 5)


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, skiprows=1, delimiter="\t")


def test_log_count_ratios_are_those_of_the_paper() -> None:
    presence = csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]]))
    ratio = text_linear.log_count_ratio(presence, np.array([True, True, False]))
    # 1 + counts: (3, 2, 1) of 6 inside, (1, 2, 2) of 5 outside
    np.testing.assert_allclose(ratio, np.log([3 / 6 / (1 / 5), 2 / 6 / (2 / 5), 1 / 6 / (2 / 5)]))


def test_linear_models_learn_what_words_say_and_the_majority_does_not() -> None:
    guesses = text_linear.predict(TEXTS, LABELS, ["good", "so bad", "good bad bad"], num_texts=1000, seed=0)
    assert set(guesses) == {"majority", "tfidf", "nbsvm"}
    for name in ("tfidf", "nbsvm"):
        assert guesses[name][:2].tolist() == [1, 0], name


def test_more_than_two_classes_and_only_one() -> None:
    texts, labels = ["red rose", "blue sky", "green leaf"] * 4, np.array([0, 1, 2] * 4)
    guesses = text_linear.predict(texts, labels, ["a sky", "a leaf", "a rose"], num_texts=1000, seed=0)
    assert guesses["tfidf"].tolist() == guesses["nbsvm"].tolist() == [1, 2, 0]
    guesses = text_linear.predict(texts, np.full(12, 2), ["a sky"], num_texts=1000, seed=0)
    assert all(guess.tolist() == [2] for guess in guesses.values())


def test_areas_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probability = rng.dirichlet(np.ones(3), 200)
    actual = np.where(rng.random(200) < 0.5, probability.argmax(axis=1), rng.integers(0, 3, 200))
    found = text_classes.areas(probability, actual)
    assert found["roc_auc_score"] == pytest.approx(roc_auc_score(actual, probability, multi_class="ovr"), abs=1e-6)
    assert text_classes.areas(probability, np.zeros(200, int)) == {}


def test_curves_of_a_perfect_and_of_a_useless_model(tmp_path: Path) -> None:
    actual = np.array([0, 1] * 50)
    text_classes.write_curves(tmp_path, np.stack([1 - actual, actual], axis=1) * 0.8 + 0.1, actual)
    assert (table(tmp_path / "roc.tsv")[1:, 1] == 1).all()
    assert (table(tmp_path / "pr.tsv")[:, 1] == 1).all()
    text_classes.write_curves(tmp_path, np.full((100, 2), 0.5), actual)
    roc, precision = table(tmp_path / "roc.tsv"), table(tmp_path / "pr.tsv")
    np.testing.assert_allclose(roc[:, 0], roc[:, 1], atol=1e-6)
    np.testing.assert_allclose(precision[1:, 1], 0.5, atol=1e-6)


def test_the_difference_is_paired() -> None:
    """Two models that are wrong on the same half: the difference is 0 without any doubt."""
    half = np.arange(100) < 50
    right = {"this model": half, "tfidf": half, "nbsvm": ~half}
    found = text_classes.differences(right, seed=0)
    assert [found[f"difference_tfidf{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    assert found["difference_nbsvm_low"] < 0 < found["difference_nbsvm_high"]


def some_test() -> Columns:
    return {
        "id": ["a", "b", "c", "d"],
        "text": ["short", "x" * 3000, "<b>", "fine"],
        "tokens": Ragged.of([[1], [1] * 40, [1] * 3, [1] * 2], np.int32),
    }


def test_the_worst_errors_come_first_and_long_texts_are_cut() -> None:
    logits = np.array([[0.0, 1.0], [0.0, 9.0], [3.0, 0.0], [0.0, 2.0]])
    found = list(text_classes.worst(logits, np.array([0, 0, 1, 1]), some_test(), ["no", "yes"], 2))
    assert [row["id"] for row in found] == ["b", "c"]
    assert (found[0]["actual"], found[0]["predicted"]) == ("no", "yes")
    assert found[0]["text"].endswith("[...]")
    assert len(found[0]["text"]) < 1300
    assert found[1]["text"] == "<b>"


def test_slices_go_from_the_shortest_to_the_longest() -> None:
    right = {name: np.array([True, False, True, True]) for name in ("this model", "tfidf", "nbsvm")}
    section = text_classes.length_section(right, some_test(), "reviews", seed=0)
    assert [row[0] for row in section["rows"]] == ["1 to 1", "2 to 2", "3 to 3", "40 to 40"]
    assert [row[2] for row in section["rows"]] == [1, 1, 1, 0]
    json.dumps(section)
