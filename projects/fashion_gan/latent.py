"""What the generator makes of its noise: ways between two noises, and the directions that change most.

N noises, L numbers of noise, C channels, S side in pixels, P = C S S pixels.
"""

import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import jvp

from shared.data.draws import generator as random_generator

from .model import generate

RANDOM = 64  # directions that the main ones are compared with
REACH, STEPS = 3.0, 9  # of a picture of a direction: so far to both sides, in so many images
BATCH = 250  # images made at once


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """`steps` points on the arc from one noise to another, both ends among them (Shoemake 1985; White 2016,
    arXiv:1609.04468).

    A straight line would lead through short noises, which a generator has never seen: a normal noise of L numbers is
    about as long as the root of L. Lengths are interpolated too.

    Args:
        start, end: (L,).
        steps: at least 2.

    Returns:
        (steps, L).

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), 3).norm(dim=1)
    tensor([1.0000, 1.5000, 2.0000])
    """
    part = torch.linspace(0, 1, steps, dtype=start.dtype)[:, None]
    first, second = F.normalize(start, dim=0), F.normalize(end, dim=0)
    angle = torch.arccos((first @ second).clamp(-1, 1))
    if angle.sin().abs() < 1e-4:  # along one line no arc is the shortest
        return torch.lerp(start, end, part)
    on_arc = (torch.sin((1 - part) * angle) * first + torch.sin(part * angle) * second) / angle.sin()
    return on_arc * torch.lerp(start.norm(), end.norm(), part)


def jacobian(generator: nn.Module, noise: Tensor, label: Tensor) -> Tensor:
    """(P, L): how each pixel changes with each number of one noise (L,), label ().

    Forward mode, for a generator has far more outputs than inputs: the noise L times in one batch, each time with
    another direction. Not vmap, which knows no channels_last.

    Args:
        generator: in eval mode, so that images of a batch do not see one another.
    """
    size = len(noise)
    labels, ways = label.expand(size), torch.eye(size, dtype=noise.dtype, device=noise.device)
    with warnings.catch_warnings():  # of forward mode's own first import (torch 2.14)
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        slopes: Tensor = jvp(lambda points: generator(points, labels), (noise.repeat(size, 1),), (ways,))[1]
    return slopes.flatten(1).T


class Directions(NamedTuple):
    """vectors: (L, L), a unit direction a column, the one that changes most first; change: (L,), what a step of 1 along
    each changes: the sum of squared differences over all pixels, to first order, mean over noises.
    """

    vectors: Tensor
    change: Tensor

    @property
    def share(self) -> Tensor:
        """(L,): of the change along all directions."""
        return self.change / self.change.sum()


@torch.no_grad()
def main_directions(generator: nn.Module, noise: Tensor, label: Tensor) -> Directions:
    """Eigenvectors of the mean of J^T J over noises (N, L), labels (N,): the directions that change images most.

    J is the Jacobian of the generator; the singular vectors of all J one upon another are the same (Ramesh et al. 2018,
    arXiv:1812.01161, for one noise; Haerkoenen et al. 2020, arXiv:2004.02546, find such by PCA). A direction's sign is
    chosen so that its largest number is positive.
    """
    total = torch.zeros(noise.shape[1], noise.shape[1], dtype=torch.float64)
    for one, of in zip(noise, label, strict=True):
        slopes = jacobian(generator, one, of).cpu().double()
        total += slopes.T @ slopes
    change, vectors = torch.linalg.eigh(total / len(noise))
    vectors = vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return Directions(vectors * largest.sign(), change.flip(0).clamp(min=0))


@torch.no_grad()
def step_change(generator: nn.Module, noise: Tensor, label: Tensor, direction: Tensor) -> Tensor:
    """(N,): the sum of squared differences of pixels that a whole step of length 1 makes, not to first order.

    Args:
        noise: (N, L).
        direction: (L,) or (N, L), of length 1 each.
    """
    moved, still = (generator(points, label) for points in (noise + direction, noise))
    change: Tensor = ((moved - still) ** 2).flatten(1).sum(1)
    return change


def random_directions(number: int, size: int, seed: int) -> Tensor:
    """(number, L) of length 1, any way alike."""
    return F.normalize(torch.randn(number, size, generator=random_generator(seed, "directions")), dim=1)


def check_directions(
    generator: nn.Module, found: Directions, noise: Tensor, label: Tensor, number: int, seed: int
) -> dict[str, float]:
    """Whether a step of 1 along the main directions changes images more than one along random ones.

    The claim is about slopes and the noises that they were taken at; the test makes whole steps at other noises.

    Args:
        noise, label: (N, L) and (N,), others than the directions were found at.
        number: of main directions.

    Returns:
        direction_change: sum of squared differences of pixels after a step along one of the main directions, mean.
        direction_random_change: after a step along a random one.
        direction_ratio: the former over the latter.
        direction_share: of the change that a step in any direction makes, what falls to the main ones, to first order.
    """
    mains, others = found.vectors.T[:number].float(), random_directions(RANDOM, noise.shape[1], seed)
    main, random = (
        torch.stack([step_change(generator, noise, label, way.to(noise)) for way in group]).mean().item()
        for group in (mains, others)
    )
    return {
        "direction_change": main,
        "direction_random_change": random,
        "direction_ratio": main / random if random else 1.0,
        "direction_share": found.share[:number].sum().item(),
    }


def walk(generator: nn.Module, noise: Tensor, label: Tensor, ways: Tensor) -> Tensor:
    """Images along each direction, (ways * STEPS, C, S, S) uint8: from -REACH to REACH around one noise (L,)."""
    steps = torch.linspace(-REACH, REACH, STEPS, device=noise.device)[None, :, None]
    points = (noise + steps * ways.to(noise)[:, None]).flatten(0, 1)
    return generate(generator, points, label.expand(len(points)), BATCH)
