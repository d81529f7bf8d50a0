"""Crops: no label is invented, image and mask move together, and each sample has its own numbers."""

from pathlib import Path

import pytest
import torch

from projects.pets_segmentation.data import augment, rare_pixels
from projects.pets_segmentation.params import Params, Train
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.draws import Draws
from shared.image.masks import IGNORED

DEFAULTS = load(Params, ROOT / "projects" / Path(__file__).parent.name / "params.yaml").train
STILL = {"zoom": (1.0, 1.0), "flip": False, "colour": 0.0, "crop_height": 24, "crop_width": 40, "rare_crops": 0.0}


def params(**changes: object) -> Train:
    return DEFAULTS.model_copy(update=STILL | changes)


def batch() -> dict[str, torch.Tensor]:
    """The mask of each tile is written into its image."""
    masks = torch.randint(0, 5, (6, 3, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    masks = masks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    masks[:, :4, :4] = IGNORED
    return {"image": (masks * 40)[:, None].repeat(1, 3, 1, 1), "mask": masks, "sample": torch.arange(6)}


def test_a_crop_as_large_as_the_tile_is_the_tile() -> None:
    found = augment(batch(), 0.0, params())
    assert torch.equal(found["mask"], batch()["mask"])
    torch.testing.assert_close(found["image"], batch()["image"] / 255.0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("changes", [{"zoom": (0.5, 2.0)}, {"flip": True}, {"crop_height": 16, "crop_width": 16}])
def test_image_and_mask_move_together_and_no_label_is_invented(changes: dict[str, object]) -> None:
    found = augment(batch(), 0.0, params(**changes))
    mask, image = found["mask"], found["image"]
    assert set(mask.unique().tolist()) <= {0, 1, 2, 3, 4, IGNORED}
    labelled = mask != IGNORED
    close = (image[:, 0] * 255 - mask.float() * 40).abs() < 2
    assert close[labelled].float().mean() > 0.7  # the others are at borders between labels


def test_what_lies_outside_of_the_tile_is_ignored() -> None:
    found = augment(batch(), 0.0, params(zoom=(0.5, 0.5)))["mask"]
    assert (found[:, :5] == IGNORED).all()
    assert (found[:, :, -9:] == IGNORED).all()
    assert (found[:, 8:16, 12:28] != IGNORED).all()


def test_a_sample_has_the_same_crop_in_any_batch() -> None:
    chosen = params(zoom=(0.5, 2.0), flip=True, colour=0.3, rare_crops=0.5)
    every, some = batch(), {name: of[2:4] for name, of in batch().items()}
    for name in ("image", "mask"):
        torch.testing.assert_close(augment(every, 3.5, chosen)[name][2:4], augment(some, 3.5, chosen)[name])
    assert not torch.equal(augment(every, 3.5, chosen)["mask"], augment(every, 4.5, chosen)["mask"])


def test_rare_classes_are_looked_for_as_often_as_others() -> None:
    mask = torch.zeros(300, 20, 20, dtype=torch.uint8)
    mask[:, 3, 17] = 1
    mask[:, 10:] = IGNORED
    rows, columns = rare_pixels(mask, Draws(0, 0, torch.arange(300)))
    found = mask[torch.arange(300), rows, columns]
    assert (found != IGNORED).all()
    assert 0.4 < (found == 1).float().mean() < 0.6
