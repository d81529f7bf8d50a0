"""What a set of generated images is worth beside a set of real ones, both as points in a space of features.

The Frechet distance is written here and not taken from torchmetrics, whose metric wants images and a network, keeps
sums that cannot be drawn again for an interval, and takes longer to import than all of this to run; a test holds it
against scipy's matrix root. Everything is in float64 and in chunks: 10,000 against 10,000 points take seconds.

N points of one set, M of another, D features. A set is a Tensor (N, D), float64, on the CPU.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from shared.core.seed import derive
from shared.data.draws import generator
from shared.evaluation.metrics import DIGITS

PRECISION_K = 3  # neighbours that make a point's radius: Kynkaanniemi et al. 2019
DENSITY_K = 5  # Naeem et al. 2020
RESAMPLES = 200  # of the bootstrap: its standard error is then known to 5 percent
Z_95 = 1.96  # standard errors of a normal distribution to either side, 95 percent within
CHUNK = 1000  # points compared with all others at once

PCA_VARIANCE = 0.95  # share that the Gaussian's components hold
PCA_COMPONENTS = 256  # at most
PCA_IMAGES = 10_000  # seen at most

COPY_PERCENTILE = 1  # of held-out real images' distances to train: what lies nearer still is called a copy


# --- Frechet distance ---------------------------------------------------------------------------------------------


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared Frechet (2-Wasserstein) distance of the Gaussians fitted to two sets; 0 for equal ones.

    Heusel et al. 2017 (arXiv:1706.08500), there in the features of Inception. It grows with the noise of the
    estimated covariances: compare figures of equally many points only.

    Args:
        first, second: (N, D) and (M, D), N and M > 1.

    >>> points = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    >>> round(frechet_distance(points, 3 * points + 1), 6)  # means 1 and 4, standard deviations 2 ** 0.5 and 3 times it
    17.0
    """
    return gaussian_distance(*_moments(first), *_moments(second))


def gaussian_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of Gaussians given by (D,) means and (D, D) covariances.

    (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2), R the root of C1: symmetric, so that eigenvalues are real and a
    singular covariance (features that never fire) does no harm. Dowson & Landau 1982.
    """
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    spread = covariance.trace() + other_covariance.trace() - 2 * cross
    return float(((mean - other_mean) ** 2).sum() + spread.clamp(min=0))


def _moments(points: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of points that occur `weights` (N,) times each, once by default."""
    weights = torch.ones(len(points), dtype=points.dtype) if weights is None else weights
    mean = weights @ points / weights.sum()
    centred = points - mean
    return mean, centred.T @ (weights[:, None] * centred) / (weights.sum() - 1)


def frechet_interval(first: Tensor, second: Tensor, seed: int) -> tuple[float, float]:
    """95 % interval of the Frechet distance: the distance -+ 1.96 bootstrap standard errors, never below 0.

    Not the bootstrap's percentiles: drawing from a sample adds its noise once more, and a distance between moments
    grows with noise, so that all resamples lie above the distance itself. How much they vary is right (a test holds
    it against new draws). The interval is that of the distance at these numbers of points, both sets drawn anew.
    """
    draws = generator(seed, "frechet interval")
    resampled = torch.tensor([_resampled_distance(first, second, draws) for _ in range(RESAMPLES)])
    distance, error = frechet_distance(first, second), resampled.std().item()
    return max(0.0, distance - Z_95 * error), distance + Z_95 * error


def _resampled_distance(first: Tensor, second: Tensor, draws: torch.Generator) -> float:
    sets: list[Tensor] = []
    for points in (first, second):
        chosen = torch.randint(len(points), (len(points),), generator=draws)
        sets += _moments(points, torch.bincount(chosen, minlength=len(points)).to(points.dtype))
    return gaussian_distance(*sets)


# --- neighbours ---------------------------------------------------------------------------------------------------


class Nearest(NamedTuple):
    """(N,) distances to the nearest point, and (N,) int64 which one that is."""

    distance: Tensor
    place: Tensor


def nearest(queries: Tensor, points: Tensor) -> Nearest:
    """The nearest of `points` (M, D) to each of `queries` (N, D), by Euclidean distance.

    Looked for in float32, as M may be all of train, and then measured in float64: a copy lies at 0.
    """
    centre = points.mean(0)
    near = (points - centre).float()
    norms = (near**2).sum(1)
    parts = ((part - centre).float() for part in torch.split(queries, CHUNK))
    place = torch.cat([torch.addmm(norms, part, near.T, alpha=-2).argmin(dim=1) for part in parts])
    return Nearest((queries - points[place]).norm(dim=1), place)


def radii(points: Tensor, k: int) -> Tensor:
    """(N, k): how far each point's first k neighbours lie, itself not counted; the farthest, where it has fewer."""
    count = min(k + 1, len(points))
    near = [torch.cdist(part, points).topk(count, largest=False).values for part in torch.split(points, CHUNK)]
    return torch.cat(near)[:, (1 + torch.arange(k)).clamp(max=count - 1)]


