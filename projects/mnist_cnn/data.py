"""Prepared form -> batches: what training sees of an image.

B batch, C channels, H height, W width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.data.draws import Draws
from shared.image.batches import to_float

from .params import Train


def augment(images: Tensor, sample: Tensor, epoch: float, params: Train) -> Tensor:
    """Turns, zooms and shifts every image a little, as (seed, epoch, sample) say: another writer's hand.

    Args:
        images: (B, C, H, W) uint8.
        sample: (B,) int64, index in the split.
        epoch: a fraction: 1.5 is half of the second pass.

    Returns:
        (B, C, H, W) float in [0, 1].
    """
    floats = to_float(images)
    if not (params.turn_deg or params.zoom or params.translate_px):
        return floats
    draws = Draws(params.seed, int(epoch), sample)
    turn, zoom, right, down = (2 * draws.uniform().to(floats.dtype) - 1 for _ in range(4))  # each in [-1, 1)
    turn, zoom = turn * math.radians(params.turn_deg), 1 + zoom * params.zoom
    shift = 2 * params.translate_px / images.shape[-1]  # the grid goes from -1 to 1
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    rows = torch.stack([cos, -sin, right * shift]), torch.stack([sin, cos, down * shift])
    grid = F.affine_grid(torch.stack(rows).permute(2, 0, 1), list(images.shape), align_corners=False)
    return F.grid_sample(floats, grid, padding_mode="border", align_corners=False)
