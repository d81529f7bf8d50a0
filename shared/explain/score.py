"""Every figure of an attribution that can be tested, for inputs of any kind and a model's targets.

N inputs, P parts of an input that are removed one by one (pixels, words), T points of a curve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from shared.explain import faithfulness
from shared.explain.attribution import Method

PROBED = 20  # scored inputs for infidelity and sensitivity: ten and four more attributions' worth of work for each
DIGITS = 4
RANDOM = "random"

Metrics = dict[str, float]


@dataclass(frozen=True)
class Curves:
    """(N, T) probabilities of the target each."""

    deletion: Tensor
    insertion: Tensor

    def scores(self) -> Metrics:
        return {
            "deletion_score": 1 - faithfulness.area(self.deletion),
            "insertion_score": faithfulness.area(self.insertion),
        }


class Explained(NamedTuple):
    """maps: (N, ...) float, a value a part; delta: (N,) float, by how much they miss the change of the output."""

    maps: Tensor
    delta: Tensor | None


class Scene(Protocol):
    """N inputs with their baselines, and the target that is asked about of each. Models are of the kind that suits.

    Args:
        evidence: (N, ...) bool, the parts that truly decide, or None.
    """

    @property
    def evidence(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Tensor) -> Self: ...

    def random_maps(self, seed: int) -> Tensor:
        """(N, ...) float: what knows nothing says of the parts."""

    def curves(self, model: Any, maps: Tensor, seed: int) -> Curves:
        """Deletion and insertion in the order of the maps (N, ...)."""

    def infidelity(self, model: Any, maps: Tensor, seed: int) -> float:
        """In squared logits."""

    def completeness(self, model: Any, delta: Tensor) -> Metrics:
        """Of delta (N,), by how much the values miss the change of the output."""

    def similarity(self, maps: Tensor, others: Tensor) -> float:
        """Rank correlation of the mass of two sets of maps (N, ...)."""


S = TypeVar("S", bound=Scene)


class Explainer(Protocol[S]):
    """`explainer(method, scene)`: the attribution of one model's targets, by any method."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def seed(self) -> int: ...

    def __call__(self, method: str, scene: S) -> Explained: ...

    def of_randomised(self, scene: S, count: int) -> "Sequence[Explainer[S]]":
        """The same for models that know nothing."""

    def sensitivity(self, method: str, scene: S) -> Metrics:
        """How the attribution moves with the input; empty where no change of an input is small."""


def score_all(
    explainer: Explainer[S], scene: S, methods: list[str], num_randomised: int
) -> tuple[dict[str, Any], dict[str, Curves]]:
    """metrics.json, and the curves of every method and of the random order."""
    randomised = explainer.of_randomised(scene, num_randomised)
    nothing = torch.zeros_like(scene.random_maps(explainer.seed))
    silent = (
        infidelity(explainer.model, scene, nothing, explainer.seed) or 1.0
    )  # no removal changes any logit: no error
    scores = {method: score(method, explainer, randomised, scene, silent) for method in methods}
    random_metrics, random_curves = score_random(explainer.model, scene, explainer.seed, silent)
    metrics = {method: rounded(own | random_metrics) for method, (own, _) in scores.items()}
    counts = {"num_samples": len(scene), "num_probed": min(PROBED, len(scene))}
    return counts | metrics, {method: pair for method, (_, pair) in scores.items()} | {RANDOM: random_curves}


def score(
    method: str, explainer: Explainer[S], randomised: Sequence[Explainer[S]], scene: S, silent: float
) -> tuple[Metrics, Curves]:
    """All figures of one method but those of the random attribution, and its curves.

    Args:
        silent: infidelity of a map of zeros, which makes infidelity a share.
    """
    model, seed = explainer.model, explainer.seed
    maps, delta = explainer(method, scene)
    others = [other(method, scene).maps for other in randomised]
    measured = scene.curves(model, maps, seed)
    metrics = evidence_score(scene, maps) | suffixed(evidence_score(scene, *others), "randomised") | measured.scores()
    metrics |= {"infidelity_error": infidelity(model, scene, maps, seed) / silent}
    metrics |= explainer.sensitivity(method, scene[:PROBED])
    if delta is not None:
        metrics |= scene.completeness(model, delta)
    metrics["randomised_similarity"] = float(np.mean([scene.similarity(maps, other) for other in others]))
    return metrics, measured


def score_random(model: nn.Module, scene: Scene, seed: int, silent: float) -> tuple[Metrics, Curves]:
    """The figures of an attribution that knows nothing, and its curves."""
    maps = scene.random_maps(seed)
    measured = scene.curves(model, maps, seed)
    metrics = evidence_score(scene, maps) | measured.scores()
    metrics |= {"infidelity_error": infidelity(model, scene, maps, seed) / silent}
    return suffixed(metrics, RANDOM), measured


def infidelity(model: nn.Module, scene: Scene, maps: Tensor, seed: int) -> float:
    """Of the first inputs, in squared logits."""
    return scene[:PROBED].infidelity(model, maps[:PROBED], seed)


def evidence_score(scene: Scene, *sets: Tensor) -> Metrics:
    """Mean over sets of maps (N, ...); nothing where the data has no evidence."""
    if scene.evidence is None:
        return {}
    shares = [faithfulness.localisation(maps, scene.evidence) for maps in sets]
    return {"evidence_score": float(np.mean(shares))}


def suffixed(metrics: Metrics, word: str) -> Metrics:
    return {f"{name}_{word}": value for name, value in metrics.items()}


def rounded(metrics: Metrics) -> Metrics:
    return {name: round(value, DIGITS) for name, value in metrics.items()}


def curve_lines(measured: dict[str, Curves]) -> list[str]:
    """The mean curves in long form, as DVC plots them."""
    lines = ["method\tcurve\tfraction\tprobability\torder"]
    for method, pair in measured.items():
        order = RANDOM if method == RANDOM else "attribution"
        for name in ("deletion", "insertion"):
            means = getattr(pair, name).double().mean(0).tolist()
            for fraction, mean in zip(faithfulness.fractions().tolist(), means, strict=True):
                lines.append(f"{method}\t{name}\t{fraction:.2f}\t{mean:.{DIGITS}f}\t{order}")
    return lines


def table(metrics: dict[str, Any], methods: Mapping[str, Method]) -> str:
    """The figures as aligned lines for the terminal, a column a method."""
    names = list(dict.fromkeys(name for method in methods for name in metrics[method]))
    lines = [" " * 28 + "".join(f"{row.title:>22}" for row in methods.values())]
    for name in names:
        cells = (f"{metrics[method][name]:.3f}" if name in metrics[method] else "-" for method in methods)
        lines.append(f"{name:28}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)
