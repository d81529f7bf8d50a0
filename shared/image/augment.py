"""Augmentation of whole batches at once, on the device. What is drawn is drawn for the sample (see seed.Draws).

N images, C channels, H height, W width. Every function keeps shape, dtype and memory format.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.data.draws import Draws


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> float in [0, 1], channels last in memory: what convolutions are fastest on."""
    return images.to(torch.get_default_dtype()).div_(255).contiguous(memory_format=torch.channels_last)


def flip(images: Tensor, draws: Draws, epoch: int) -> Tensor:
    """Mirrors left-right: half of the images in even epochs, the other half in odd ones.

    So every two epochs show each image both ways, which learns faster than a coin an epoch (Jordan 2024,
    arXiv:2404.00498). `draws` must not depend on the epoch.
    """
    mirrored = (draws.uniform() < 0.5) ^ bool(epoch % 2)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)


def translate(images: Tensor, draws: Draws, pixels: int) -> Tensor:
    """Shifts each image by up to `pixels` in both directions, edges filled by reflection.

    Gathers rows and columns by index: one pass, where looping over the (2 pixels + 1)^2 shifts takes one each.
    """
    height, width = images.shape[-2:]
    rows = _reflected(draws.integers(-pixels, pixels), height)
    columns = _reflected(draws.integers(-pixels, pixels), width)
    flat = images.permute(0, 2, 3, 1).reshape(len(images), height * width, -1)
    index = (rows[:, :, None] * width + columns[:, None, :]).view(len(images), -1, 1)
    moved = flat.gather(1, index.expand(-1, -1, flat.shape[-1]))
    return moved.view(len(images), height, width, -1).permute(0, 3, 1, 2)


def _reflected(shift: Tensor, size: int) -> Tensor:
    """(N,) shifts -> (N, size) source positions, reflected at both ends without repeating the edge."""
    position = torch.arange(size, device=shift.device) + shift[:, None]
    return (size - 1) - ((size - 1) - position.abs()).abs()


def resize(images: Tensor, size: int) -> Tensor:
    """Float images to size x size, bilinear with antialiasing."""
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
