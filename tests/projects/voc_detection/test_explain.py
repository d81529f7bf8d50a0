"""The value that is explained, random masks, and the bell that attributions are compared with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from projects.voc_detection.baseline import blobs, otsu
from projects.voc_detection.explain import (
    KEPT,
    box_value,
    centred_gaussian,
    inside_boxes,
    masking,
    questions,
    random_masks,
)
from projects.voc_detection.model import Points
from projects.voc_detection.prepare import ragged_rows
from shared.core.errors import UserError
from shared.data.batches import Batch
from shared.data.table import Ragged, Table, write_table
from shared.explain.parts import Subject
from shared.image.parts import ImageScene
from shared.training.distributed import local

SIDE = 32
BOX = [8.0, 4.0, 24.0, 20.0]


class Bright(nn.Module):
    """Two points, of which the first sees a thing of class 1 as surely as its box is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Points:
        seen = images[:, :, 4:20, 8:24].mean((1, 2, 3)) * self.weight
        logits = torch.full((len(images), 2, 2), -9.0)
        logits[:, 0, 1] = torch.logit(seen.clamp(0.01, 0.99))
        boxes = torch.tensor([BOX, [0.0, 0, 4, 4]]).expand(len(images), 2, 4)
        return Points(logits, boxes, torch.zeros(2, 2), torch.ones(2))


def subject(count: int = 2) -> Subject:
    images = torch.full((count, 3, SIDE, SIDE), 0.1)
    images[:, :, 4:20, 8:24] = 0.9
    fields: Batch = {"box": torch.tensor([BOX]).repeat(count, 1), "target": torch.ones(count).long()}
    scene = ImageScene(images, torch.full_like(images, 0.1), fields)
    return Subject(Bright(), scene, box_value, SIDE * SIDE)


def test_the_value_is_the_score_of_the_class_at_the_box() -> None:
    one = subject()
    assert one.full.sigmoid().tolist() == pytest.approx([0.9, 0.9], abs=2e-3)
    assert one.empty.sigmoid().tolist() == pytest.approx([0.1, 0.1], abs=2e-3)
    half = one.scene.fields | {"box": torch.tensor([[8.0, 4, 24, 12]]).repeat(2, 1)}  # type: ignore[attr-defined]
    moved = Subject(one.model, ImageScene(one.scene.images, one.scene.baselines, half), box_value, SIDE * SIDE)  # type: ignore[attr-defined]
    assert moved.full.sigmoid().tolist() == pytest.approx([0.45, 0.45], abs=2e-3), "half of the score: IoU 0.5"


def test_random_masks_find_what_the_score_depends_on() -> None:
    one = subject()
    maps = masking(one, 0, 200)
    inside = inside_boxes(one.scene)  # type: ignore[arg-type]
    assert maps[0][inside[0]].mean() > 3 * maps[0][~inside[0]].abs().mean()
    assert torch.equal(maps, masking(one, 0, 200))


def test_random_masks_are_patches_of_about_the_share_that_is_kept() -> None:
    masks = random_masks(300, (SIDE, 48), 1).view(300, SIDE, 48)
    assert masks.float().mean() == pytest.approx(KEPT, abs=0.03)
    assert (masks[:, 1:] == masks[:, :-1]).float().mean() > 0.85
    assert masks.float().std(0).min() > 0.4, "every pixel is hidden in some and seen in others"


def test_the_bell_stands_in_the_middle_of_the_box() -> None:
    bell = centred_gaussian(subject()).view(2, SIDE, SIDE)[0]
    row, column = divmod(int(bell.argmax()), SIDE)
    assert abs(row + 0.5 - 12) <= 0.5
    assert abs(column + 0.5 - 16) <= 0.5
    assert bell[4:20, 8:24].sum() > 0.85 * bell.sum()


def test_a_model_that_detects_nothing_cannot_be_explained(tmp_path: Path) -> None:
    class Blind(Bright):
        def forward(self, images: Tensor) -> Points:
            return super().forward(images)._replace(logits=torch.full((len(images), 2, 2), -20.0))

    columns = {"image": np.zeros((2, 3, SIDE, SIDE), np.uint8), "boxes": ragged_rows([[BOX], []], np.float32, 4),
               "label": Ragged.of([[1], []], np.int64), "ignored": Ragged.of([[0], []], np.uint8)}  # fmt: skip
    write_table(tmp_path / "test", columns)
    params = SimpleNamespace(
        evaluate=SimpleNamespace(batch_size=1, max_detections=9, nms_iou=0.6), explain=SimpleNamespace(seed=0)
    )
    trained: Any = SimpleNamespace(
        model=Blind(), params=params, config={"classes": ["a", "b"]}, world=local(),
        prepared=SimpleNamespace(table=lambda split: Table(tmp_path / split)),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"no detection with a score of 0\.5 or more in 2 test images"):
        questions(trained)


def test_blobs_are_what_differs_from_the_ground() -> None:
    image = np.full((3, 40, 60), 100, np.uint8)
    image[0, 10:20, 5:25] = 220
    image[2, 25:35, 40:50] = 20
    found = list(blobs(image, np.array([1.0, 1.0, 0.0, 0.0]), np.array([60, 40])))
    assert [
        np.abs(box - expected).max() <= 1
        for (box, _), expected in zip(found, ([5, 10, 25, 20], [40, 25, 50, 35]), strict=True)
    ] == [True, True]
    assert otsu(np.array([0.0] * 50 + [10.0] * 50)) == pytest.approx(5, abs=5)
