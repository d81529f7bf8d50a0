"""How close a set of generated images is to a set of real ones, both given by their features.

The Frechet distance is written here and not taken from torchmetrics, whose metric keeps sums that cannot be drawn again
for an interval; a test compares the two. All in float64: 10,000 images against 10,000 take seconds.

N images of one set, M of another, D features. Features are float64 Tensors (N, D) on the CPU.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from shared.core.seed import derive
from shared.data.draws import generator

K = 3  # neighbours that make an image's radius, as in the paper
RESAMPLES = 200  # of the bootstrap: its standard error is then known to 5 percent
Z_95 = 1.96  # standard errors of a normal distribution to either side, 95 percent within
CHUNK = 1000  # images compared with all others at once
PCA_VARIANCE, PCA_COMPONENTS, PCA_IMAGES = 0.95, 256, 10_000  # share that is kept; at most
COPY_PERCENTILE = 1  # of the distances of held-out real images to train: what is nearer still is called a copy


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared Frechet (2-Wasserstein) distance of the Gaussians fitted to two sets (N, D), (M, D); 0 for equal ones.

    Heusel et al. 2017 (arXiv:1706.08500), there in the features of Inception. It grows with the noise of the
    estimated covariances: compare values of equally many images only.

    >>> points = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    >>> round(frechet_distance(points, 3 * points + 1), 6)  # means 1 and 4, standard deviations 2 ** 0.5 and 3 times it
    17.0
    """
    return gaussian_distance(*_moments(first), *_moments(second))


def gaussian_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of Gaussians given by (D,) means and (D, D) covariances.

    (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2), R the root of C1: symmetric, so that eigenvalues are real and a
    singular covariance does no harm. Dowson & Landau 1982.
    """
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    spread = covariance.trace() + other_covariance.trace() - 2 * cross
    return float(((mean - other_mean) ** 2).sum() + spread.clamp(min=0))


def _moments(points: Tensor) -> tuple[Tensor, Tensor]:
    return points.mean(0), torch.cov(points.T).view(points.shape[1], points.shape[1])


def frechet_interval(first: Tensor, second: Tensor, seed: int) -> tuple[float, float]:
    """95 % interval of the Frechet distance: the distance -+ 1.96 bootstrap standard errors, never below 0.

    Not the bootstrap's percentiles: drawing from a sample adds its noise once more, and a distance between moments
    grows with noise, so that all resamples lie above the distance itself. How much they vary is right (a test compares
    it with new draws).
    """
    draws = generator(seed, "frechet interval")

    def resampled(points: Tensor) -> Tensor:
        return points[torch.randint(len(points), (len(points),), generator=draws)]

    values = [frechet_distance(resampled(first), resampled(second)) for _ in range(RESAMPLES)]
    distance, error = frechet_distance(first, second), torch.tensor(values).std().item()
    return max(0.0, distance - Z_95 * error), distance + Z_95 * error


def nearest(queries: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Of each of `queries` (N, D) the Euclidean distance to the nearest of `points` (M, D), (N,), and its index (N,)
    int64."""
    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(queries, return_distance=False)
    place = torch.from_numpy(found[:, 0])
    return (queries - points[place]).norm(dim=1), place  # sklearn's own distance of a copy is not quite 0


def precision_recall(generated: Tensor, real: Tensor) -> dict[str, float]:
    """Kynkaanniemi et al. 2019 (arXiv:1904.06991). An image's ball reaches to its third neighbour of its own set.

    Args:
        generated, real: (N, D) and (M, D), more than 3 of each.

    Returns:
        precision_score: share of the generated in a real image's ball: are they like real ones?
        recall_score: share of the real in a generated image's ball: is every kind made?
    """
    real_radius, radius = (
        torch.from_numpy(NearestNeighbors(n_neighbors=K, algorithm="brute").fit(points).kneighbors()[0][:, -1])
        for points in (real, generated)
    )
    precise, recalled = 0, torch.zeros(len(real), dtype=torch.bool)
    for part, reach in zip(torch.split(generated, CHUNK), torch.split(radius, CHUNK), strict=True):
        distance = torch.cdist(part, real)
        precise += int((distance <= real_radius).any(1).sum())
        recalled |= (distance <= reach[:, None]).any(0)
    return {"precision_score": precise / len(generated), "recall_score": recalled.double().mean().item()}


def within_class_variance(points: Tensor, labels: Tensor) -> float:
    """Mean squared distance of (N, D) to the mean of their class, unbiased. The variance of all images together would
    not show a collapse to one image a class."""
    present, place, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(present), points.shape[1], dtype=points.dtype).index_add_(0, place, points)
    centred = points - (sums / counts[:, None])[place]
    return float((centred**2).sum() / max(1, len(points) - len(present)))


def copied_share(distance: Tensor, held_out: Tensor) -> float:
    """Share of generated images that are nearer to a training image than 1 % of real images that training has not seen
    either: about 0.01 where nothing is copied, 1 where training images are reproduced.

    Args:
        distance: (N,) of each generated image to its nearest training image.
        held_out: (M,) the same of held-out real images.
    """
    return (distance <= held_out.quantile(COPY_PERCENTILE / 100)).double().mean().item()


def pca_gaussian(images: Tensor, number: int, seed: int) -> Tensor:
    """(M, C, S, S) uint8 images drawn from one Gaussian over the principal components of real ones, (N, C, S, S) uint8:
    the baseline. As many components as hold 95 % of the variance, 256 at most."""
    rng = np.random.default_rng(derive(seed, "pca gaussian"))
    seen = images[np.sort(rng.permutation(len(images))[:PCA_IMAGES])]
    pixels = seen.flatten(1).numpy().astype(np.float32)
    with np.errstate(invalid="ignore"):  # equal images: 0 / 0
        pca = PCA(min(PCA_COMPONENTS, *pixels.shape), random_state=derive(seed, "pca") % 2**32).fit(pixels)
    held = np.cumsum(np.nan_to_num(pca.explained_variance_ratio_))
    count = min(len(held), int(np.searchsorted(held, PCA_VARIANCE)) + 1)
    scale = np.sqrt(pca.explained_variance_[:count])
    drawn = rng.standard_normal((number, count)) * scale @ pca.components_[:count] + pca.mean_
    return torch.from_numpy(drawn.round().clip(0, 255).astype(np.uint8)).view(number, *images.shape[1:])
