"""Prepared images -> batches: what training sees of an image.

B batch, C channels, H height, W width.
"""

import math

import torch
import torch.nn.functional as F

from shared.data.batches import Batch
from shared.data.draws import Draws
from shared.image.augment import to_float

from .params import Train


def augment(batch: Batch, epoch: float, params: Train) -> Batch:
    """Turns, zooms and shifts every image a little, as (seed, epoch, sample) say: another writer's hand.

    Args:
        batch: image (B, C, H, W) uint8, sample (B,) int64, index in the split.
        epoch: a fraction: 1.5 is half of the second pass.

    Returns:
        The same with image as float in [0, 1].
    """
    images = to_float(batch["image"])
    if not (params.turn_deg or params.zoom or params.translate_px):
        return batch | {"image": images}
    draws = Draws(params.seed, int(epoch), batch["sample"])
    turn, zoom, right, down = (2 * draws.uniform().to(images.dtype) - 1 for _ in range(4))  # each in [-1, 1)
    turn, zoom = turn * math.radians(params.turn_deg), 1 + zoom * params.zoom
    shift = 2 * params.translate_px / images.shape[-1]  # the grid goes from -1 to 1
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    rows = torch.stack([cos, -sin, right * shift]), torch.stack([sin, cos, down * shift])
    grid = F.affine_grid(torch.stack(rows).permute(2, 0, 1), list(images.shape), align_corners=False)
    return batch | {"image": F.grid_sample(images, grid, padding_mode="border", align_corners=False)}
