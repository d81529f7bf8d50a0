"""Boxes follow their image through every augmentation, as functions of (seed, epoch, sample)."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from projects.voc_detection.data import augment, prepared
from projects.voc_detection.params import Params, Train
from shared.core.params import read_yaml
from shared.data.batches import Batch
from shared.image.scenes import box_of

PLAIN = {"flip": False, "flip_vertical": False, "quarter_turns": False, "zoom": 0.0, "shift": 0.0, "colour": 0.0,
         "mosaic": 0.0}  # fmt: skip
SIDE, GROUND = 64, 0


def train_params(**changes: Any) -> Train:
    section = read_yaml(Path(__file__).parents[3] / "projects/voc_detection/params.yaml")
    return Params.model_validate(section).train.model_copy(update=PLAIN | changes)


def images(count: int, first: int = 0) -> Batch:
    """A white square in each, at a place of its own."""
    pixels = torch.zeros(count, 3, SIDE, SIDE, dtype=torch.uint8)
    boxes = torch.zeros(count, 2, 4)
    for row in range(count):
        x, y = 16 + 3 * ((first + row) % 7), 20 + 2 * ((first + row) % 5)
        pixels[row, :, y : y + 14, x : x + 12] = 255
        boxes[row, 0] = torch.tensor([x, y, x + 12, y + 14])
    mask = torch.tensor([[True, False]]).repeat(count, 1)
    none = torch.zeros(count, 2, dtype=torch.uint8)
    sample = torch.arange(first, first + count)
    return {
        "image": pixels,
        "boxes": boxes,
        "boxes_mask": mask,
        "label": none.long(),
        "ignored": none,
        "sample": sample,
    }


def read(index: Tensor) -> Batch:
    parts = [images(1, int(one)) for one in index]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def changed(batch: Batch, epoch: float = 0.5, **changes: Any) -> Batch:
    return augment(batch, epoch, train_params(**changes), GROUND, read, 40)


def painted(image: Tensor) -> list[float]:
    return [float(edge) for edge in box_of((image.mean(0) > 0.5).numpy())]


@pytest.mark.parametrize(
    "changes",
    [{"flip": True}, {"flip_vertical": True}, {"quarter_turns": True}, {"zoom": 0.3}, {"shift": 0.1},
     {"flip": True, "quarter_turns": True, "zoom": 0.3, "shift": 0.1}],
)  # fmt: skip
def test_boxes_follow_what_is_painted(changes: dict[str, Any]) -> None:
    found = changed(images(16), **changes)
    for image, box, real in zip(found["image"], found["boxes"], found["real"], strict=True):
        assert real.tolist() == [True, False]
        assert painted(image) == pytest.approx(box[0].tolist(), abs=1.01)
    before = images(16)["boxes"][:, 0]
    assert not torch.allclose(found["boxes"][:, 0], before)


def test_without_augmentation_nothing_changes() -> None:
    found, before = changed(images(4)), prepared(images(4))
    torch.testing.assert_close(found["image"], before["image"], atol=1e-5, rtol=0)
    torch.testing.assert_close(found["boxes"], before["boxes"], atol=1e-4, rtol=0)


def test_a_mosaic_holds_the_objects_of_four_images_and_ends_in_time() -> None:
    found = changed(images(12), mosaic=1.0)
    assert found["boxes"].shape == (12, 8, 4)
    assert 1 <= found["real"].sum(1).float().mean() <= 4
    for image, boxes, real in zip(found["image"], found["boxes"], found["real"], strict=True):
        white = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        for x0, y0, x1, y1 in boxes[real].round().long().tolist():
            assert image[:, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].mean() > 0.8, "a box surrounds what is white"
            white[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = True
        if real.sum() == 4:
            assert image.mean(0)[~white].max() < 0.5, "nothing white is without a box"
    late = train_params().epochs * (1 - train_params().plain_fraction) + 0.1
    assert changed(images(12), late, mosaic=1.0)["boxes"].shape == (12, 2, 4)


def test_an_image_depends_on_its_sample_and_the_epoch_alone() -> None:
    changes = {"flip": True, "zoom": 0.3, "shift": 0.1, "colour": 0.2, "mosaic": 0.5}
    whole = changed(images(8), **changes)
    for row in range(8):
        single = changed(images(1, row), **changes)
        torch.testing.assert_close(single["image"][0], whole["image"][row])
        kept = single["real"][0]
        torch.testing.assert_close(single["boxes"][0][kept], whole["boxes"][row][whole["real"][row]])
    other = changed(images(8), 1.5, **changes)
    assert not torch.equal(other["image"], whole["image"])


def test_colours_change_within_the_range() -> None:
    batch = images(32)
    batch["image"] = torch.full_like(batch["image"], 100)
    found = changed(batch, colour=0.2)["image"] * 255
    assert found.std() > 5
    assert ((found > 79) & (found < 121)).all()
