"""Inputs made of parts, the score that is explained, and tests of attributions. Independent of the kind of data.

An input is P removable parts: pixels, words, items of a history. A `Scene` says what an input looks like with some
parts removed, a project which score of its model is explained (`Value`). An attribution is a map, a float for each
part: how much the part raises the score. A map's mass is its absolute value: a part that lowers the score is used too.

N questions, P most parts of an input, M presentations, S sets of parts, T points of a curve.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, Self

import torch
from scipy.stats import rankdata  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from shared.data.batches import Batch
from shared.data.draws import generator

POINTS = 11  # of a curve: every tenth of the parts
SETS = 10  # of parts removed at once, to measure infidelity
SET_SHARES = 1 / 8, 1 / 4  # of the parts: with larger sets any positive map scores well
ROBUST_QUANTILE = 0.99  # of |attribution|: so that one extreme part does not dim all others

Value = Callable[[nn.Module, Batch], Tensor]  # (model, presentations) -> (M,) float, one per presentation
Keep = Callable[[Tensor], Tensor]  # positions (m,) -> (m, P) bool: which parts are kept there
Link = Literal["probability", "share"]


class Scene(Protocol):
    """N questions, each about an input of sizes[n] parts. All batches are plain dicts of tensors (M, ...).

    Optional methods: `groups(row) -> (G, sizes[row]) bool`, parts of one question that occlusion
    removes together, which may overlap; `removals(seed) -> (N, S, P) bool`, random sets of parts that suit infidelity.
    """

    @property
    def sizes(self) -> Tensor:
        """(N,) int64 on the CPU."""

    @property
    def evidence(self) -> Tensor | None:
        """(N, P) bool, the parts that decide, P at least max(sizes); None if the data has no evidence."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Self: ...

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        """Questions rows (M,) with the parts kept (M, P) bool and the others removed, and the questions' own fields."""

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        """Positions in rows (M,), cut into what fits into memory at once, gradients included."""


@dataclass(frozen=True)
class FieldScene:
    """Questions that a batch of tensors holds: rows of a table, points, items of a history.

    Args:
        fields: name -> (N, ...): what the model reads, and what the value takes besides.
        inside: (N, P) bool, which parts a question has: the first ones.
        remove: fields of M questions, kept (M, P) bool on their device -> the batch without the other parts.
        evidence: (N, P) bool on the CPU, the parts that truly decide; None where the data does not say.
        at_once: presentations that go through the network at once.
    """

    fields: Batch
    inside: Tensor
    remove: Callable[[Batch, Tensor], Batch]
    evidence: Tensor | None = None
    at_once: int = 256

    def __len__(self) -> int:
        return len(self.inside)

    def __getitem__(self, rows: Tensor) -> Self:
        inside, evidence = self.inside[rows.to(self.inside.device)], self.evidence
        evidence = None if evidence is None else evidence[rows]
        return replace(self, fields=select_fields(self.fields, rows), inside=inside, evidence=evidence)

    @property
    def sizes(self) -> Tensor:
        return self.inside.sum(1).cpu()

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        yield from torch.arange(len(rows)).split(self.at_once)  # type: ignore[no-untyped-call]

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        return self.remove(select_fields(self.fields, rows), kept.to(self.inside.device))


@dataclass(frozen=True)
class Subject:
    """What is explained: the value of a model, for the questions of a scene.

    Args:
        model: in eval mode.
        num_parts: P, at least the scene's largest size. Maps of parts of the scene keep this width.
    """

    model: nn.Module
    scene: Scene
    value: Value
    num_parts: int

    def __len__(self) -> int:
        return len(self.scene)

    def __getitem__(self, rows: Tensor) -> "Subject":
        return replace(self, scene=self.scene[rows])

    @property
    def rows(self) -> Tensor:
        """(N,) int64: all questions."""
        return torch.arange(len(self))

    @property
    def inside(self) -> Tensor:
        """(N, P) bool: which parts a question has."""
        return torch.arange(self.num_parts) < self.scene.sizes[:, None]

    @cached_property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def score(self, batch: Batch) -> Tensor:
        """(M,) float: the value, on the model's device."""
        return self.value(self.model, self.on_device(batch))

    def on_device(self, batch: Batch) -> Batch:
        return {name: part.to(self.device) for name, part in batch.items()}

    @torch.no_grad()
    def values(self, rows: Tensor, keep: Keep) -> Tensor:
        """(M,) float on the CPU: the value of questions rows (M,) with parts removed, a chunk at a time."""
        found = torch.zeros(len(rows))
        for some in self.scene.chunks(rows) if len(rows) else ():
            found[some] = self.score(self.scene.present(rows[some], keep(some))).to(found)
        return found

    @cached_property
    def full(self) -> Tensor:
        """(N,) values with all parts."""
        return self.values(self.rows, lambda at: torch.ones(len(at), self.num_parts, dtype=torch.bool))

    @cached_property
    def empty(self) -> Tensor:
        """(N,) values without any."""
        return self.values(self.rows, lambda at: torch.zeros(len(at), self.num_parts, dtype=torch.bool))

    @property
    def change(self) -> Tensor:
        """(N,): what the values of a complete attribution add up to."""
        return self.full - self.empty


