"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.cifar_cnn.explain                                       # as params.yaml says
    python -m projects.cifar_cnn.explain 'explain.methods=[grad_cam]'          # this run only
    python -m projects.cifar_cnn.explain explain.num_scored=500                # closer figures, five times as long

What is explained is the logit of the class that the model predicts, right or wrong, against an image of one colour:
the mean of the image itself. Nothing can be seen in it, and it is as bright as the image; against one colour for all
images, a method spends its mass on how far the ground is from that colour.

metrics.json   num_samples images drawn from the test split, num_probed of them for infidelity and sensitivity
               (*_score: higher is better, *_error: lower), and for each method
    evidence_score          share of |attribution| inside the evidence; left out where the data has none
    deletion_score          1 - area under the target's probability while pixels are removed, the highest first
    insertion_score         area under the target's probability while pixels are shown, the highest first
    infidelity_error        of the change of the logit when squares are removed, what the map leaves unexplained
    sensitivity_error       largest relative change of the map under noise that one hardly sees
    completeness_error      what the sum of the values misses of the change of the logit, for methods that promise it
    randomised_similarity   rank correlation with the maps of weight-randomised models: a sane method changes
  *_random is the same figure of a random attribution, *_randomised that of the method on weight-randomised models,
  mean of num_randomised.
curves.tsv     method, curve (deletion, insertion), fraction of pixels, probability of the target, order
pictures/      one PNG a shown image and curves.png; index.json: id, true, predicted, probability, correct, file
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.data.arrays import Split, read_split
from shared.explain import faithfulness
from shared.explain.attribution import BATCH, METHODS, Attribution, attribute, find_method
from shared.explain.render import attribution_row, curves_plot
from shared.paths import Project
from shared.seed import derive
from shared.stage import run
from shared.training.device import pick_device
from shared.training.weights import write_atomic, write_json

from .data import to_float
from .model import load_model
from .params import Explain, Params

POOL = 2000  # test images, drawn, among which the wrongly classified ones are looked for
PROBED = 20  # scored images for infidelity and sensitivity: ten and four more attributions' worth of work for each
DIGITS = 4
RANDOM = "random"

Metrics = dict[str, float]
Fact = dict[str, Any]  # what index.json says of a shown image


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


def own_colour(images: Tensor) -> Tensor:
    """The baseline: every image's mean colour, (N, C, H, W)."""
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """(N, K) probabilities, in batches."""
    return torch.cat([model(batch).softmax(1) for batch in torch.split(images, BATCH)])


@torch.no_grad()
def last_map_layer(model: nn.Module, image: Tensor) -> str:
    """Name of the last module that still knows where things are: Grad-CAM looks at its channels.

    Args:
        model: (1, C, H, W) -> (1, K).
        image: (1, C, H, W).
    """
    names: list[str] = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                names.append(name)

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return names[-1]


