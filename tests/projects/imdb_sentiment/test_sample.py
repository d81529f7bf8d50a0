"""The sample: word order decides, the bag of words says nothing, the evidence is where it is said to be."""

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
    MOCKING,
    NEGATIONS,
    SUBORDINATING,
    find_evidence,
    write_sample,
)
from shared.data.table import Table, write_table
from shared.text.baselines import text_baselines

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
        (first, second), _ = KINDS[kind](rng, good, bad)
        texts = [find_evidence(" ".join(sentences))[0] for sentences in (first, second)]
        assert texts[0] != texts[1]
        assert bag(texts[0]) == bag(texts[1])


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


def test_linear_models_of_words_and_word_pairs_stay_far_below(
    sample: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    tables = {}
    for split, rows in sample.items():
        label = np.array([row["label"] == "positive" for row in rows], int)
        write_table(tmp_path / split, {"text": [row["text"] for row in rows], "label": label})
        tables[split] = Table(tmp_path / split)
    for name, guess in text_baselines(tables["train"], tables["test"], num_texts=10_000, seed=0).items():
        assert (guess == tables["test"].fixed("label")).mean() < 0.7, name


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    made = []
    for number, seed in enumerate((1, 1, 2)):
        write_sample(tmp_path / str(number), PARAMS.model_copy(update={"seed": seed, "num_train": 50}))
        made.append((tmp_path / str(number) / "train.jsonl").read_bytes())
    assert made[0] == made[1] != made[2]
