"""Metrics of sets of images: known values, and what each of them must see."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from projects.fashion_gan import metrics


def normal(number: int, size: int, seed: int) -> Tensor:
    return torch.randn(number, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gaussians_whose_covariances_commute_have_a_known_distance() -> None:
    mean, other = torch.tensor([[1.0, 2.0, 3.0], [0.0, 2.0, 1.0]]).double()
    first, second = (torch.diag(torch.tensor(spread).double()) for spread in ([1.0, 4.0, 9.0], [4.0, 4.0, 0.0]))
    # |m1 - m2|^2 = 1 + 0 + 4; of standard deviations (1 - 2)^2 + (2 - 2)^2 + (3 - 0)^2
    assert metrics.gaussian_distance(mean, first, other, second) == pytest.approx(15)
    turn = torch.linalg.qr(normal(3, 3, 0)).Q
    turned = turn @ mean, turn @ first @ turn.T, turn @ other, turn @ second @ turn.T
    assert metrics.gaussian_distance(*turned) == pytest.approx(15)


class Points(nn.Module):
    """Takes images for features."""

    num_features = 16

    def forward(self, points: Tensor) -> Tensor:
        return points


@pytest.mark.parametrize("number", [10, 500])  # fewer than features: singular covariances
def test_the_frechet_distance_is_that_of_torchmetrics(number: int) -> None:
    first, second = normal(number, 16, 0) @ normal(16, 16, 1) / 4, normal(number, 16, 2) @ normal(16, 16, 3) / 4 + 0.3
    reference = FrechetInceptionDistance(feature=Points()).set_dtype(torch.float64)
    reference.update(first, real=True)
    reference.update(second, real=False)
    assert metrics.frechet_distance(first, second) == pytest.approx(reference.compute().item(), rel=1e-3)


def test_equal_sets_have_none_and_order_does_not_matter() -> None:
    first, second = normal(100, 8, 0), normal(120, 8, 1) * 2
    assert metrics.frechet_distance(first, first.flip(0)) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(first, second) == pytest.approx(metrics.frechet_distance(second, first))


def test_the_interval_is_as_wide_as_new_draws_vary() -> None:
    pairs = [(normal(150, 8, seed), normal(150, 8, 1000 + seed) * 1.3 + 0.3) for seed in range(60)]
    spread = torch.tensor([metrics.frechet_distance(*pair) for pair in pairs]).std().item()
    widths = [high - low for low, high in (metrics.frechet_interval(*pair, seed=0) for pair in pairs[:6])]
    assert np.mean(widths) / 2 / metrics.Z_95 == pytest.approx(spread, rel=0.35)
    low, high = metrics.frechet_interval(*pairs[0], seed=0)
    assert low < metrics.frechet_distance(*pairs[0]) < high
    assert (low, high) == metrics.frechet_interval(*pairs[0], seed=0)


def brute(generated: Tensor, real: Tensor) -> dict[str, float]:
    """By the definitions, point by point."""

    def share_inside(points: Tensor, centres: Tensor) -> float:
        reach = [sorted((centres - centre).norm(dim=1).tolist())[metrics.K] for centre in centres]
        hits = [any((point - c).norm() <= far for c, far in zip(centres, reach, strict=True)) for point in points]
        return float(np.mean(hits))

    return {"precision_score": share_inside(generated, real), "recall_score": share_inside(real, generated)}


def test_precision_and_recall_are_those_of_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 17)  # several chunks, the last one smaller
    generated, real = 0.8 * normal(60, 3, 0) + 0.5, normal(50, 3, 1)
    assert metrics.precision_recall(generated, real) == pytest.approx(brute(generated, real))


def test_one_of_two_clusters_is_precise_and_recalls_half() -> None:
    real = torch.cat([normal(100, 4, 0), normal(100, 4, 1) + 50])
    found = metrics.precision_recall(normal(200, 4, 2), real)
    assert found["precision_score"] > 0.75
    assert found["recall_score"] < 0.55
    assert set(metrics.precision_recall(normal(30, 4, 0) + 200, real).values()) == {0.0}


def test_a_collapse_to_one_image_a_class_is_seen() -> None:
    centres, labels = 10 * normal(3, 4, 0), torch.arange(300) % 3
    real = centres[labels] + normal(300, 4, 1)
    assert metrics.within_class_variance(real, labels) == pytest.approx(4, rel=0.15)  # 1 in each of 4 directions
    collapsed = centres[labels]
    assert metrics.within_class_variance(collapsed, labels) == pytest.approx(0, abs=1e-9)
    assert collapsed.var(0).sum() / real.var(0).sum() > 0.9  # which the variance of all does not show


def test_planted_copies_are_found() -> None:
    train, held_out, fresh = normal(500, 8, 0), normal(400, 8, 1), normal(300, 8, 2)
    distance, _ = metrics.nearest(held_out, train)
    assert metrics.copied_share(metrics.nearest(fresh, train)[0], distance) < 0.05
    near, place = metrics.nearest(torch.cat([train[:100], fresh[:200]]), train)
    assert metrics.copied_share(near, distance) == pytest.approx(1 / 3, abs=0.03)
    assert place[:100].tolist() == list(range(100))
    with_twins = torch.cat([torch.zeros(40), distance])  # held-out images that are in train as well
    assert metrics.copied_share(metrics.nearest(train, train)[0], with_twins) == 1


def drawings(number: int, seed: int) -> Tensor:
    """Mixtures of two patterns, inside the range: Gaussian by nature."""
    weights = np.random.default_rng(seed).normal(0, 0.6, (number, 2))
    patterns = np.array([np.tile([20, -20], 32), np.repeat([15, -15], 32)])
    images = (128 + weights @ patterns).round().astype(np.uint8)
    return torch.from_numpy(images).view(number, 1, 8, 8)


def test_the_pca_gaussian_has_the_mean_and_the_covariance_of_the_images() -> None:
    images = drawings(2000, 0)
    drawn = metrics.pca_gaussian(images, 4000, seed=0)
    assert drawn.shape == (4000, 1, 8, 8)
    flat = [one.flatten(1).double().numpy() for one in (images, drawn)]
    np.testing.assert_allclose(flat[0].mean(0), flat[1].mean(0), atol=1.0)
    np.testing.assert_allclose(np.cov(flat[0], rowvar=False), np.cov(flat[1], rowvar=False), atol=20)  # of 145 to 235
    equal = torch.full((3, 1, 8, 8), 7, dtype=torch.uint8)
    assert (metrics.pca_gaussian(equal, 5, seed=0) == 7).all()
