"""Tiles cover an image of any size, and are joined without seams."""

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from projects.pets_segmentation.tiles import cut, join, predict_image, starts

SIDES = st.integers(1, 70)


@given(SIDES, st.integers(8, 32), st.integers(0, 7))
def test_tiles_cover_every_pixel_and_overlap(length: int, tile: int, overlap: int) -> None:
    found = starts(length, tile, overlap)
    assert found[0] == 0
    assert found[-1] == max(0, length - tile)
    assert all(second - first <= tile - overlap for first, second in itertools.pairwise(found))


@given(SIDES, SIDES, st.integers(0, 7))
def test_an_image_that_is_cut_and_joined_is_itself(height: int, width: int, overlap: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 2), dtype=np.uint8)
    tiles = list(cut(image, (16, 24), overlap, 128))
    assert all(tile.shape == (16, 24, 2) for _, _, tile in tiles)
    whole = join(((top, left, torch.from_numpy(tile).permute(2, 0, 1).double()) for top, left, tile in tiles),
                 height, width)  # fmt: skip
    np.testing.assert_allclose(whole.permute(1, 2, 0).numpy(), image, atol=1e-9)


def test_what_is_outside_of_an_image_is_filled() -> None:
    ((_, _, tile),) = cut(np.zeros((3, 5), np.uint8), (4, 8), 2, 255)
    assert tile[:3, :5].max() == 0
    assert (tile[3:] == 255).all()
    assert (tile[:, 5:] == 255).all()


def test_two_tiles_that_disagree_meet_halfway() -> None:
    """Where they overlap, the nearer tile weighs more, and no step is as large as their difference."""
    line = np.zeros((8, 26, 1), np.uint8)
    tiles = list(cut(line, (8, 16), 6, 0))
    at = [(top, left) for top, left, _ in tiles]
    stacked = torch.zeros(len(tiles), 1, 8, 16)
    answers = iter([torch.stack([torch.full((1, 8, 16), float(number)) for number in range(len(tiles))])])
    found = predict_image(lambda some: next(answers), stacked, at, 8, 26)[0, 4]
    assert (found[:10] == 0).all()
    assert (found[16:] == 1).all()
    steps = found.diff()
    assert (steps >= 0).all()
    assert steps.max() < 0.3
