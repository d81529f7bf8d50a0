"""Which numbers of the noise a part of the image depends on.

N noises, L numbers of noise, C channels, S side in pixels, R regions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from .latent import BATCH, RANDOM, STEPS, random_directions, walk
from .samples import grid, spaced

SIDE_REGIONS = 3  # regions along a side
PATH_STEPS = 24  # of the integral from the mean noise to one, by Gauss-Legendre

Figures = dict[str, float]
Bright = Callable[[Tensor, Tensor], Tensor]  # noise (N, L), label (N,) -> (N, R)


def regions(side: int) -> Tensor:
    """(R, S, S) bool: the squares of a 3 x 3 grid over the image, row by row."""
    place = torch.arange(side) * SIDE_REGIONS // side
    number = place[:, None] * SIDE_REGIONS + place[None, :]
    return torch.stack([number == one for one in range(SIDE_REGIONS**2)])


def brightness(generator: nn.Module, masks: Tensor) -> Bright:
    """(N, L), (N,) -> (N, R): the mean of the pixels of each region."""
    weights = masks.flatten(1).float() / masks.flatten(1).sum(1, keepdim=True)

    def of(noise: Tensor, label: Tensor) -> Tensor:
        images: Tensor = generator(noise, label)
        return images.mean(1).flatten(1) @ weights.to(images).T

    return of


class Regional(NamedTuple):
    """Of R regions, N noises and L numbers: what each number of the noise does for the brightness of each region.

    slopes: (R, N, L), mean slope on the way from the mean noise (zeros) to the noise; values: (R, N, L), times the
    noise: they add up to the change of the brightness on that way; gap: (R, N), what they miss of it.
    """

    slopes: Tensor
    values: Tensor
    gap: Tensor


def attribute_regions(bright: Bright, noise: Tensor, label: Tensor) -> Regional:
    """Integrated gradients (Sundararajan et al. 2017) of each region's brightness at noises (N, L)."""
    method = IntegratedGradients(bright, multiply_by_inputs=False)
    with torch.no_grad():
        change = bright(noise, label) - bright(torch.zeros_like(noise), label)
    chosen = {"additional_forward_args": label, "n_steps": PATH_STEPS, "internal_batch_size": max(BATCH, len(noise))}
    parts = [method.attribute(noise, target=region, **chosen) for region in range(change.shape[1])]
    slopes = torch.stack(parts).to(noise.dtype)
    values = slopes * noise
    return Regional(slopes, values, values.sum(2) - change.T)


@torch.no_grad()
def check_regions(bright: Bright, found: Regional, noise: Tensor, label: Tensor, seed: int) -> Figures:
    """Whether a step of length 1 along a region's slopes makes it brighter, and it more than the others.

    Returns:
        region_change: by how much the region becomes brighter, mean over noises and regions.
        region_random_change: how far a random step of length 1 changes a region, either way.
        region_ratio: the former over the latter.
        region_share: of the change of all regions, what falls to the region meant; 1/9 where none is meant.
        region_completeness_error: what the values miss of the change that they should add up to.
    """
    before = bright(noise, label)
    moved, shares = [], []
    for region, slopes in enumerate(found.slopes):
        change = bright(noise + F.normalize(slopes, dim=1), label) - before
        moved.append(change[:, region].mean())
        shares.append(change[:, region].abs().sum() / change.abs().sum().clamp(min=1e-12))
    steps = random_directions(RANDOM, noise.shape[1], seed).to(noise)
    random = torch.stack([(bright(noise + step, label) - before).abs().mean() for step in steps]).mean()
    change = torch.stack(moved).mean()
    missed = found.gap.abs().mean() / (found.values.sum(2) - found.gap).abs().mean().clamp(min=1e-12)
    return {
        "region_change": change.item(),
        "region_random_change": random.item(),
        "region_ratio": (change / random).item() if random else 1.0,
        "region_share": torch.stack(shares).mean().item(),
        "region_completeness_error": missed.item(),
    }


def brighten(generator: nn.Module, found: Regional, noise: Tensor, label: Tensor, masks: Tensor) -> Tensor:
    """A row a region, of the first noise: the region alone, then the image from darker to brighter there."""
    ways = F.normalize(found.slopes[:, 0], dim=1)
    images = walk(generator, noise[0], label[0], ways)
    channels = images.shape[1]
    shown = (masks[:, None] * 255).to(torch.uint8).expand(-1, channels, -1, -1)
    rows = [torch.cat([shown[row : row + 1], images[row * STEPS :][:STEPS]]) for row in range(len(masks))]
    return grid(spaced(torch.cat(rows)), STEPS + 1)
