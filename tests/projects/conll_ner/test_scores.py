"""Entities and their figures, against seqeval on random tags."""

import random

import numpy as np
import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

from projects.conll_ner import scores
from projects.conll_ner.tags import entities, faults, tag_names

NAMES = tag_names(["LOC", "ORG", "PER"])
TRUE = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "I-ORG", "O", "O"]
SAID = ["B-PER", "I-PER", "O", "B-ORG", "O", "O", "B-ORG", "O", "B-LOC"]


def random_tags(draw, legal):
    """A sentence of 1 to 12 words, half of them O."""
    tags = []
    for _ in range(draw.randint(1, 12)):
        fit = [name for name in NAMES if not legal or not faults([*tags, name], "BIO")]
        tags.append(draw.choice(["O", draw.choice(fit)]))
    return tags


def pair(seed, legal):
    draw = random.Random(seed)
    true = [random_tags(draw, legal) for _ in range(draw.randint(1, 6))]
    said = [[tag if draw.random() < 0.6 else draw.choice(NAMES) for tag in tags] for tags in true]
    if legal:
        said = [[draw.choice(["O", tag]) if tag[0] != "I" else tag for tag in tags] for tags in true]
        said = [["O" if place in faults(tags, "BIO") else tag for place, tag in enumerate(tags)] for tags in said]
        said = [tags if not faults(tags, "BIO") else ["O"] * len(tags) for tags in said]
    return true, said


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:.*ill-defined.*")
@pytest.mark.parametrize("seed", range(60))
def test_equal_to_seqeval_in_default_mode(seed):
    true, said = pair(seed, legal=False)
    for tags in true + said:
        assert [(one.label, one.start, one.end - 1) for one in entities(tags)] == get_entities(tags)
    expected = [metric(true, said, zero_division=0) for metric in (precision_score, recall_score, f1_score)]
    np.testing.assert_allclose(scores.micro(true, said), expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*ill-defined.*")
@pytest.mark.parametrize("seed", range(20))
def test_strict_mode_agrees_where_tags_are_legal(seed):
    true, said = pair(seed, legal=True)
    if any(tag != "O" for tags in true + said for tag in tags):
        expected = f1_score(true, said, mode="strict", scheme=IOB2, zero_division=0)
        assert scores.micro(true, said)[2] == pytest.approx(expected)


def test_kinds_of_errors():
    found = scores.matches([TRUE], [SAID])
    assert scores.kinds(found) == {"right": 1, "type": 1, "boundary": 1, "missed": 0, "spurious": 1}
    assert [(one.actual, one.predicted) for one in found] == [
        ("PER", "PER"), ("LOC", "ORG"), ("ORG", scores.BOUNDARY), (scores.MISSED, "LOC"),
    ]  # fmt: skip
    assert scores.kinds(scores.matches([SAID], [["O"] * 9]))["missed"] == 4


def test_summary_and_types():
    summary = scores.summary([TRUE] * 40, [SAID] * 40, ["LOC", "ORG", "PER"], seed=0)
    assert (summary["precision"], summary["recall"]) == (0.25, pytest.approx(1 / 3, abs=1e-6))
    assert summary["f1_low"] == summary["f1"] == summary["f1_high"]
    assert summary["by_class"]["PER"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "num_samples": 40}
    assert scores.summary([TRUE, SAID], [SAID, SAID], ["LOC"], 0)["f1_low"] < 1.0


def test_the_gazetteer_takes_the_longest_name_and_its_usual_type():
    words = [["New", "York", "Times"], ["New", "York"], ["Paris"], ["Paris"], ["Paris"]]
    tags = [["B-ORG", "I-ORG", "I-ORG"], ["B-LOC", "I-LOC"], ["B-PER"], ["B-LOC"], ["B-LOC"]]
    names = scores.names_of(words, tags)
    text = [["Paris", "read", "New", "York", "Times", "in", "New", "York", "."]]
    assert scores.gazetteer(text, names) == [["B-LOC", "O", "B-ORG", "I-ORG", "I-ORG", "O", "B-LOC", "I-LOC", "O"]]


def test_seen_means_the_same_words_with_the_same_type():
    names = scores.names_of([["Paris"], ["Bonn"]], [["B-PER"], ["B-LOC"]])
    words, true = [["Paris", "in", "Bonn"]], [["B-LOC", "O", "B-LOC"]]
    found = scores.matches(true, [["O", "O", "B-LOC"]])
    assert scores.recall_by_seen(found, words, names) == {"seen": (1, 1), "unseen": (0, 1)}
