"""Kinds of errors, intervals, and baselines."""

import random

import numpy as np
import pytest
from seqeval.metrics import f1_score

from projects.conll_ner import baselines, scores
from projects.conll_ner.tags import entities, tag_names

NAMES = tag_names(["LOC", "ORG", "PER"])
TRUE = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "I-ORG", "O", "O"]
SAID = ["B-PER", "I-PER", "O", "B-ORG", "O", "O", "B-ORG", "O", "B-LOC"]


@pytest.mark.parametrize("seed", range(20))
def test_f1_of_counts_is_that_of_seqeval(seed):
    draw = random.Random(seed)
    true = [[draw.choice(["O", *NAMES]) for _ in range(draw.randint(1, 12))] for _ in range(6)]
    said = [[tag if draw.random() < 0.6 else draw.choice(NAMES) for tag in tags] for tags in true]
    counts = scores.count(list(map(entities, true)), list(map(entities, said)))
    assert scores.f1_of(counts.sum(0)) == pytest.approx(f1_score(true, said, zero_division=0))


def test_kinds_of_errors():
    found = scores.matches([TRUE], [SAID], [np.linspace(1, 0.2, 9)])
    assert [(one.kind, one.actual, one.predicted) for one in found] == [
        ("right", "PER", "PER"),
        ("type", "LOC", "ORG"),
        ("boundary", "ORG", scores.BOUNDARY),
        ("spurious", scores.MISSED, "LOC"),
    ]
    assert [one.confidence for one in found] == pytest.approx([0.9, 0.7, 0.4, 0.2])
    assert [one.kind for one in scores.matches([SAID], [["O"] * 9], [np.ones(9)])] == ["missed"] * 4


def test_seen_means_the_same_words_with_the_same_type():
    names = scores.names_of([["Paris"], ["Bonn"]], [["B-PER"], ["B-LOC"]])
    found = scores.matches([["B-LOC", "O", "B-LOC"]], [["O", "O", "B-LOC"]], [np.ones(3)])
    counted = scores.count_kinds(found, [["Paris", "in", "Bonn"]], names)
    assert {key: counted[f"recall_{key}"] for key in ("seen", "unseen")} == {"seen": 1, "unseen": 0}
    assert [counted[f"num_{key}"] for key in ("right", "missed", "seen", "unseen")] == [1, 1, 1, 1]


def test_the_gazetteer_takes_the_longest_name_and_its_most_frequent_type():
    words = [["New", "York", "Times"], ["New", "York"], ["Paris"], ["Paris"], ["Paris"]]
    tags = [["B-ORG", "I-ORG", "I-ORG"], ["B-LOC", "I-LOC"], ["B-PER"], ["B-LOC"], ["B-LOC"]]
    names = scores.names_of(words, tags)
    text = [["Paris", "read", "New", "York", "Times", "in", "New", "York", "."]]
    assert baselines.gazetteer(text, names) == [["B-LOC", "O", "B-ORG", "I-ORG", "I-ORG", "O", "B-LOC", "I-LOC", "O"]]


def test_the_linear_baseline_knows_words_and_their_neighbours():
    words = [["Mr", "Bonn", "slept"], ["in", "Bonn", "again"]] * 10
    tags = [["O", "B-PER", "O"], ["O", "B-LOC", "O"]] * 10
    text = [["Mr", "Bonn"], ["in", "Bonn"]]
    assert baselines.linear(words, tags, text, seed=0) == [["O", "B-PER"], ["O", "B-LOC"]]
