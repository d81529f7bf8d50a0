"""Scenes of shapes: what they say of themselves is what is painted."""

import numpy as np
import pytest

from shared.image.scenes import MOST_OBJECTS, SIGNED, ShapeScene, box_of, make_scene, shape_names


@pytest.fixture(scope="module")
def scenes() -> list[ShapeScene]:
    return [make_scene(72 + number, 90, np.random.default_rng(number)) for number in range(40)]


def test_every_scene_has_one_to_eight_objects_with_tight_boxes(scenes: list[ShapeScene]) -> None:
    for number, scene in enumerate(scenes):
        assert scene.image.shape == (72 + number, 90, 3)
        assert scene.image.dtype == np.uint8
        assert 1 <= len(scene.classes) <= MOST_OBJECTS
        assert scene.boxes.tolist() == [list(box_of(mask)) for mask in scene.masks]
        assert scene.masks.any((1, 2)).all()
        assert (scene.masks.sum(0) <= 1).all(), "a pixel belongs to the object in front"
        assert not scene.signs.any()


def test_scenes_are_hard(scenes: list[ShapeScene]) -> None:
    visible = np.concatenate([scene.visible for scene in scenes])
    assert 0.1 < (visible < 0.8).mean() < 0.7, "some objects are partly hidden"
    assert visible.min() > 0.2
    sides = np.concatenate([(scene.boxes[:, 2:] - scene.boxes[:, :2]).max(1) for scene in scenes])
    assert np.quantile(sides, 0.95) > 2 * np.quantile(sides, 0.05), "of many sizes"
    assert {label for scene in scenes for label in scene.classes.tolist()} == set(range(4))


def test_the_same_draws_give_the_same_scene() -> None:
    first, second = (make_scene(64, 64, np.random.default_rng(5), signs=True) for _ in range(2))
    assert (first.image == second.image).all()
    assert (first.masks == second.masks).all()


def test_a_sign_stands_beside_every_signed_disc_and_no_other() -> None:
    names = shape_names(signs=True)
    signed = [make_scene(96, 96, np.random.default_rng(number), signs=True) for number in range(60)]
    assert sum((scene.classes == names.index(SIGNED)).sum() for scene in signed) > 10
    assert sum((scene.classes == names.index("disc")).sum() for scene in signed) > 10
    for scene in signed:
        assert (scene.signs.any((1, 2)) == (scene.classes == names.index(SIGNED))).all()
        assert not (scene.signs.any(0) & (scene.semantic > 0)).any()
