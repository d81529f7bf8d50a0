"""Tests of attributions: does a map show what the model uses, and not merely the input or the method?

Pure functions of tensors. A map holds a value for each part of an input: the pixels of an image, the words of a text;
what is said of images below and takes (N, ...) holds for any parts. The network sees at most BATCH inputs at once. A
map's mass is its absolute value: a part that speaks against the target is used by the model as well. Removing a part
means showing the baseline there.

N inputs, C channels, H height, W width, K classes, P perturbations, T points of a curve.
"""

import copy
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from captum import metrics
from scipy.stats import rankdata  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from shared.data.draws import generator
from shared.explain.attribution import BATCH

POINTS = 11  # of a curve: every tenth of the parts
SQUARES = 10  # random squares removed to measure infidelity
SQUARE_SIDES = (1 / 8, 1 / 4)  # their sides, in sides of the image; with larger ones any map that is positive does well
NOISES = 4  # random changes of an image to measure sensitivity
NOISE_RADIUS = 0.02  # largest change of a value in [0, 1]: about five of 255 levels, hardly visible

Logits = Callable[..., Tensor]
M = TypeVar("M", bound=nn.Module)


def completeness(delta: Tensor, change: Tensor) -> float:
    """Mean |delta| over mean |change of the output|: 0 is complete (Sundararajan et al. 2017, arXiv:1703.01365).

    A ratio of means, since the change of a single input may be next to nothing.

    Args:
        delta: (N,), sum of the values minus the change of the output.
        change: (N,), output of the input minus output of its baseline.

    >>> completeness(torch.tensor([0.5, -0.5]), torch.tensor([1.0, -3.0]))
    0.25
    """
    return _ratio(delta.abs().mean(), change.abs().mean()).item()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 for 0 / 0: a map of zeros claims nothing."""
    return part / torch.where(whole == 0, 1, whole)


@torch.no_grad()
def target_logits(model: Logits, inputs: Tensor, targets: Tensor, *extra: Tensor) -> Tensor:
    """(N,): the output that is explained, in batches. `extra` (N, ...) goes to the model beside the inputs."""
    return torch.cat([_pick(model(*parts), target) for target, *parts in _chunks(targets, inputs, *extra)])


def _pick(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.gather(1, targets[:, None])[:, 0]


def random_maps(*shape: int, seed: int) -> Tensor:
    """(N, ...) uniform in [0, 1): the attribution that knows nothing."""
    return torch.rand(*shape, generator=generator(seed, "random maps"))


def removal_ranks(maps: Tensor, seed: int) -> Tensor:
    """(N, ...) int64: 0 at the part that speaks most for the target, their number less one at the last.

    Equal values are put in a random order: that of the parts would be a pattern of its own.
    """
    flat = maps.flatten(1)
    mixed = torch.randperm(flat.shape[1], generator=generator(seed, "ties")).to(maps.device)
    order = mixed[flat[:, mixed].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(dim=1).view_as(maps)


@torch.no_grad()
def curve(
    model: Logits,
    targets: Tensor,
    start: Tensor,
    end: Tensor,
    ranks: Tensor,
    *extra: Tensor,
    sizes: Tensor | None = None,
) -> Tensor:
    """The target's probability while the parts of one input are replaced by those of another, in order of rank.

    Petsiuk et al. 2018 (arXiv:1806.07421): deletion goes from the input to its baseline, insertion from the baseline
    to the input, both beginning with the parts that speak most for the target.

    Args:
        model: (N, ...) and what is in `extra` -> (N, K) logits.
        targets: (N,) int64.
        start, end: (N, ...), such as (N, C, H, W).
        ranks: from `removal_ranks`, with dimensions of 1 where start and end have several values a part.
        extra: (N, ...) each.
        sizes: (N,) number of parts of each input; by default all that ranks has.

    Returns:
        (N, T) probabilities at the fractions 0, 1 / (T - 1), ..., 1 of replaced parts.
    """
    if sizes is None:
        sizes = torch.full((len(targets),), ranks[0].numel())
    counts = (fractions() * sizes.cpu()[:, None]).round().long().to(ranks.device)
    counts = counts.view(*counts.shape, *[1] * (ranks.ndim - 1))
    rows = []
    for target, first, last, rank, count, *rest in _chunks(targets, start, end, ranks, counts, *extra):
        mixed = (torch.where(rank < few, last, first) for few in count.unbind(1))
        rows.append(torch.stack([_pick(model(one, *rest).softmax(1), target) for one in mixed], dim=1))
    return torch.cat(rows)


def _chunks(*parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(part, BATCH) for part in parts), strict=True)


def fractions() -> Tensor:
    """(T,): the shares of the parts at which curves are measured."""
    return torch.linspace(0, 1, POINTS)


def area(curves: Tensor) -> float:
    """Area under the mean of (N, T) curves, by the trapezoidal rule: in [0, 1] for probabilities.

    >>> area(torch.tensor([[0.0, 0.5, 1.0]]))
    0.5
    """
    return torch.trapezoid(curves.double().mean(0), dx=1 / (curves.shape[1] - 1)).item()


def infidelity(
    model: nn.Module, images: Tensor, baselines: Tensor, targets: Tensor, maps: Tensor, seed: int, *extra: Tensor
) -> float:
    """`removal_error` of squares of an image, the same squares for all.

    Args:
        model: (N, C, H, W) and what is in `extra` -> (N, K) logits.
        images, baselines: (N, C, H, W).
        targets: (N,) int64.
        maps: (N, H, W).
        seed: of the squares.
        extra: (N, ...) each.
    """

    def logits(masks: Tensor, images: Tensor, baselines: Tensor, *extra: Tensor) -> Tensor:
        outputs: Tensor = model(baselines + masks * (images - baselines), *extra)
        return outputs

    squares = random_squares(maps.shape[1], maps.shape[2], seed)[:, None]
    removed = squares.expand(len(images), *squares.shape)
    return removal_error(logits, targets, maps[:, None], removed, images, baselines, *extra)


def removal_error(logits: Logits, targets: Tensor, maps: Tensor, removed: Tensor, *inputs: Tensor) -> float:
    """How badly a map predicts what removing parts does to the logit, as a mean square over removals and inputs.

    Captum's infidelity (Yeh et al. 2019, arXiv:1901.09392) with their square removal, over a mask of the parts, so
    that maps of all methods are judged alike. Each map is scaled to its best fit first (their normalisation), since
    only gradients have the unit of the logit. Divided by the error of a map of zeros it is a share: 0 predicts
    exactly, 1 says nothing.

    Args:
        logits: masks (M, ...), 1 where a part is kept and 0 where it is removed, and rows of `inputs` -> (M, K).
        targets: (N,) int64.
        maps: (N, ...) float.
        removed: (N, P, ...) bool, what is removed at once.
        inputs: (N, ...) each.
    """
    count = removed.shape[1]
    errors = []
    for rows in torch.split(torch.arange(len(maps)), BATCH // count):
        sets = removed[rows].flatten(0, 1).to(maps)
        error = metrics.infidelity(
            logits,
            _remover(sets),
            torch.ones_like(maps[rows]),
            maps[rows],
            additional_forward_args=tuple(part[rows] for part in inputs),
            target=targets[rows],
            n_perturb_samples=count,
            normalize=True,
        )
        errors.append(error.double())
    return torch.cat(errors).mean().item()


def _remover(sets: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def remove(masks: Tensor) -> tuple[Tensor, Tensor]:
        return sets, masks - sets

    return remove


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
    explain: Callable[..., Tensor], images: Tensor, baselines: Tensor, targets: Tensor, seed: int, *extra: Tensor
) -> float:
    """Largest relative change of a map under noise that one hardly sees, mean over images: lower is better.

    Captum's max-sensitivity (Yeh et al. 2019, arXiv:1901.09392). Every image meets the same noise.

    Args:
        explain: (images, baselines, targets, *extra) -> (N, H, W) maps.
        images, baselines: (N, C, H, W) float in [0, 1].
        targets: (N,) int64.
        seed: of the noise.
        extra: (N, ...) each.
    """

    drawn = torch.rand(NOISES, *images.shape[1:], generator=generator(seed, "noise"))
    noise = ((2 * drawn - 1) * NOISE_RADIUS).to(images)
    chunks = zip(*(torch.split(part, BATCH // NOISES) for part in (images, baselines, targets, *extra)), strict=True)
    changes = [_largest_changes(explain, noise, *chunk) for chunk in chunks]
    return torch.cat(changes).mean().item()


def _largest_changes(explain: Callable[..., Tensor], noise: Tensor, images: Tensor, *beside: Tensor) -> Tensor:
    def maps(inputs: Tensor | tuple[Tensor]) -> tuple[Tensor]:
        pictures = inputs[0] if isinstance(inputs, tuple) else inputs  # Captum passes both
        times = len(pictures) // len(images)
        return (explain(pictures, *(part.repeat_interleave(times, 0) for part in beside)),)

    def disturb(pictures: Tensor) -> Tensor:
        return (pictures + noise.repeat(len(images), 1, 1, 1)).clamp(0, 1)

    largest: Tensor = metrics.sensitivity_max(maps, images, perturb_func=disturb, n_perturb_samples=len(noise))
    return largest


def similarity(maps: Tensor, others: Tensor) -> float:
    """Spearman's rank correlation of the mass of two sets of (N, ...) maps, mean over inputs; in [-1, 1].

    Adebayo et al. 2018 (arXiv:1810.03292) compare so with the maps of a weight-randomised model: a method that shows
    the same there shows the input and not the model. Of the mass, which is what the eye sees: signs alone turn
    random with the weights. A map of one value throughout has no order: 0.

    >>> maps = torch.rand(2, 8, 8)
    >>> round(similarity(maps, -maps), 6)
    1.0
    """
    ranks = (torch.from_numpy(rankdata(part.abs().flatten(1).cpu().numpy(), axis=1)) for part in (maps, others))
    first, second = (rank - rank.mean(dim=1, keepdim=True) for rank in ranks)
    return F.cosine_similarity(first, second, dim=1).mean().item()


@torch.no_grad()
def randomise(model: M, inputs: Tensor, seed: int, *extra: Tensor) -> M:
    """A copy of a model that knows nothing: the entries of every parameter are shuffled.

    Shuffled rather than initialised again (Adebayo et al. 2018 do the latter): it needs no knowledge of the layers and
    keeps the size of the signals, which a default initialisation lets fade, so what is gone is what was learned and
    nothing else. Batch norm takes its statistics anew from the inputs: those of the trained net would blow up the
    channels that hardly varied there.

    Args:
        model: any, in eval mode; it stays as it is.
        inputs: (N, ...), N > 1 where there is batch norm.
        seed: of the shuffling.
        extra: (N, ...) each, what the model takes beside the inputs.
    """
    copied = copy.deepcopy(model)
    draws = generator(seed, "randomise")
    for weights in copied.parameters():
        order = torch.randperm(weights.numel(), generator=draws).to(weights.device)
        weights.copy_(weights.flatten()[order].view_as(weights))
    with torch.random.fork_rng([inputs.device] if inputs.is_cuda else []):  # of dropout, while statistics are taken
        update_bn([inputs[:BATCH]], _Beside(copied, [part[:BATCH] for part in extra]).train(copied.training))
    return copied


class _Beside(nn.Module):
    """A model that is given all but its first input beforehand: update_bn hands over one."""

    def __init__(self, model: nn.Module, extra: list[Tensor]) -> None:
        super().__init__()
        self.model, self.extra = model, extra

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs, *self.extra)
        return outputs


def localisation(maps: Tensor, evidence: Tensor) -> float:
    """Share of a map's mass that lies inside the evidence, mean over the inputs that have any; in [0, 1].

    The energy-based pointing game (Wang et al. 2020, arXiv:1910.01279), over |values|. A map of zeros has none inside.

    Args:
        maps: (N, ...).
        evidence: (N, ...) bool, somewhere true.

    >>> localisation(torch.tensor([[[3.0, -1.0]]]), torch.tensor([[[False, True]]]))
    0.25
    """
    marked = evidence.flatten(1).any(1)
    mass, inside = maps[marked].abs().flatten(1), evidence[marked].flatten(1)
    return _ratio((mass * inside).sum(1), mass.sum(1)).mean().item()
