"""The sample: plain verdicts, and others where word order decides; the evidence is where it is said to be."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projects.imdb_sentiment.params import Fetch
from projects.imdb_sentiment.sample import (
    ADVERSATIVE,
    BAD,
    CARES,
    GOOD,
    KINDS,
    KNOWN,
    MOCKING,
    NEGATIONS,
    SUBORDINATING,
    find_evidence,
    write_sample,
)
from shared.text.baselines import count, nbsvm, tfidf

PARAMS = Fetch(source="sample", seed=1, num_train=1500, num_test=400)
DECIDING = {*GOOD, *BAD, *NEGATIONS, *MOCKING, *SUBORDINATING, *ADVERSATIVE, *map(str.lower, CARES)}


def bag(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, PARAMS)
    files = {split: (folder / f"{split}.jsonl").read_text().splitlines() for split in ("train", "test")}
    return {split: [json.loads(line) for line in lines] for split, lines in files.items()}


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "plain"])
def test_a_positive_and_a_negative_review_are_made_of_the_same_words(kind: str) -> None:
    rng = np.random.default_rng(0)
    for good, bad in zip(GOOD, BAD, strict=True):
        pair = KINDS[kind][1](rng, good, bad)
        texts = [find_evidence(" ".join(sentences))[0] for sentences in pair]
        assert texts[0] != texts[1]
        assert bag(texts[0]) == bag(texts[1])


def test_two_turns_cancel_each_other_and_one_does_not() -> None:
    rng = np.random.default_rng(0)
    for good, bad in zip(GOOD, BAD, strict=True):
        for label, sentences in enumerate(KINDS["both"][1](rng, good, bad)):
            marked = re.findall(r"\[(.*?)\]", " ".join(sentences))
            turns = sum(word in NEGATIONS + MOCKING for word in marked)
            assert (good in marked) == ((turns % 2 == 0) == (label == 0))


def test_the_rarest_verdicts_stand_in_test_alone(sample: dict[str, list[dict[str, Any]]]) -> None:
    words = {split: set().union(*(bag(row["text"]) for row in rows)) for split, rows in sample.items()}
    new = {*GOOD[KNOWN:], *BAD[KNOWN:]}
    assert not words["train"] & new
    assert words["test"] & new


def test_classes_are_balanced_and_of_one_length(sample: dict[str, list[dict[str, Any]]]) -> None:
    for rows in sample.values():
        assert Counter(row["label"] for row in rows) == {"positive": len(rows) // 2, "negative": len(rows) // 2}
        lengths = {label: [sum(bag(row["text"]).values()) for row in rows if row["label"] == label] for label in
                   ("positive", "negative")}  # fmt: skip
        assert abs(np.mean(lengths["positive"]) - np.mean(lengths["negative"])) < 0.2


def test_evidence_is_made_of_deciding_words_and_for_test_alone(sample: dict[str, list[dict[str, Any]]]) -> None:
    assert not any("evidence" in row for row in sample["train"])
    for row in sample["test"]:
        found = [row["text"][start:end] for start, end in row["evidence"]]
        assert found
        assert {word.lower() for word in found} <= DECIDING, row["text"]
        assert len({*found} & {*GOOD, *BAD}) == 1


def test_the_distance_of_cue_and_verdict_varies(sample: dict[str, list[dict[str, Any]]]) -> None:
    gaps = []
    for row in sample["test"]:
        ends = sorted(map(tuple, row["evidence"]))
        if len(ends) == 2:
            gaps.append(len(re.findall(r"\w+", row["text"][ends[0][1] : ends[1][0]])))
    assert len(set(gaps)) > 5
    assert np.mean(gaps) > 2


def test_linear_models_of_words_and_word_pairs_find_the_plain_verdicts_only(
    sample: dict[str, list[dict[str, Any]]],
) -> None:
    texts, labels = ({split: [row[key] for row in rows] for split, rows in sample.items()} for key in ("text", "label"))
    known, asked = (np.array([label == "positive" for label in labels[split]], int) for split in ("train", "test"))
    seen, new = count(texts["train"], texts["test"])
    for model in (tfidf, nbsvm):
        assert 0.65 < (model(seen, known, new) == asked).mean() < 0.88


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    made = []
    for number, seed in enumerate((1, 1, 2)):
        write_sample(tmp_path / str(number), PARAMS.model_copy(update={"seed": seed, "num_train": 50}))
        made.append((tmp_path / str(number) / "train.jsonl").read_bytes())
    assert made[0] == made[1] != made[2]