def log_odds(logits: Tensor, target: Tensor) -> Tensor:
    """The score of a class: (M, K) logits, (M,) int64 -> (M,). Its sigmoid is the class's probability.

    Unlike the logit it ignores what raises all classes alike, and unlike the probability it does not saturate.

    >>> log_odds(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0])).sigmoid()
    tensor([0.7870])
    """
    others = logits.scatter(1, target[:, None], -torch.inf)
    return logits.gather(1, target[:, None])[:, 0] - others.logsumexp(1)


# --- random attributions, models and sets ---------------------------------------------------------------------------


def random_maps(inside: Tensor, seed: int) -> Tensor:
    """(N, P) uniform in [0, 1), 0 outside: a random attribution as a baseline."""
    return torch.rand(inside.shape, generator=generator(seed, "random maps")) * inside


def random_sets(inside: Tensor, seed: int) -> Tensor:
    """(N, P) -> (N, S, P) bool: random parts, an eighth to a quarter of a question's, at least one."""
    low, high = SET_SHARES
    draws = generator(seed, "sets")
    share = low + (high - low) * torch.rand(len(inside), SETS, generator=draws)
    order = torch.rand(len(inside), SETS, inside.shape[1], generator=draws).masked_fill(~inside[:, None], 2)
    counts = (share * inside.sum(1, keepdim=True)).round().clamp_min(1)
    return (order.argsort(2).argsort(2) < counts[..., None]) & inside[:, None]