def choose(correct: Tensor, params: Explain) -> tuple[Tensor, Tensor]:
    """Which images of the pool are scored and which are shown.

    Args:
        correct: (N,) bool, in random order.

    Returns:
        Rows of the scored; rows of the shown, wrongly classified ones first: half, or as many as there are.
    """
    wrong, right = (torch.nonzero(part)[:, 0] for part in (~correct, correct))
    num_wrong = min(len(wrong), max(params.num_shown // 2, params.num_shown - len(right)))
    shown = torch.cat([wrong[:num_wrong], right[: params.num_shown - num_wrong]])
    return torch.arange(min(params.num_scored, len(correct))), shown


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


def suffixed(metrics: Metrics, word: str) -> Metrics:
    return {f"{name}_{word}": value for name, value in metrics.items()}


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


def draw_curves(measured: dict[str, Curves]) -> bytes:
    named = {METHODS[name].title if name in METHODS else f"{name} order": pair for name, pair in measured.items()}
    panels = {
        f"{panel} (mean of {len(pair.deletion)} images)": {
            title: getattr(pair, panel).mean(0) for title, pair in named.items()
        }
        for panel in ("deletion", "insertion")
        for pair in [measured[RANDOM]]
    }
    return curves_plot(faithfulness.fractions(), panels, f"{RANDOM} order")


def describe(split: Split, samples: np.ndarray, probabilities: Tensor, classes: list[str]) -> list[Fact]:
    """id, true, predicted, probability, correct of the shown images."""
    tops = zip(*(part.tolist() for part in probabilities.max(1)), strict=True)
    return [
        {
            "id": split.ids[sample],
            "true": classes[split.labels[sample]],
            "predicted": classes[predicted],
            "probability": round(probability, DIGITS),
            "correct": bool(split.labels[sample] == predicted),
        }
        for sample, (probability, predicted) in zip(samples.tolist(), tops, strict=True)
    ]


def title_of(fact: Fact) -> str:
    verdict = "right" if fact["correct"] else "WRONG"
    return f"true: {fact['true']}   predicted: {fact['predicted']} ({fact['probability']:.0%}), {verdict}"


def draw_shown(folder: Path, explainer: Explainer, scene: Scene, methods: list[str], facts: list[Fact]) -> None:
    """A picture an image, and index.json."""
    maps = {name: explainer(name, scene).maps for name in methods}
    for row, fact in enumerate(facts):
        panels = {METHODS[name].title: maps[name][row] for name in methods}
        evidence = None if scene.evidence is None else scene.evidence[row]
        fact["file"] = f"{row:02}.png"
        (folder / fact["file"]).write_bytes(attribution_row(scene.images[row], panels, evidence, title_of(fact)))
    write_json(folder / "index.json", facts)


def load_pool(split: Split, seed: int, device: torch.device) -> tuple[np.ndarray, Tensor, Tensor | None]:
    """Test images in random order: their indices in the split, images on the device, evidence if any."""
    samples = np.random.default_rng(derive(seed, "pool")).permutation(len(split))[:POOL]
    evidence = None if split.evidence is None else torch.from_numpy(split.evidence[samples]).to(device)
    if evidence is not None and not evidence.any():
        evidence = None
    return samples, to_float(torch.from_numpy(split.images[samples]).to(device)), evidence


def rounded(metrics: Metrics) -> Metrics:
    return {name: round(value, DIGITS) for name, value in metrics.items()}


def table(metrics: dict[str, Any], methods: list[str]) -> str:
    """The figures as aligned lines for the terminal, a column a method."""
    names = list(dict.fromkeys(name for method in methods for name in metrics[method]))
    lines = [" " * 28 + "".join(f"{METHODS[method].title:>22}" for method in methods)]
    for name in names:
        cells = (f"{metrics[method][name]:.3f}" if name in metrics[method] else "-" for method in methods)
        lines.append(f"{name:28}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def main(params: Params) -> None:
    project, chosen = Project.of(__file__), params.explain
    for method in chosen.methods:
        find_method(method)
    device = pick_device(params.runtime.device)
    model, config = load_model(project.results("train"), f"dvc repro projects/{project.name}")
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    split = read_split(project.prepared, "test", mapped=True)
    samples, images, evidence = load_pool(split, chosen.seed, device)
    probabilities = predict(model, images)
    pool = Scene(images, own_colour(images), probabilities.argmax(1), evidence)
    correct = pool.targets.cpu() == torch.from_numpy(split.labels[samples])
    scored, shown = choose(correct, chosen)
    explainer = Explainer(model, last_map_layer(model, images[:1]), chosen.seed)

    metrics, measured = score_all(explainer, pool[scored], chosen)
    facts = describe(split, samples[shown.numpy()], probabilities[shown.to(device)], config["classes"])
    write(project.results("explain"), metrics, measured, chosen, explainer, pool[shown.to(device)], facts)
    print(table(metrics, chosen.methods))
    print(
        f"{len(scored)} images scored; shown: {len(facts)}, {sum(not fact['correct'] for fact in facts)} of them wrong"
    )


def score_all(explainer: Explainer, scene: Scene, params: Explain) -> tuple[dict[str, Any], dict[str, Curves]]:
    """metrics.json, and the curves of every method and of the random order."""
    randomised = explainer.of_randomised(scene.images, params.num_randomised)
    nothing = torch.zeros_like(scene.images[:, 0])
    silent = infidelity(explainer.model, scene, nothing, explainer.seed) or 1.0  # no square changes any logit: no error
    scores = {method: score(method, explainer, randomised, scene, silent) for method in params.methods}
    random_metrics, random_curves = score_random(explainer.model, scene, explainer.seed, silent)
    metrics = {method: rounded(own | random_metrics) for method, (own, _) in scores.items()}
    counts = {"num_samples": len(scene.images), "num_probed": min(PROBED, len(scene.images))}
    return counts | metrics, {method: pair for method, (_, pair) in scores.items()} | {RANDOM: random_curves}


def write(
    results: Path,
    metrics: dict[str, Any],
    measured: dict[str, Curves],
    params: Explain,
    explainer: Explainer,
    shown: Scene,
    facts: list[Fact],
) -> None:
    """All files of the stage: the pictures by one rename once all are there, metrics.json last."""
    pictures = results / "pictures"
    temporary = pictures.with_name(".pictures.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        draw_shown(temporary, explainer, shown, params.methods, facts)
        (temporary / "curves.png").write_bytes(draw_curves(measured))
        shutil.rmtree(pictures, ignore_errors=True)
        temporary.rename(pictures)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_atomic(results / "curves.tsv", ("\n".join(curve_lines(measured)) + "\n").encode())
    write_json(results / "metrics.json", metrics)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
