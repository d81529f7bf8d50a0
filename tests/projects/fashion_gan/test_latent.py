"""Ways through the noise: arcs, the Jacobian, main directions, regions."""

import pytest
import torch
from torch import Tensor, nn

from projects.fashion_gan import latent, regions
from projects.fashion_gan.model import build_generator, standing

from . import tiny

SIZE = 6


class Linear(nn.Module):
    """Noise -> images of 6 px whose pixels are sums of the noise's numbers."""

    def __init__(self, slopes: Tensor) -> None:
        super().__init__()
        self.slopes = nn.Parameter(slopes, requires_grad=False)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return 0.5 + (noise @ self.slopes.T).view(-1, 1, 6, 6)


@pytest.fixture
def generator() -> nn.Module:
    """Untrained, class-conditional, with batch norm: everything that a Jacobian passes through."""
    torch.manual_seed(0)
    network = build_generator(tiny.params(model__latent_size=SIZE).train.model, 1, tiny.SIDE, 2)
    batches = [(torch.randn(16, SIZE), torch.arange(16) % 2) for _ in range(3)]
    return standing(network, batches).double()


def test_an_arc_keeps_the_length_and_its_ends() -> None:
    ends = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    way = latent.slerp(ends[0], ends[1], 7)
    torch.testing.assert_close(way[[0, -1]], ends)
    lengths, (low, high) = way.norm(dim=1), sorted(ends.norm(dim=1).tolist())
    assert ((lengths >= low - 1e-4) & (lengths <= high + 1e-4)).all()
    directions = nn.functional.normalize(way, dim=1)
    angles = (directions[1:] * directions[:-1]).sum(1).arccos()
    torch.testing.assert_close(angles, angles[:1].expand(6), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(latent.slerp(ends[0], ends[0], 3), ends[:1].expand(3, -1))


@pytest.mark.parametrize("name", ["dcgan", "residual"])
def test_the_jacobian_is_that_of_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    network = build_generator(tiny.params(model__name=name, model__latent_size=SIZE).train.model, 1, tiny.SIDE, 2)
    network = standing(network, [(torch.randn(16, SIZE), torch.arange(16) % 2)]).double()
    noise, label, step = torch.randn(SIZE).double(), torch.tensor(1), 1e-6
    found = latent.jacobian(network, noise, label)
    assert found.shape == (tiny.SIDE**2, SIZE)
    for number, way in enumerate(step * torch.eye(SIZE).double()):
        ends = (network((noise + sign * way)[None], label[None]).flatten() for sign in (1, -1))
        torch.testing.assert_close(found[:, number], (next(ends) - next(ends)) / (2 * step), rtol=1e-4, atol=1e-7)


def test_main_directions_of_a_linear_generator_are_its_singular_vectors() -> None:
    slopes = torch.randn(36, SIZE, generator=torch.Generator().manual_seed(0))
    noise, label = torch.randn(5, SIZE), torch.zeros(5, dtype=torch.int64)
    found = latent.main_directions(Linear(slopes), noise, label)
    _, values, vectors = torch.linalg.svd(slopes.double(), full_matrices=False)
    torch.testing.assert_close(found.change, values**2, rtol=1e-4, atol=1e-6)
    assert (found.vectors.T * vectors).sum(1).abs().min() > 0.999
    assert found.share.sum() == pytest.approx(1)
    moved = latent.step_change(Linear(slopes), noise, label, found.vectors[:, 0].float())
    torch.testing.assert_close(moved.double(), found.change[:1].expand(5), rtol=1e-4, atol=1e-6)


def test_main_directions_change_more_than_random_ones_at_other_noises(generator: nn.Module) -> None:
    noise, label = torch.randn(16, SIZE, generator=torch.Generator().manual_seed(1)).double(), torch.arange(16) % 2
    found = latent.main_directions(generator, noise[:8], label[:8])
    figures = latent.check_directions(generator, found, noise[8:], label[8:], number=1, seed=0)
    assert figures["direction_ratio"] > 1.2
    assert figures["direction_share"] > 1.5 / SIZE
    last = latent.Directions(found.vectors.flip(1), found.change.flip(0))
    assert latent.check_directions(generator, last, noise[8:], label[8:], number=1, seed=0)["direction_ratio"] < 1


def test_regions_divide_the_image() -> None:
    for side in (7, 16, 28):
        masks = regions.regions(side)
        assert masks.shape == (9, side, side)
        assert (masks.sum(0) == 1).all()


def test_a_region_is_attributed_to_the_noise_that_makes_it() -> None:
    masks = regions.regions(6)
    slopes = 0.1 * masks.flatten(1).float().T  # number r of nine brightens region r
    network, noise = Linear(slopes), torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    label, bright = torch.zeros(4, dtype=torch.int64), regions.brightness(network, masks)
    found = regions.attribute_regions(bright, noise, label)
    torch.testing.assert_close(found.slopes[:, 0], 0.1 * torch.eye(9), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.gap, torch.zeros(9, 4), rtol=0, atol=1e-5)
    figures = regions.check_regions(bright, found, noise, label, seed=0)
    assert figures["region_change"] == pytest.approx(0.1, rel=1e-3)
    assert figures["region_share"] == pytest.approx(1, rel=1e-3)
    assert figures["region_ratio"] > 2
    assert figures["region_completeness_error"] < 1e-3
    random = regions.Regional(torch.randn(9, 4, 9), found.values, found.gap)
    assert regions.check_regions(bright, random, noise, label, seed=0)["region_share"] < 0.3
