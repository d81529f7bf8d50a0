"""Baselines, and the records of the worst errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shared.data.arrays import Split

from shared.evaluation import image_classes


def split_of(num: int = 40, num_classes: int = 4, size: int = 8) -> Split:
    """Brightness says the class: linearly separable."""
    labels = np.arange(num) % num_classes
    noise = np.random.default_rng(num).integers(0, 20, (num, 1, size, size))
    return Split(
        (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels, [f"é/{i}.png" for i in range(num)]
    )


def test_the_linear_baseline_learns_what_is_linear_and_majority_does_not() -> None:
    train, test = split_of(120), split_of(40)
    linear = image_classes.linear_baseline(train, test, 0, 200)
    assert linear["linear_accuracy"] > 0.9
    assert linear["linear_converged"]
    assert image_classes.majority_baseline(train, test)["majority_accuracy"] == 0.25


def test_the_linear_baseline_learns_many_classes() -> None:
    rng = np.random.default_rng(0)
    means = rng.integers(0, 230, (200, 3, 4, 4))
    train, test = (
        Split((means[labels] + rng.integers(0, 20, (len(labels), 3, 4, 4))).astype(np.uint8), labels, [])
        for labels in (np.arange(2000) % 200, np.arange(400) % 200)
    )
    assert image_classes.linear_baseline(train, test, 0, 2000)["linear_accuracy"] > 0.9


def test_the_linear_baseline_says_when_it_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_classes, "MAX_ITERATIONS", 1)
    assert not image_classes.linear_baseline(split_of(120), split_of(), 0, 200)["linear_converged"]


def test_the_worst_are_errors_most_confident_first(tmp_path: Path) -> None:
    split = split_of(20)
    logits = torch.eye(4)[torch.from_numpy(split.labels)] * 5
    logits[[3, 8, 11, 14], 1] += torch.tensor([6.0, 9.0, 7.0, 8.0])  # four errors: labels 3, 0, 3, 2 taken for 1
    records = {"sample": torch.arange(20), "actual": torch.from_numpy(split.labels), "logits": logits}
    image_classes.draw_worst(tmp_path, records, split, ["a", "b", "<c>", "d"], 3)
    index = json.loads((tmp_path / "index.json").read_text())
    assert [(row["id"], row["actual"], row["predicted"]) for row in index] == [
        ("é/8.png", "a", "b"),
        ("é/14.png", "<c>", "b"),
        ("é/11.png", "d", "b"),
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["001.png", "002.png", "003.png", "index.json"]
    picture = np.asarray(Image.open(tmp_path / "001.png"))
    assert np.array_equal(picture[::16, ::16], split.images[8, 0])
