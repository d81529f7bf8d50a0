"""Copies are found whatever was done to their files, and pictures that only resemble each other are left alone."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from tools.check.near_duplicates import (
    LEAST_LIKENESS,
    SIDE,
    align,
    describe,
    find_pairs,
    likeness,
    nearest,
    warp,
)

DRAW = np.random.default_rng(0)
COUNT, PX = 60, 96


def picture(draw: np.random.Generator) -> Image.Image:
    """What photographs have in common: a spectrum that falls as 1/f, some colour, and a shape with edges."""
    waves = np.hypot(np.fft.fftfreq(PX)[:, None], np.fft.fftfreq(PX)) + 1 / PX
    noise = np.fft.ifft2(np.fft.fft2(draw.normal(size=(3, PX, PX))) / waves).real
    noise = noise[:1] + 0.3 * noise[1:].repeat(2, axis=0)[:3]
    rows, columns = np.indices((PX, PX)) - draw.uniform(0.3, 0.7, (2, 1, 1)) * PX
    shape = np.hypot(rows, columns * draw.uniform(0.5, 2)) < draw.uniform(0.1, 0.3) * PX
    values = noise / noise.std() * 40 + 128 + shape * draw.uniform(-80, 80, (3, 1, 1))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


PICTURES = [picture(DRAW) for _ in range(COUNT)]
THUMBNAILS = np.stack([small(image) for image in PICTURES])


def saved(image: Image.Image, kind: str, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Image.open(buffer).convert("RGB")


def scaled(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(PX * scale),) * 2, Image.Resampling.LANCZOS)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 40": lambda image: saved(image, "JPEG", quality=40),
    "webp": lambda image: saved(image, "WEBP", quality=60),
    "half": lambda image: scaled(image, 0.5),
    "double": lambda image: scaled(image, 2),
    "5% off each side": lambda image: image.crop((5, 5, PX - 5, PX - 5)),
    "5% off two sides": lambda image: image.crop((5, 5, PX, PX)),
    "cropped, the old size": lambda image: image.resize((PX, PX), box=(5, 1, PX - 2, PX - 4)),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_copy_is_found_with_its_original_and_nothing_else(kind: str, mirrored: bool) -> None:
    copies = np.stack([small(COPIES[kind](image)) for image in PICTURES[:20]])
    pairs = find_pairs(np.concatenate([THUMBNAILS, copies[:, :, ::-1] if mirrored else copies]))
    assert sorted(map(tuple, pairs.ends.tolist())) == [(number, COUNT + number) for number in range(20)]
    assert (pairs.mirrored == mirrored).all()
    assert (pairs.likeness >= LEAST_LIKENESS).all()


def test_different_pictures_are_no_copies() -> None:
    assert len(find_pairs(THUMBNAILS).ends) == 0


def test_noise_and_one_colour_are_no_copies() -> None:
    noise = DRAW.integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8)
    flat = np.broadcast_to(DRAW.integers(0, 256, (50, 1, 1, 3), dtype=np.uint8), noise.shape)
    assert len(find_pairs(np.concatenate([noise, flat])).ends) == 0


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    shape = np.indices((SIDE, SIDE)).sum(axis=0)[..., None] // 9 % 2
    red, blue = (np.uint8(shape * np.array(colour)) for colour in ([200, 30, 30], [30, 80, 200]))
    assert likeness(red[None], red[None]) == pytest.approx(1, abs=0.01)
    assert likeness(red[None], blue[None]) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int) -> None:
    assert find_pairs(THUMBNAILS[:count]).ends.shape == (0, 2)


def test_a_symmetric_picture_and_its_copy_are_not_called_mirrored() -> None:
    symmetric = np.concatenate([THUMBNAILS[0][:, : SIDE // 2], THUMBNAILS[0][:, SIDE // 2 - 1 :: -1]], axis=1)
    brighter = np.minimum(symmetric, 250) + 3
    pairs = find_pairs(np.stack([symmetric, brighter.astype(np.uint8), *THUMBNAILS[1:5]]))
    assert (pairs.ends.tolist(), pairs.mirrored.tolist()) == ([[0, 1]], [False])


def test_mirroring_and_cropping_a_descriptor_is_what_it_is_for_the_picture() -> None:
    np.testing.assert_allclose(describe(THUMBNAILS, mirrored=True), describe(THUMBNAILS[:, :, ::-1]), atol=1e-5)
    cut = np.stack([np.asarray(Image.fromarray(pixels).crop((4, 4, 28, 28))) for pixels in THUMBNAILS])
    inner = np.stack([small(Image.fromarray(pixels)) for pixels in cut])
    assert (describe(THUMBNAILS, crop=4 / SIDE) * describe(inner)).sum(axis=1).min() > 0.98


def test_alignment_recovers_scale_and_shift() -> None:
    planes = torch.from_numpy(THUMBNAILS[:, :, :, 1] / np.float32(255))
    change = torch.tensor([[-0.08, 0.03, -0.04, -0.05]]).expand(COUNT, 4)
    moved, _ = warp(planes[:, None], change)
    torch.testing.assert_close(align(planes, moved[:, 0]).median(0).values, change[0], atol=0.005, rtol=0)


def test_a_warp_by_nothing_changes_nothing_and_outside_is_marked() -> None:
    planes = torch.rand(2, 3, SIDE, SIDE)
    same, inside = warp(planes, torch.zeros(2, 4))
    torch.testing.assert_close(same, planes)
    assert inside.all()
    _, inside = warp(planes, torch.tensor([[0, 0.5, 0, 0]]).expand(2, 4))
    assert inside.mean().item() == pytest.approx(0.75)  # half a side is 1: a shift by a quarter of the side


def test_nearest_agrees_with_sorting_and_never_finds_itself() -> None:
    rows = torch.nn.functional.normalize(torch.from_numpy(DRAW.normal(size=(1100, 5)).astype(np.float32)))
    columns = torch.cat([columns for _, _, columns in nearest(rows, rows, 3)])  # more than one block
    products = (rows @ rows.T).fill_diagonal_(-9)
    assert (columns == products.argsort(dim=1, descending=True)[:, :3]).float().mean() > 0.999  # ties
