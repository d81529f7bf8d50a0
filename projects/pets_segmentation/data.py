"""Prepared tiles -> batches: crops of any zoom, mirrored and recoloured, with their masks.

B batch, H, W height and width of a tile, h, w those of a crop, K classes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.data.batches import Batch
from shared.data.draws import Draws
from shared.image.augment import to_float
from shared.image.masks import IGNORED

from .params import Train


def augment(batch: Batch, epoch: float, params: Train) -> Batch:
    """Crops of the size that params say, each drawn by (seed, epoch, sample).

    The image is sampled bilinearly, the mask takes the nearest label, and what lies outside of the tile is ignored: no
    label is invented.

    Args:
        batch: image (B, 3, H, W) uint8, mask (B, H, W) uint8, sample (B,) int64, index in the split.
        epoch: a fraction: 1.5 is half of the second pass.

    Returns:
        The same with image (B, 3, h, w) float in [0, 1] and mask (B, h, w) uint8.
    """
    images, masks = to_float(batch["image"]), batch["mask"]
    draws = Draws(params.seed, int(epoch), batch["sample"])
    sides, crop = images.shape[2:], (params.crop_height, params.crop_width)
    low, high = map(math.log, params.zoom)
    zoom = (low + (high - low) * draws.uniform().to(images.dtype)).exp()
    mirror = torch.where(draws.uniform() < 0.5, -1.0, 1.0).to(images.dtype) if params.flip else torch.ones_like(zoom)
    rare = rare_pixels(masks, draws) if params.rare_crops else None
    if rare is not None:
        chosen = draws.uniform() < params.rare_crops
    scales, shifts = [], []
    for axis in (0, 1):  # affine_grid's coordinates go from -1 to 1 over the tile
        half = crop[axis] / zoom / sides[axis]
        room = (1 - half).clamp_min(0)
        centre = (2 * draws.uniform().to(images.dtype) - 1) * room
        if rare is not None:
            at = (2 * rare[axis] + 1) / sides[axis] - 1
            centre = torch.where(chosen, torch.minimum(torch.maximum(at, -room), room), centre)
        scales.append(half)
        shifts.append(centre)
    none = torch.zeros_like(zoom)
    rows = [torch.stack([scales[1] * mirror, none, shifts[1]], 1), torch.stack([none, scales[0], shifts[0]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [len(images), 3, *crop], align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    shown = masks[:, None].to(images.dtype) - IGNORED  # 0 outside: ignored there
    masks = F.grid_sample(shown, grid, mode="nearest", align_corners=False)[:, 0] + IGNORED
    if params.colour:
        images = recolour(images, draws, params.colour)
    return batch | {"image": images, "mask": masks.round().to(torch.uint8)}


def rare_pixels(masks: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Row and column (B,) of a labelled pixel of each mask: its class is drawn first, each that occurs alike, so that
    rare ones are seen as often as others; 0 where a mask has none."""
    which, place = draws.uniform().tolist(), draws.uniform().tolist()
    rows, columns = [], []
    for mask, first, second in zip(masks, which, place, strict=True):
        classes = mask.unique()
        classes = classes[classes != IGNORED]
        found = torch.nonzero(mask == classes[int(first * len(classes))]) if len(classes) else mask.new_zeros(1, 2)
        row, column = found[int(second * len(found))].tolist()
        rows.append(row)
        columns.append(column)
    return torch.tensor(rows, device=masks.device), torch.tensor(columns, device=masks.device)


def recolour(images: Tensor, draws: Draws, strength: float) -> Tensor:
    """Changes contrast, brightness and each channel by up to a fraction."""
    contrast, brightness, *channels = ((2 * draws.uniform().to(images.dtype) - 1) * strength for _ in range(5))
    gain = (1 + contrast)[:, None] * (1 + torch.stack(channels, 1) / 2)
    mean = images.mean((1, 2, 3))[:, None, None, None]
    return ((images - mean) * gain[:, :, None, None] + mean + brightness[:, None, None, None] / 2).clamp(0, 1)