def neighbour_scores(generated: Tensor, real: Tensor) -> dict[str, float]:
    """Precision, recall and their F1 (Kynkaanniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al.
    2020, arXiv:2002.09797).

    A point's ball reaches to its k-th neighbour of its own set, k 3 for the first three and 5 for the others.

    Args:
        generated: (N, D).
        real: (M, D).

    Returns:
        precision_score: share of the generated in a real point's ball: are they like real ones?
        recall_score: share of the real in a generated point's ball: is every kind made?
        f1_score: harmonic mean of these two.
        density_score: real balls that a generated point lies in, over 5: about 1 for real ones, any positive number.
        coverage_score: share of the real in whose ball a generated point lies; outliers do not raise it.
    """
    near = radii(real, DENSITY_K)
    inner, outer, own = near[:, PRECISION_K - 1], near[:, -1], radii(generated, PRECISION_K)[:, -1:]
    precise, balls = 0, 0
    recalled, closest = torch.zeros(len(real), dtype=torch.bool), torch.full((len(real),), torch.inf).double()
    for part, radius in zip(torch.split(generated, CHUNK), torch.split(own, CHUNK), strict=True):
        distance = torch.cdist(part, real)
        precise += int((distance <= inner).any(1).sum())
        balls += int((distance <= outer).sum())
        recalled |= (distance <= radius).any(0)
        closest = torch.minimum(closest, distance.min(dim=0).values)
    precision, recall = precise / len(generated), recalled.double().mean().item()
    return {
        "precision_score": precision,
        "recall_score": recall,
        "f1_score": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "density_score": balls / len(generated) / DENSITY_K,
        "coverage_score": (closest <= outer).double().mean().item(),
    }


# --- collapse -----------------------------------------------------------------------------------------------------


def class_shares(labels: Tensor, num_classes: int) -> Tensor:
    """(K,) float64: the share of images that the classifier gives to each class."""
    return torch.bincount(labels, minlength=num_classes).double() / len(labels)


def class_entropy(shares: Tensor) -> float:
    """Entropy of (K,) shares over that of equal ones: 1 where all classes are as frequent, 0 where there is one.

    >>> class_entropy(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    0.5
    """
    if len(shares) == 1:
        return 1.0
    return float(torch.special.entr(shares.double()).sum() / np.log(len(shares)))


def within_class_variance(points: Tensor, labels: Tensor) -> float:
    """Mean squared distance of points to the mean of their class, unbiased: what varies beside the class.

    The variance of all points would hide a collapse to one image a class.
    """
    present, place, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(present), points.shape[1], dtype=points.dtype).index_add_(0, place, points)
    centred = points - (sums / counts[:, None])[place]
    return float((centred**2).sum() / max(1, len(points) - len(present)))


# --- memorisation -------------------------------------------------------------------------------------------------


def memorisation(distance: Tensor, held_out: Tensor) -> dict[str, float]:
    """How near generated images come to training images, beside real images that training has not seen either.

    Args:
        distance: (N,) of each generated image to its nearest training image.
        held_out: (M,) the same of held-out real images.

    Returns:
        copied_share: generated images as near as 1 % of the held-out ones are: about 0.01 where nothing is copied.
        train_distance_ratio: median over median: about 1, near 0 where train is recited.
    """
    limit = held_out.quantile(COPY_PERCENTILE / 100)
    ratio = distance.median() / held_out.median() if held_out.median() else torch.tensor(1.0)
    return {"copied_share": (distance <= limit).double().mean().item(), "train_distance_ratio": ratio.item()}


# --- baseline -----------------------------------------------------------------------------------------------------


def pca_gaussian(images: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Images drawn from one Gaussian over the principal components of others': what a model without depth makes.

    Args:
        images: (N, C, S, S) uint8, N > 1.
        number: M, how many to draw.
        seed: of the draws.

    Returns:
        (M, C, S, S) uint8, from as many components as hold 95 % of the variance, 256 at most.
    """
    rng = np.random.default_rng(derive(seed, "pca gaussian"))
    seen = images[np.sort(rng.permutation(len(images))[:PCA_IMAGES])]
    pixels = seen.reshape(len(seen), -1).astype(np.float32)
    with np.errstate(invalid="ignore"):  # equal images: nought of nought
        pca = PCA(min(PCA_COMPONENTS, *pixels.shape), random_state=derive(seed, "pca") % 2**32).fit(pixels)
    held = np.cumsum(np.nan_to_num(pca.explained_variance_ratio_))
    count = min(len(held), int(np.searchsorted(held, PCA_VARIANCE)) + 1)
    scale = np.sqrt(pca.explained_variance_[:count])
    drawn = rng.standard_normal((number, count)) * scale @ pca.components_[:count] + pca.mean_
    made: np.ndarray = drawn.round().clip(0, 255).astype(np.uint8).reshape(number, *images.shape[1:])
    return made


def rounded(figures: dict[str, float]) -> dict[str, Any]:
    """As metrics.json keeps them."""
    return {name: round(value, DIGITS) for name, value in figures.items()}