@torch.no_grad()
def randomise(subject: Subject, seed: int) -> Subject:
    """The same with a copy of the model in which the entries of every parameter are shuffled.

    Shuffled rather than initialised again (Adebayo et al. 2018, arXiv:1810.03292, do the latter): it needs no knowledge
    of the layers and keeps the size of the signals, so only what was learned is lost. Batch norm
    takes its statistics anew from a batch of full inputs: those of the trained net would amplify channels that
    hardly varied there.
    """
    copied = copy.deepcopy(subject.model)
    draws = generator(seed, "randomise")
    for weights in copied.parameters():
        order = torch.randperm(weights.numel(), generator=draws).to(weights.device)
        weights.copy_(weights.flatten()[order].view_as(weights))
    found = replace(subject, model=copied)
    norms = [module for module in copied.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if norms:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
            norm.train()
        rows = next(iter(subject.scene.chunks(subject.rows)))
        kept = torch.ones(len(rows), subject.num_parts, dtype=torch.bool)
        found.score(subject.scene.present(rows, kept))
        for norm in norms:
            norm.eval()
    return found


# --- figures of attributions, one per question ----------------------------------------------------------------------


def removal_ranks(maps: Tensor, inside: Tensor, seed: int) -> Tensor:
    """(N, P) -> (N, P) int64: 0 at the part that raises the value most; parts outside come last.

    Equal values are put in a random order: the order of the parts would be a bias.
    """
    mixed = torch.rand(maps.shape[1], generator=generator(seed, "ties")).argsort()
    ordered = maps.masked_fill(~inside, -torch.inf)[:, mixed].argsort(dim=1, descending=True, stable=True)
    return mixed[ordered].argsort(1)


def fractions() -> Tensor:
    """(T,): the shares of the parts at which curves are measured."""
    return torch.linspace(0, 1, POINTS)


def curves(subject: Subject, maps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421): values while parts are removed, or put in.

    Both begin with the parts that the maps (N, P) say raise the value most.

    Returns:
        (N, T) values each, at the fractions 0, 1 / (T - 1), ..., 1 of the parts.
    """
    ranks = removal_ranks(maps, subject.inside, seed)
    counts = (fractions() * subject.scene.sizes[:, None]).round().long()
    asked = torch.stack([subject.rows[:, None].expand_as(counts), counts], 2).flatten(0, 1)
    unique, places = torch.unique(asked, dim=0, return_inverse=True)  # small inputs have fewer steps than points
    row, count = unique.unbind(1)
    deletion, insertion = (
        _replaced(subject, ranks, row, count, deleting)[places].view_as(counts) for deleting in (True, False)
    )
    return deletion, insertion


def _replaced(subject: Subject, ranks: Tensor, row: Tensor, count: Tensor, deleting: bool) -> Tensor:
    """(M,) values of questions row (M,) whose first count (M,) parts are removed, or are all there is."""
    start, end = (subject.full, subject.empty) if deleting else (subject.empty, subject.full)
    found = torch.where(count == 0, start[row], end[row])
    between = (count > 0) & (count < subject.scene.sizes[row])
    row, count = row[between], count[between]
    found[between] = subject.values(row, lambda at: (ranks[row[at]] < count[at, None]) ^ deleting)
    return found


def linked(values: Tensor, full: Tensor, empty: Tensor, link: Link) -> Tensor:
    """(N, T) values -> (N, T) in [0, 1]: probabilities of log-odds, or shares of the way from empty to full (N,)."""
    if link == "probability":
        return values.sigmoid()
    return ratio(values - empty[:, None], (full - empty)[:, None]).clamp(0, 1)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 for 0 / 0, as of a map of zeros."""
    return part / torch.where(whole == 0, 1, whole)


def area(curve: Tensor) -> Tensor:
    """(N, T) -> (N,) area under each curve, by the trapezoidal rule: in [0, 1] for probabilities.

    >>> area(torch.tensor([[0.0, 0.5, 1.0]]))
    tensor([0.5000], dtype=torch.float64)
    """
    return torch.trapezoid(curve.double(), dx=1 / (curve.shape[1] - 1))


def removal_effects(subject: Subject, sets: Tensor) -> Tensor:
    """(N, S): by how much the value falls when the parts of sets (N, S, P) bool are removed. The same for all maps."""
    count = sets.shape[1]
    rows = subject.rows.repeat_interleave(count)
    values = subject.values(rows, lambda at: ~sets[rows[at], at % count])
    return subject.full[:, None] - values.view(-1, count)


def infidelity(maps: Tensor, sets: Tensor, effects: Tensor) -> Tensor:
    """(N,) in [0, 1]: share of the effects' mean square that a map does not predict; 0 is exact, 1 an empty map.

    Infidelity of Yeh et al. 2019 (arXiv:1901.09392), divided by that of a map of zeros. A map is scaled to its best fit
    first (their normalisation), since only gradients have the unit of the score, but not by a negative number: a map
    that points the wrong way predicts nothing.

    Args:
        maps: (N, P) float.
        sets: (N, S, P) bool.
        effects: (N, S) float, from `removal_effects`.
    """
    predicted = torch.stack([some.to(one) @ one for some, one in zip(sets, maps, strict=True)]).double()
    effects = effects.double()
    scale = ratio((predicted * effects).sum(1), predicted.square().sum(1)).clamp_min(0)
    missed = (scale[:, None] * predicted - effects).square().sum(1)
    return ratio(missed, effects.square().sum(1))


def completeness(maps: Tensor, change: Tensor) -> Tensor:
    """(N,): |sum of a map - change (N,) of the value| / mean |change| (arXiv:1703.01365).

    Divided by the mean over all questions, since the change of a single one may be close to 0.

    >>> completeness(torch.tensor([[1.0, 0.5], [-2.0, -0.5]]), torch.tensor([1.0, -3.0]))
    tensor([0.2500, 0.2500])
    """
    return ratio((maps.sum(1) - change).abs(), change.abs().mean())


def similarity(maps: Tensor, others: Tensor, inside: Tensor) -> Tensor:
    """(N,) in [-1, 1]: Spearman's rank correlation of the mass of two sets of maps (N, P).

    Adebayo et al. 2018 (arXiv:1810.03292) compare with the maps of a weight-randomised model: a method whose maps
    do not change shows the input and not the model. Of the mass, which is what one sees: signs alone become random
    with the weights. A constant map has no order: 0.
    """
    found = []
    for one, other, parts in zip(maps, others, inside, strict=True):
        ranks = (torch.from_numpy(rankdata(map_[parts].abs().numpy())) for map_ in (one, other))
        first, second = (rank - rank.mean() for rank in ranks)
        found.append(F.cosine_similarity(first, second, dim=0))
    return torch.stack(found)


def localisation(maps: Tensor, evidence: Tensor) -> Tensor:
    """(N,) in [0, 1]: share of a map's mass that lies on the evidence (N, P) bool. 0 for a map of zeros.

    The energy-based pointing game (Wang et al. 2020, arXiv:1910.01279), over |values|.

    >>> localisation(torch.tensor([[3.0, -1.0]]), torch.tensor([[False, True]]))
    tensor([0.2500])
    """
    mass = maps.abs()
    return ratio((mass * evidence).sum(1), mass.sum(1))


def robust_scale(values: Tensor) -> Tensor:
    """One map (...) -> the same in [-1, 1]: divided by the 99th percentile of its mass; zero stays zero."""
    mass = values.double().abs().flatten()
    scale = mass.quantile(ROBUST_QUANTILE).item() or mass.max().item() or 1.0
    return (values.double() / scale).clamp(-1, 1)


def select_fields(fields: Mapping[str, Tensor], rows: Tensor) -> Batch:
    """The rows (M,) of each field (N, ...)."""
    return {name: field[rows.to(field.device)] for name, field in fields.items()}
