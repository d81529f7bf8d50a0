"""The sample: every class, the same bytes for one seed, and an object that its mask covers."""

import numpy as np
from PIL import Image

from projects.cifar_cnn.params import Fetch
from projects.cifar_cnn.sample import SHAPES, make_images, write_sample

PARAMS = Fetch(source="sample", seed=1, num_train=20, num_test=40)


def test_one_seed_gives_the_same_bytes_and_masks_of_the_test_images(tmp_path):
    made = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_sample(tmp_path / name, PARAMS.model_copy(update={"seed": seed}))
        files = sorted((tmp_path / name).rglob("*.png"))
        made.append([path.read_bytes() for path in files])
    assert made[0] == made[1] != made[2]
    images = sorted((tmp_path / "first/test").rglob("*.png"))
    assert (len(images), {path.parent.name for path in images}) == (40, set(SHAPES))
    for path in images:
        mask = np.asarray(Image.open(tmp_path / "first/evidence" / path.parent.name / path.name), bool)
        assert 0.02 < mask.mean() < 0.6


def test_classes_do_not_differ_in_brightness():
    labels = np.arange(2000) % len(SHAPES)
    images, _ = make_images(labels, np.random.default_rng(0))
    brightness = images.mean((1, 2, 3))
    means = [brightness[labels == label].mean() for label in range(len(SHAPES))]
    assert np.ptp(means) < brightness.std()
