"""What the generator makes of its noise: ways between two noises, and the directions that change most.

N noises, L numbers of noise, C channels, S side in pixels, P = C S S pixels.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import jvp, vmap

from shared.seed import generator as random_generator


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

    Forward mode: L directions at once through the network, which has far more outputs than inputs.
    """

    def image(one: Tensor) -> Tensor:
        made: Tensor = generator(one[None], label[None])
        return made.flatten()

    def along(direction: Tensor) -> Tensor:
        change: Tensor = jvp(image, (noise,), (direction,))[1]
        return change

    columns: Tensor = vmap(along)(torch.eye(len(noise), dtype=noise.dtype, device=noise.device))
    return columns.T


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
        slopes = jacobian(generator, one, of).double()
        total += (slopes.T @ slopes).cpu()
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
