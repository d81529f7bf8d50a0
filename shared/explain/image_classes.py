"""What an image classifier looks at: the files of the explain stage, for every such project.

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

N images, C channels, H height, W width, K classes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.files import replace_folder, write_atomic, write_json
from shared.core.sections import Explain
from shared.data.arrays import Split
from shared.explain import faithfulness
from shared.explain.attribution import BATCH, METHODS, Method, find_method
from shared.explain.choose import choose, draw
from shared.explain.image_score import ImageExplainer, ImageScene
from shared.explain.render import attribution_row, curves_plot
from shared.explain.score import DIGITS, RANDOM, Curves, curve_lines, score_all, table

Fact = dict[str, Any]  # what index.json says of a shown image


def explain(
    model: nn.Module,
    split: Split,
    classes: list[str],
    *,
    to_float: Callable[[Tensor], Tensor],
    baseline: Callable[[Tensor], Tensor],
    params: Explain,
    results: Path,
    extra: tuple[Tensor, ...] = (),
    note: str = "",
) -> None:
    """Attributes what the model predicts of test images, tests the attributions, writes all files of the stage.

    Args:
        model: in eval mode, on the device that computes; (N, C, H, W) float and what is in `extra` -> (N, K) logits.
        split: the test images.
        classes: K names.
        to_float: uint8 images -> what the model takes.
        baseline: float images -> the images (N, C, H, W) in which nothing is to be seen.
        results: folder to write to.
        extra: (N, ...) each, of the test images: what the model takes beside them.
        note: what who looks at the pictures must know.

    Raises:
        UserError: params name an unknown method.
    """
    methods = {name: find_method(name) for name in params.methods}
    device = next(model.parameters()).device
    samples, pixels, evidence = _draw_pool(split, params.seed, device)
    images, beside = to_float(pixels), tuple(part[samples].to(device) for part in extra)
    probabilities = predict(model, images, *beside)
    pool = ImageScene(images, baseline(images), probabilities.argmax(1), evidence, beside)
    correct = pool.targets.cpu() == torch.from_numpy(split.labels[samples])
    scored, shown = choose(correct, params)
    explainer = ImageExplainer(model, last_map_layer(model, *(part[:1] for part in (images, *beside))), params.seed)
    if not explainer.layer:
        methods = _without_maps(methods)

    metrics, measured = score_all(explainer, pool[scored], list(methods), params.num_randomised)
    facts = describe(split, samples[shown.numpy()], probabilities[shown.to(device)], classes)
    with replace_folder(results / "pictures") as folder:
        draw_shown(folder, explainer, pool[shown.to(device)], list(methods), facts)
        (folder / "curves.png").write_bytes(draw_curves(measured))
    write_atomic(results / "curves.tsv", ("\n".join(curve_lines(measured)) + "\n").encode())
    write_json(results / "metrics.json", metrics | ({"note": note} if note else {}))
    print(table(metrics, methods))
    wrong = sum(not fact["correct"] for fact in facts)
    print(f"{len(scored)} images scored; shown: {len(facts)}, {wrong} of them wrong")


def _without_maps(methods: dict[str, Method]) -> dict[str, Method]:
    """The methods that suit a network without convolutions. Raises UserError where none is left."""
    kept = {name: method for name, method in methods.items() if not method.needs_map}
    left_out = ", ".join(name for name in methods if name not in kept)
    if not kept:
        raise UserError(f"explain.methods: no layer of this network suits {left_out}", expected=", ".join(METHODS))
    if left_out:
        print(f"explain: without {left_out}: no layer of this network knows where things are")
    return kept


def _draw_pool(split: Split, seed: int, device: torch.device) -> tuple[np.ndarray, Tensor, Tensor | None]:
    """Test images in random order: their indices in the split, uint8 on the device, evidence if any."""
    samples = draw(len(split), seed)
    evidence = None if split.evidence is None else torch.from_numpy(split.evidence[samples]).to(device)
    if evidence is not None and not evidence.any():
        evidence = None
    return samples, torch.from_numpy(split.images[samples]).to(device), evidence


@torch.no_grad()
def predict(model: nn.Module, *inputs: Tensor) -> Tensor:
    """(N, K) probabilities, in batches: of images and what the model takes beside them."""
    batches = zip(*(torch.split(part, BATCH) for part in inputs), strict=True)
    return torch.cat([model(*batch).softmax(1) for batch in batches])


@torch.no_grad()
def last_map_layer(model: nn.Module, image: Tensor, *extra: Tensor) -> str:
    """Name of the last module that still knows where things are: Grad-CAM looks at its channels. "" if there is none.

    Args:
        model: (1, C, H, W) -> (1, K).
        image: (1, C, H, W).
        extra: (1, ...) each.
    """
    names: list[str] = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                names.append(name)

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        model(image, *extra)
    finally:
        for hook in hooks:
            hook.remove()
    return names[-1] if names else ""


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


def draw_shown(
    folder: Path, explainer: ImageExplainer, scene: ImageScene, methods: list[str], facts: list[Fact]
) -> None:
    """A picture an image, and index.json."""
    maps = {name: explainer(name, scene).maps for name in methods}
    for row, fact in enumerate(facts):
        panels = {METHODS[name].title: maps[name][row] for name in methods}
        evidence = None if scene.evidence is None else scene.evidence[row]
        fact["file"] = f"{row:02}.png"
        (folder / fact["file"]).write_bytes(attribution_row(scene.images[row], panels, evidence, title_of(fact)))
    write_json(folder / "index.json", facts)


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
