"""Every figure of an attribution that can be tested, for images and a model's targets.

N images, C channels, H height, W width, T points of a curve.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.explain import faithfulness
from shared.explain.attribution import METHODS, Attribution, attribute
from shared.explain.params import ExplainImages
from shared.seed import derive

PROBED = 20  # scored images for infidelity and sensitivity: ten and four more attributions' worth of work for each
DIGITS = 4
RANDOM = "random"

Metrics = dict[str, float]


@dataclass(frozen=True)
class Scene:
    """Images and what is asked about them: images, baselines (N, C, H, W), targets (N,), evidence (N, H, W) or None."""

    images: Tensor
    baselines: Tensor
    targets: Tensor
    evidence: Tensor | None

    def __getitem__(self, rows: slice | Tensor) -> "Scene":
        evidence = None if self.evidence is None else self.evidence[rows]
        return Scene(self.images[rows], self.baselines[rows], self.targets[rows], evidence)


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


class Explainer:
    """`explainer(method, scene)`: the attribution of one model's targets, by any method."""

    def __init__(self, model: nn.Module, layer: str, seed: int) -> None:
        self.model, self.layer, self.seed = model, layer, seed

    def __call__(self, method: str, scene: Scene) -> Attribution:
        seed = derive(self.seed, "attribution")
        return attribute(
            method, self.model, scene.images, scene.targets, baselines=scene.baselines, layer=self.layer, seed=seed
        )

    def of_randomised(self, images: Tensor, count: int) -> "list[Explainer]":
        """The same for models that know nothing."""
        seeds = [derive(self.seed, "randomised", number) for number in range(count)]
        return [Explainer(faithfulness.randomise(self.model, images, seed), self.layer, self.seed) for seed in seeds]


def score_all(explainer: Explainer, scene: Scene, params: ExplainImages) -> tuple[dict[str, Any], dict[str, Curves]]:
    """metrics.json, and the curves of every method and of the random order."""
    randomised = explainer.of_randomised(scene.images, params.num_randomised)
    nothing = torch.zeros_like(scene.images[:, 0])
    silent = infidelity(explainer.model, scene, nothing, explainer.seed) or 1.0  # no square changes any logit: no error
    scores = {method: score(method, explainer, randomised, scene, silent) for method in params.methods}
    random_metrics, random_curves = score_random(explainer.model, scene, explainer.seed, silent)
    metrics = {method: rounded(own | random_metrics) for method, (own, _) in scores.items()}
    counts = {"num_samples": len(scene.images), "num_probed": min(PROBED, len(scene.images))}
    return counts | metrics, {method: pair for method, (_, pair) in scores.items()} | {RANDOM: random_curves}


def score(
    method: str, explainer: Explainer, randomised: list[Explainer], scene: Scene, silent: float
) -> tuple[Metrics, Curves]:
    """All figures of one method but those of the random attribution, and its curves.

    Args:
        silent: infidelity of a map of zeros, which makes infidelity a share.
    """
    model, seed = explainer.model, explainer.seed
    attribution = explainer(method, scene)
    maps, others = attribution.maps, [other(method, scene).maps for other in randomised]
    measured = curves(model, scene, maps, seed)
    metrics = evidence_score(scene, maps) | suffixed(evidence_score(scene, *others), "randomised") | measured.scores()
    metrics |= {"infidelity_error": infidelity(model, scene, maps, seed) / silent}
    metrics |= sensitivity(explainer, method, scene) | completeness(model, scene, attribution.delta)
    metrics["randomised_similarity"] = float(np.mean([faithfulness.similarity(maps, other) for other in others]))
    return metrics, measured


def score_random(model: nn.Module, scene: Scene, seed: int, silent: float) -> tuple[Metrics, Curves]:
    """The figures of an attribution that knows nothing, and its curves."""
    count, _, height, width = scene.images.shape
    maps = faithfulness.random_maps(count, height, width, seed).to(scene.images)
    measured = curves(model, scene, maps, seed)
    metrics = evidence_score(scene, maps) | measured.scores()
    metrics |= {"infidelity_error": infidelity(model, scene, maps, seed) / silent}
    return suffixed(metrics, RANDOM), measured


def curves(model: nn.Module, scene: Scene, maps: Tensor, seed: int) -> Curves:
    """Deletion and insertion in the order of the maps (N, H, W)."""
    ranks = faithfulness.removal_ranks(maps, seed)
    return Curves(
        faithfulness.curve(model, scene.targets, scene.images, scene.baselines, ranks),
        faithfulness.curve(model, scene.targets, scene.baselines, scene.images, ranks),
    )


def infidelity(model: nn.Module, scene: Scene, maps: Tensor, seed: int) -> float:
    """Of the first images, in squared logits."""
    probed = scene[:PROBED]
    return faithfulness.infidelity(model, probed.images, probed.baselines, probed.targets, maps[:PROBED], seed)


def sensitivity(explainer: Explainer, method: str, scene: Scene) -> Metrics:
    def maps(images: Tensor, baselines: Tensor, targets: Tensor) -> Tensor:
        return explainer(method, Scene(images, baselines, targets, None)).maps

    probed = scene[:PROBED]
    error = faithfulness.sensitivity(maps, probed.images, probed.baselines, probed.targets, explainer.seed)
    return {"sensitivity_error": error}


def completeness(model: nn.Module, scene: Scene, delta: Tensor | None) -> Metrics:
    if delta is None:
        return {}
    image, baseline = (
        faithfulness.target_logits(model, pictures, scene.targets) for pictures in (scene.images, scene.baselines)
    )
    return {"completeness_error": faithfulness.completeness(delta, image - baseline)}


def evidence_score(scene: Scene, *sets: Tensor) -> Metrics:
    """Mean over sets of maps (N, H, W); nothing where the data has no evidence."""
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


def table(metrics: dict[str, Any], methods: list[str]) -> str:
    """The figures as aligned lines for the terminal, a column a method."""
    names = list(dict.fromkeys(name for method in methods for name in metrics[method]))
    lines = [" " * 28 + "".join(f"{METHODS[method].title:>22}" for method in methods)]
    for name in names:
        cells = (f"{metrics[method][name]:.3f}" if name in metrics[method] else "-" for method in methods)
        lines.append(f"{name:28}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)
