"""Baselines of image classifiers learn what is linear, and no more."""

import numpy as np

from shared.data.table import Table, write_table
from shared.image.evaluate import image_baselines


def table(folder, images, labels):
    write_table(folder, {"image": images.astype(np.uint8), "label": labels})
    return Table(folder)


def bright(folder, num):
    """Brightness says the class, of four: linearly separable."""
    labels = np.arange(num) % 4
    noise = np.random.default_rng(num).integers(0, 20, (num, 1, 8, 8))
    return table(folder, noise + 60 * labels[:, None, None, None], labels)


def test_linear_learns_what_is_linear_and_majority_does_not(tmp_path):
    test = bright(tmp_path / "test", 40)
    found = image_baselines(bright(tmp_path / "train", 120), test, num_images=100, seed=0)
    accuracy = {name: (guess == test.fixed("label")).mean() for name, guess in found.items()}
    assert accuracy["linear"] > 0.9
    assert accuracy["majority"] == 0.25


def test_many_classes_and_only_one(tmp_path):
    rng, tables = np.random.default_rng(0), {}
    means = rng.integers(0, 230, (200, 3, 4, 4))
    for name, labels in (("train", np.arange(2000) % 200), ("test", np.arange(400) % 200), ("one", np.full(20, 7))):
        tables[name] = table(tmp_path / name, means[labels] + rng.integers(0, 20, (len(labels), 3, 4, 4)), labels)
    guess = image_baselines(tables["train"], tables["test"], 2000, 0)["linear"]
    assert (guess == tables["test"].fixed("label")).mean() > 0.9
    assert set(image_baselines(tables["one"], tables["test"], 2000, 0)["linear"].tolist()) == {7}


def test_large_images_are_averaged_down(tmp_path):
    labels = np.arange(20) % 2
    large = np.zeros((20, 1, 96, 64)) + 100 * labels[:, None, None, None]
    wide = table(tmp_path / "wide", large, labels)
    assert (image_baselines(wide, wide, 20, 0)["linear"] == labels).all()
