"""Figures of sets of images: known values, and what each of them must see."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm  # type: ignore[import-untyped]
from torch import Tensor

from projects.fashion_gan import scores


def normal(number: int, size: int, seed: int) -> Tensor:
    return torch.randn(number, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- Frechet distance ---------------------------------------------------------------------------------------------


def test_gaussians_whose_covariances_commute_have_a_known_distance() -> None:
    mean, other = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([0.0, 2.0, 1.0]).double()
    first, second = (
        torch.diag(torch.tensor([1.0, 4.0, 9.0]).double()),
        torch.diag(torch.tensor([4.0, 4.0, 0.0]).double()),
    )
    # |m1 - m2|^2 = 1 + 0 + 4; of standard deviations (1 - 2)^2 + (2 - 2)^2 + (3 - 0)^2
    assert scores.gaussian_distance(mean, first, other, second) == pytest.approx(15)
    turn = torch.linalg.qr(normal(3, 3, 0)).Q
    turned = (turn @ mean, turn @ first @ turn.T, turn @ other, turn @ second @ turn.T)
    assert scores.gaussian_distance(*turned) == pytest.approx(15)


@pytest.mark.parametrize("number", [40, 500])  # fewer than features: singular covariances
def test_it_is_that_of_the_matrix_root_in_float64(number: int) -> None:
    first = normal(number, 64, 0) @ normal(64, 64, 1) / 8
    second = normal(number, 64, 2) @ normal(64, 64, 3) / 8 + 0.3
    covariances = [np.cov(points.numpy(), rowvar=False) for points in (first, second)]
    # the root of a product of singular matrices is ill-conditioned: a hair of variance more in every direction
    eye = 0.0 if number > 64 else 1e-9
    root = sqrtm((covariances[0] + eye * np.eye(64)) @ (covariances[1] + eye * np.eye(64))).real
    means = ((first.mean(0) - second.mean(0)) ** 2).sum().item()
    expected = means + sum(np.trace(one) for one in covariances) - 2 * np.trace(root)
    assert scores.frechet_distance(first, second) == pytest.approx(expected, abs=1e-4)


def test_equal_sets_have_none_and_order_does_not_matter() -> None:
    first, second = normal(100, 8, 0), normal(120, 8, 1) * 2
    assert scores.frechet_distance(first, first.flip(0)) == pytest.approx(0, abs=1e-9)
    assert scores.frechet_distance(first, second) == pytest.approx(scores.frechet_distance(second, first))


def test_of_many_points_it_is_that_of_the_gaussians_they_come_from() -> None:
    first, second = normal(40_000, 2, 0), normal(40_000, 2, 1) @ torch.diag(torch.tensor([3.0, 1.0]).double()) + 1
    assert scores.frechet_distance(first, second) == pytest.approx(4 + 2, rel=0.03)


def test_the_interval_is_as_wide_as_new_draws_vary() -> None:
    pairs = [(normal(150, 8, seed), normal(150, 8, 1000 + seed) * 1.3 + 0.3) for seed in range(60)]
    spread = torch.tensor([scores.frechet_distance(*pair) for pair in pairs]).std().item()
    widths = [high - low for low, high in (scores.frechet_interval(*pair, seed=0) for pair in pairs[:6])]
    assert np.mean(widths) / 2 / scores.Z_95 == pytest.approx(spread, rel=0.35)
    low, high = scores.frechet_interval(*pairs[0], seed=0)
    assert low < scores.frechet_distance(*pairs[0]) < high
    assert (low, high) == scores.frechet_interval(*pairs[0], seed=0)
    same = normal(100, 2, 0)
    assert scores.frechet_interval(same, same, seed=0)[0] == 0


# --- neighbours ---------------------------------------------------------------------------------------------------


def brute(generated: Tensor, real: Tensor) -> dict[str, float]:
    """By the definitions, point by point."""

    def radius(points: Tensor, k: int) -> list[float]:
        return [sorted((points - point).norm(dim=1).tolist())[k] for point in points]

    def inside(point: Tensor, centres: Tensor, reach: list[float]) -> int:
        return sum((point - centre).norm().item() <= far for centre, far in zip(centres, reach, strict=True))

    real3, real5, made3 = radius(real, 3), radius(real, 5), radius(generated, 3)
    precision = np.mean([inside(point, real, real3) > 0 for point in generated])
    recall = np.mean([inside(point, generated, made3) > 0 for point in real])
    near = [(generated - point).norm(dim=1).min().item() for point in real]
    return {
        "precision_score": precision,
        "recall_score": recall,
        "f1_score": 2 * precision * recall / (precision + recall),
        "density_score": np.mean([inside(point, real, real5) for point in generated]) / 5,
        "coverage_score": np.mean([one <= far for one, far in zip(near, real5, strict=True)]),
    }


def test_neighbour_scores_are_those_of_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "CHUNK", 17)  # several chunks, the last one smaller
    generated, real = 0.8 * normal(60, 3, 0) + 0.5, normal(50, 3, 1)
    assert scores.neighbour_scores(generated, real) == pytest.approx(brute(generated, real))


def test_real_points_themselves_are_precise_and_cover_all() -> None:
    real = normal(200, 4, 0)
    found = scores.neighbour_scores(real, real)
    assert found["precision_score"] == found["recall_score"] == found["f1_score"] == found["coverage_score"] == 1
    assert scores.neighbour_scores(normal(2000, 2, 0), normal(2000, 2, 1))["density_score"] == pytest.approx(
        1, abs=0.05
    )


def test_far_points_score_nothing() -> None:
    assert set(scores.neighbour_scores(normal(30, 4, 0) + 100, normal(30, 4, 1)).values()) == {0.0}


def test_one_of_two_clusters_is_precise_and_recalls_half() -> None:
    real = torch.cat([normal(100, 4, 0), normal(100, 4, 1) + 50])
    found = scores.neighbour_scores(normal(200, 4, 2), real)
    assert found["precision_score"] > 0.75
    assert found["recall_score"] < 0.55
    assert found["coverage_score"] < 0.55


def test_fewer_points_than_neighbours_are_no_failure() -> None:
    assert (
        scores.neighbour_scores(normal(2, 3, 0), normal(3, 3, 1)).keys()
        == brute(normal(9, 3, 0), normal(9, 3, 1)).keys()
    )


# --- collapse and memorisation ------------------------------------------------------------------------------------


def test_a_collapse_to_one_image_a_class_is_seen() -> None:
    centres, labels = 10 * normal(3, 4, 0), torch.arange(300) % 3
    real = centres[labels] + normal(300, 4, 1)
    assert scores.within_class_variance(real, labels) == pytest.approx(4, rel=0.15)  # 1 in each of 4 directions
    collapsed = centres[labels]
    assert scores.within_class_variance(collapsed, labels) == pytest.approx(0, abs=1e-9)
    assert collapsed.var(0).sum() / real.var(0).sum() > 0.9  # which all points together would hide


def test_a_dropped_class_is_seen() -> None:
    shares = scores.class_shares(torch.tensor([0, 0, 1, 1]), 3)
    assert shares.tolist() == [0.5, 0.5, 0.0]
    assert scores.class_entropy(shares) == pytest.approx(math.log(2) / math.log(3))
    assert scores.class_entropy(torch.tensor([1.0])) == 1


def test_planted_copies_are_found() -> None:
    train, held_out = normal(500, 8, 0), normal(400, 8, 1)
    fresh = normal(300, 8, 2)
    copies = torch.cat([train[:100], fresh[:200]])
    distance = scores.nearest(held_out, train).distance
    honest = scores.memorisation(scores.nearest(fresh, train).distance, distance)
    assert honest["copied_share"] < 0.05
    assert honest["train_distance_ratio"] == pytest.approx(1, abs=0.1)
    near = scores.nearest(copies, train)
    assert scores.memorisation(near.distance, distance)["copied_share"] == pytest.approx(1 / 3, abs=0.03)
    assert near.place[:100].tolist() == list(range(100))
    recited = scores.nearest(train, train).distance
    assert scores.memorisation(recited, distance)["train_distance_ratio"] < 1e-3
    with_twins = torch.cat([torch.zeros(40), distance])  # held-out images that are in train as well
    assert scores.memorisation(recited, with_twins)["copied_share"] == 1


# --- baseline -----------------------------------------------------------------------------------------------------


def drawings(number: int, seed: int) -> np.ndarray:
    """Mixtures of two patterns, inside the range: Gaussian by nature."""
    weights = np.random.default_rng(seed).normal(0, 0.6, (number, 2))
    patterns = np.array([np.tile([20, -20], 32), np.repeat([15, -15], 32)])
    return (128 + weights @ patterns).round().astype(np.uint8).reshape(number, 1, 8, 8)


def test_the_pca_gaussian_has_the_mean_and_the_covariance_of_the_images() -> None:
    images = drawings(2000, 0)
    drawn = scores.pca_gaussian(images, 4000, seed=0)
    assert drawn.shape == (4000, 1, 8, 8)
    flat = [one.reshape(len(one), -1).astype(float) for one in (images, drawn)]
    np.testing.assert_allclose(flat[0].mean(0), flat[1].mean(0), atol=1.0)
    np.testing.assert_allclose(np.cov(flat[0], rowvar=False), np.cov(flat[1], rowvar=False), atol=20)  # of 145 to 235
    assert (scores.pca_gaussian(images, 10, seed=0) != scores.pca_gaussian(images, 10, seed=1)).any()


@pytest.mark.parametrize("make", [lambda n: np.full((n, 1, 8, 8), 7, np.uint8), lambda n: drawings(n, 0)])
def test_it_takes_few_and_equal_images(make: Callable[[int], np.ndarray]) -> None:
    assert scores.pca_gaussian(make(3), 5, seed=0).shape == (5, 1, 8, 8)
