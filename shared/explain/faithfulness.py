"""Tests of attributions: does a map show what the model uses, and not merely the picture or the method?

Pure functions of tensors. The network sees at most BATCH images at once. A map's mass is its absolute value: a pixel
that speaks against the target is used by the model as well. Removing a pixel means showing the baseline there.

N images, C channels, H height, W width, K classes, P perturbations, T points of a curve.
"""

import copy
from collections.abc import Callable

import torch
from captum import metrics
from scipy.stats import rankdata  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from shared.explain.attribution import BATCH
from shared.seed import generator

POINTS = 11  # of a curve: every tenth of the pixels
SQUARES = 10  # random squares removed to measure infidelity
SQUARE_SIDES = (1 / 8, 1 / 4)  # their sides, in sides of the image; with larger ones any map that is positive does well
NOISES = 4  # random changes of an image to measure sensitivity
NOISE_RADIUS = 0.02  # largest change of a value in [0, 1]: about five of 255 levels, hardly visible


def completeness(delta: Tensor, change: Tensor) -> float:
    """Mean |delta| over mean |change of the output|: 0 is complete (Sundararajan et al. 2017, arXiv:1703.01365).

    A ratio of means, since the change of a single image may be next to nothing.

    Args:
        delta: (N,), sum of the values minus the change of the output.
        change: (N,), output of the image minus output of its baseline.

    >>> completeness(torch.tensor([0.5, -0.5]), torch.tensor([1.0, -3.0]))
    0.25
    """
    return _ratio(delta.abs().mean(), change.abs().mean()).item()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 for 0 / 0: a map of zeros claims nothing."""
    return part / torch.where(whole == 0, 1, whole)


@torch.no_grad()
def target_logits(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """(N,): the output that is explained, in batches."""
    chunks = zip(torch.split(images, BATCH), torch.split(targets, BATCH), strict=True)
    return torch.cat([_pick(model(image), target) for image, target in chunks])


def _pick(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.gather(1, targets[:, None])[:, 0]


def random_maps(count: int, height: int, width: int, seed: int) -> Tensor:
    """(N, H, W) uniform in [0, 1): the attribution that knows nothing."""
    return torch.rand(count, height, width, generator=generator(seed, "random maps"))


def removal_ranks(maps: Tensor, seed: int) -> Tensor:
    """(N, H, W) int64: 0 at the pixel that speaks most for the target, H * W - 1 at the last.

    Equal values are put in a random order: that of the pixels would be a pattern of its own.
    """
    flat = maps.flatten(1)
    mixed = torch.randperm(flat.shape[1], generator=generator(seed, "ties")).to(maps.device)
    order = mixed[flat[:, mixed].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(dim=1).view_as(maps)


@torch.no_grad()
def curve(model: nn.Module, targets: Tensor, start: Tensor, end: Tensor, ranks: Tensor) -> Tensor:
    """The target's probability while the pixels of one picture are replaced by those of another, in order of rank.

    Petsiuk et al. 2018 (arXiv:1806.07421): deletion goes from the image to its baseline, insertion from the baseline
    to the image, both beginning with the pixels that speak most for the target.

    Args:
        model: (N, C, H, W) -> (N, K) logits.
        targets: (N,) int64.
        start, end: (N, C, H, W).
        ranks: (N, H, W), from `removal_ranks`.

    Returns:
        (N, T) probabilities at the fractions 0, 1 / (T - 1), ..., 1 of replaced pixels.
    """
    counts = (fractions() * ranks[0].numel()).round().long().tolist()
    chunks = zip(*(torch.split(part, BATCH) for part in (targets, start, end, ranks[:, None])), strict=True)
    rows = []
    for target, first, last, rank in chunks:
        mixed = (torch.where(rank < count, last, first) for count in counts)
        rows.append(torch.stack([_pick(model(picture).softmax(1), target) for picture in mixed], dim=1))
    return torch.cat(rows)


def fractions() -> Tensor:
    """(T,): the shares of pixels at which curves are measured."""
    return torch.linspace(0, 1, POINTS)


def area(curves: Tensor) -> float:
    """Area under the mean of (N, T) curves, by the trapezoidal rule: in [0, 1] for probabilities.

    >>> area(torch.tensor([[0.0, 0.5, 1.0]]))
    0.5
    """
    return torch.trapezoid(curves.double().mean(0), dx=1 / (curves.shape[1] - 1)).item()


def infidelity(model: nn.Module, images: Tensor, baselines: Tensor, targets: Tensor, maps: Tensor, seed: int) -> float:
    """How badly a map predicts what removing a square does to the logit, as a mean square over squares and images.

    Captum's infidelity (Yeh et al. 2019, arXiv:1901.09392) with their square removal, over a mask of the pixels, so
    that maps of all methods are judged alike. Each map is scaled to its best fit first (their normalisation), since
    only gradients have the unit of the logit. Every image has the same squares removed. Divided by the infidelity of
    a map of zeros it is a share: 0 predicts exactly, 1 says nothing.

    Args:
        model: (N, C, H, W) -> (N, K) logits.
        images, baselines: (N, C, H, W).
        targets: (N,) int64.
        maps: (N, H, W).
        seed: of the squares.
    """

    def logits(masks: Tensor, images: Tensor, baselines: Tensor) -> Tensor:
        outputs: Tensor = model(baselines + masks * (images - baselines))
        return outputs

    def remove(masks: Tensor) -> tuple[Tensor, Tensor]:
        repeated = squares.repeat(len(masks) // len(squares), 1, 1, 1)
        return repeated, masks - repeated

    squares = random_squares(maps.shape[1], maps.shape[2], seed).to(images)[:, None]
    errors = []
    for rows in torch.split(torch.arange(len(images)), BATCH // SQUARES):
        error = metrics.infidelity(
            logits,
            remove,
            torch.ones_like(maps[rows, None]),
            maps[rows, None],
            additional_forward_args=(images[rows], baselines[rows]),
            target=targets[rows],
            n_perturb_samples=SQUARES,
            normalize=True,
        )
        errors.append(error.double())
    return torch.cat(errors).mean().item()


def random_squares(height: int, width: int, seed: int) -> Tensor:
    """(P, H, W) bool: squares of random side and place, wholly inside."""
    side, top, left = torch.rand(3, SQUARES, 1, 1, generator=generator(seed, "squares"))
    low, high = (max(1.0, share * min(height, width)) for share in SQUARE_SIDES)
    side = (low + side * (high - low)).round()
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    top, left = (top * (height - side + 1)).floor(), (left * (width - side + 1)).floor()
    inside: Tensor = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return inside


def sensitivity(
    explain: Callable[[Tensor, Tensor, Tensor], Tensor],
    images: Tensor,
    baselines: Tensor,
    targets: Tensor,
    seed: int,
) -> float:
    """Largest relative change of a map under noise that one hardly sees, mean over images: lower is better.

    Captum's max-sensitivity (Yeh et al. 2019, arXiv:1901.09392). Every image meets the same noise.

    Args:
        explain: (images, baselines, targets) -> (N, H, W) maps.
        images, baselines: (N, C, H, W) float in [0, 1].
        targets: (N,) int64.
        seed: of the noise.
    """

    drawn = torch.rand(NOISES, *images.shape[1:], generator=generator(seed, "noise"))
    noise = ((2 * drawn - 1) * NOISE_RADIUS).to(images)
    chunks = zip(*(torch.split(part, BATCH // NOISES) for part in (images, baselines, targets)), strict=True)
    changes = [_largest_changes(explain, noise, *chunk) for chunk in chunks]
    return torch.cat(changes).mean().item()


def _largest_changes(
    explain: Callable[[Tensor, Tensor, Tensor], Tensor],
    noise: Tensor,
    images: Tensor,
    baselines: Tensor,
    targets: Tensor,
) -> Tensor:
    def maps(inputs: Tensor | tuple[Tensor]) -> tuple[Tensor]:
        pictures = inputs[0] if isinstance(inputs, tuple) else inputs  # Captum passes both
        times = len(pictures) // len(images)
        return (explain(pictures, baselines.repeat_interleave(times, 0), targets.repeat_interleave(times, 0)),)

    def disturb(pictures: Tensor) -> Tensor:
        return (pictures + noise.repeat(len(images), 1, 1, 1)).clamp(0, 1)

    largest: Tensor = metrics.sensitivity_max(maps, images, perturb_func=disturb, n_perturb_samples=len(noise))
    return largest


def similarity(maps: Tensor, others: Tensor) -> float:
    """Spearman's rank correlation of the mass of two sets of (N, H, W) maps, mean over images; in [-1, 1].

    Adebayo et al. 2018 (arXiv:1810.03292) compare so with the maps of a weight-randomised model: a method that shows
    the same there shows the picture and not the model. Of the mass, which is what the eye sees: signs alone turn
    random with the weights. A map of one value throughout has no order: 0.

    >>> maps = torch.rand(2, 8, 8)
    >>> round(similarity(maps, -maps), 6)
    1.0
    """
    ranks = (torch.from_numpy(rankdata(part.abs().flatten(1).cpu().numpy(), axis=1)) for part in (maps, others))
    first, second = (rank - rank.mean(dim=1, keepdim=True) for rank in ranks)
    return F.cosine_similarity(first, second, dim=1).mean().item()


@torch.no_grad()
def randomise(model: nn.Module, inputs: Tensor, seed: int) -> nn.Module:
    """A copy of a model that knows nothing: the entries of every parameter are shuffled.

    Shuffled rather than initialised again (Adebayo et al. 2018 do the latter): it needs no knowledge of the layers and
    keeps the size of the signals, which a default initialisation lets fade, so what is gone is what was learned and
    nothing else. Batch norm takes its statistics anew from the inputs: those of the trained net would blow up the
    channels that hardly varied there.

    Args:
        model: any, in eval mode; it stays as it is.
        inputs: (N, C, H, W), N > 1 where there is batch norm.
        seed: of the shuffling.
    """
    copied = copy.deepcopy(model)
    draws = generator(seed, "randomise")
    for weights in copied.parameters():
        order = torch.randperm(weights.numel(), generator=draws).to(weights.device)
        weights.copy_(weights.flatten()[order].view_as(weights))
    with torch.random.fork_rng([inputs.device] if inputs.is_cuda else []):  # of dropout, while statistics are taken
        update_bn([inputs[:BATCH]], copied)
    return copied


def localisation(maps: Tensor, evidence: Tensor) -> float:
    """Share of a map's mass that lies inside the evidence, mean over the images that have any; in [0, 1].

    The energy-based pointing game (Wang et al. 2020, arXiv:1910.01279), over |values|. A map of zeros has none inside.

    Args:
        maps: (N, H, W).
        evidence: (N, H, W) bool, somewhere true.

    >>> localisation(torch.tensor([[[3.0, -1.0]]]), torch.tensor([[[False, True]]]))
    0.25
    """
    marked = evidence.flatten(1).any(1)
    mass, inside = maps[marked].abs().flatten(1), evidence[marked].flatten(1)
    return _ratio((mass * inside).sum(1), mass.sum(1)).mean().item()
