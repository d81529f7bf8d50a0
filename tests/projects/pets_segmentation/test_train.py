"""The loss is a sum over labelled pixels, the same however the images are grouped."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from projects.pets_segmentation.params import Params, Train
from projects.pets_segmentation.train import class_weights, dice_loss, loss
from shared.core.params import load
from shared.core.paths import ROOT
from shared.image.masks import IGNORED

DEFAULTS = load(Params, ROOT / "projects" / Path(__file__).parent.name / "params.yaml").train


def params(**changes: object) -> Train:
    return DEFAULTS.model_copy(update={"dice_weight": 0.0} | changes)


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    mask = torch.randint(0, 3, (4, 6, 8), dtype=torch.uint8)
    mask[0, :3] = IGNORED
    mask[1] = IGNORED
    return {"image": torch.randn(4, 3, 6, 8), "mask": mask}


NET = torch.nn.Identity()


def test_cross_entropy_is_a_sum_over_labelled_pixels() -> None:
    some = batch()
    total, count, extras = loss(NET, some, params(), None)
    counted = some["mask"] != IGNORED
    expected = F.cross_entropy(
        some["image"].permute(0, 2, 3, 1)[counted], some["mask"][counted].long(), reduction="sum"
    )
    assert int(count) == int(counted.sum())
    torch.testing.assert_close(total, expected)
    assert 0 < int(extras["pixel_accuracy"]) < int(count)


@pytest.mark.parametrize("changes", [{}, {"dice_weight": 1.0}])
def test_micro_batches_add_up(changes: dict[str, object]) -> None:
    some, chosen, weights = batch(), params(**changes), torch.tensor([1.0, 2.0, 0.5])
    whole = loss(NET, some, chosen, weights)
    parts = [loss(NET, {name: of[rows] for name, of in some.items()}, chosen, weights) for rows in ([0, 1], [2], [3])]
    torch.testing.assert_close(sum(part[0] for part in parts), whole[0])
    assert sum(int(part[1]) for part in parts) == int(whole[1])


def test_without_a_labelled_pixel_there_is_no_item() -> None:
    some = {name: of[1:2] for name, of in batch().items()}
    total, count, _ = loss(NET, some, params(dice_weight=1.0), None)
    assert (float(total), int(count)) == (0.0, 0)


def test_dice_is_near_0_for_the_truth_and_near_1_for_its_opposite() -> None:
    mask = torch.zeros(1, 16, 16, dtype=torch.int64)
    mask[:, 4:12, 4:12] = 1
    truth = 20.0 * F.one_hot(mask, 2).permute(0, 3, 1, 2)
    counted = torch.ones_like(mask, dtype=torch.bool)
    assert float(dice_loss(truth, mask, counted)) < 1e-3
    assert float(dice_loss(truth.flip(1), mask, counted)) > 0.98


def test_weights_leave_the_mean_over_pixels_as_it_is() -> None:
    assert class_weights([0.9, 0.1], 0.0) is None
    weights = class_weights([0.9, 0.1], 0.5)
    assert weights is not None
    assert float((weights * torch.tensor([0.9, 0.1])).sum()) == pytest.approx(1.0)
    assert float(weights[1] / weights[0]) == pytest.approx(3.0)
