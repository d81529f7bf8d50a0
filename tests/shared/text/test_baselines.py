"""Linear models of texts against values worked out by hand."""

import numpy as np
from scipy.sparse import csr_matrix

from shared.data.table import Table, write_table
from shared.text import baselines
from shared.text.baselines import count, log_count_ratio, text_baselines


def table(folder, texts, labels):
    write_table(folder, {"text": texts, "label": np.array(labels)})
    return Table(folder)


def test_log_count_ratios_are_those_of_the_paper():
    presence = csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]]))
    ratio = log_count_ratio(presence, np.array([True, True, False]))
    # 1 + counts: (3, 2, 1) of 6 inside, (1, 2, 2) of 5 outside
    np.testing.assert_allclose(ratio, np.log([3 / 6 / (1 / 5), 2 / 6 / (2 / 5), 1 / 6 / (2 / 5)]))


def test_linear_models_learn_what_words_say_and_the_majority_does_not(tmp_path):
    texts = ["good good film", "a good plot", "bad film", "a bad bad plot", "a film, good"] * 4
    train = table(tmp_path / "train", texts, [1, 1, 0, 0, 1] * 4)
    test = table(tmp_path / "test", ["good", "so bad"], [1, 0])
    found = text_baselines(train, test, num_texts=1000, seed=0)
    assert {name: guess.tolist() for name, guess in found.items()} == {
        "majority": [1, 1], "tfidf": [1, 0], "nbsvm": [1, 0]
    }  # fmt: skip


def test_n_grams_of_one_text_are_counted_where_there_are_no_others(monkeypatch):
    """Such as thousands of different names."""
    monkeypatch.setattr(baselines, "RARE", 2)
    assert count(["Ada", "Bo", "Ada"], ["Ada", "Bo"])[1].toarray().tolist() == [[1], [0]]
    assert count(["Ada", "Bo"], ["Bo", "Cy"])[1].toarray().tolist() == [[0, 1], [0, 0]]


def test_more_than_two_classes_and_only_one(tmp_path):
    texts = ["red rose", "blue sky", "green leaf"] * 4
    test = table(tmp_path / "test", ["a sky", "a leaf", "a rose"], [1, 2, 0])
    found = text_baselines(table(tmp_path / "three", texts, [0, 1, 2] * 4), test, num_texts=1000, seed=0)
    assert found["tfidf"].tolist() == found["nbsvm"].tolist() == [1, 2, 0]
    found = text_baselines(table(tmp_path / "one", texts, [2] * 12), test, num_texts=1000, seed=0)
    assert all(guess.tolist() == [2, 2, 2] for guess in found.values())
