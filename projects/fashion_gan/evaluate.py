"""Evaluate stage: the trained generator and real images -> results/evaluate/ (metrics, pictures, tables for the page).

    python -m projects.fashion_gan.evaluate                              # as params.yaml says
    python -m projects.fashion_gan.evaluate evaluate.num_images=2000     # fewer of each kind, this run only
    python -m projects.fashion_gan.evaluate evaluate.inception=download  # FID and KID too; needs torch-fidelity

metrics.json    Frechet distance with its 95 % interval, precision, recall, density, coverage, collapse, memorisation;
                `floor`: the same of real training images, `baseline`: of a Gaussian over principal components
classifier/     the network in whose features all of them are taken
pictures/       samples, real images, training as an animation, nearest training images, ways between two noises
sections.json   tables and pictures for the page
run.json        how long it took

Always against held-out (test) images, with as many of each kind. What the figures are: scores.py; in which features:
judge.py.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from shared.data.arrays import read_split
from torch import Tensor, nn

from shared.core.cli import run
from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.data.prepared import check_same, read_manifest
from shared.evaluation.metrics import DIGITS
from shared.training.checkpoint import open_checkpoint
from shared.training.distributed import World, local

from . import gallery, scores
from .data import pick
from .inception import inception_features, inception_scores, load_inception
from .judge import Judge, Judged, accuracy, judge, save_judge, train_judge
from .model import draw_labels, draw_noise, generate, load_model
from .params import Evaluate, Params

PROJECT = Project.of(__file__)
Figures = dict[str, float]


@dataclass(frozen=True)
class Images:
    """A set of images as pixels and as the classifier sees them.

    Args:
        pixels: (N, C, S, S) uint8.
        asked: (N,) int64, the class each was made for or belongs to; None where there is no such class.
    """

    pixels: Tensor
    judged: Judged
    asked: Tensor | None

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Compared:
    """As many images of each kind, and the features of all training images, (T, D)."""

    real: Images
    generated: Images
    floor: Images
    baseline: Images
    train: Judged


def compare(generator: nn.Module, network: Judge, config: dict[str, Any], params: Evaluate) -> Compared:
    """Draws and judges the images of each kind: all are a function of evaluate.seed."""
    train, test = (read_split(PROJECT.prepared, name, mapped=True) for name in ("train", "test"))
    number = min(params.num_images, len(train), len(test))
    noise = draw_noise(params.seed, number, config["model"]["latent_size"], "evaluate")
    label = draw_labels(params.seed, number, config["class_counts"], "evaluate")
    made = generate(generator, noise, label, params.batch_size)
    drawn = torch.from_numpy(scores.pca_gaussian(train.images, number, params.seed))

    def seen(pixels: Tensor, asked: Tensor | None) -> Images:
        return Images(pixels, judge(network, pixels.numpy(), params.batch_size), asked)

    return Compared(
        real=seen(*pick(test, number, params.seed)[1]),
        generated=seen(made, label if config["model"]["conditional"] else None),
        floor=seen(pick(train, number, params.seed)[1].images, None),
        baseline=seen(drawn, None),
        train=judge(network, train.images, params.batch_size),
    )


def figures(images: Images, real: Images, num_classes: int) -> Figures:
    """What a set of images is worth beside held-out real ones of the same number: see scores.py."""
    points, truth = images.judged.features, real.judged.features
    found = {"frechet_distance": scores.frechet_distance(points, truth), **scores.neighbour_scores(points, truth)}
    found["variance_ratio"] = float(points.var(0).sum() / truth.var(0).sum())
    if num_classes > 1:  # else the classifier's word is a quarter turn
        within = [scores.within_class_variance(*one.judged) for one in (images, real)]
        found["within_class_variance_ratio"] = within[0] / within[1] if within[1] else 1.0
        shares = scores.class_shares(images.judged.label, num_classes)
        found |= {"least_class_share": shares.min().item(), "class_entropy_score": scores.class_entropy(shares)}
        if images.asked is not None:
            found["class_agreement_score"] = (images.judged.label == images.asked).double().mean().item()
    return found


def memorised(compared: Compared) -> tuple[dict[str, Figures], scores.Nearest]:
    """Figures of memorisation of the generated and the baseline's images; the nearest training image of the former."""
    kinds = {"generated": compared.generated, "baseline": compared.baseline, "real": compared.real}
    near = {name: scores.nearest(images.judged.features, compared.train.features) for name, images in kinds.items()}
    held_out = near["real"].distance
    found = {name: scores.memorisation(near[name].distance, held_out) for name in ("generated", "baseline")}
    return found, near["generated"]


def measure(compared: Compared, copied: dict[str, Figures], classes: list[str], seed: int) -> dict[str, Any]:
    """metrics.json, but for what is said of the data."""
    real, made = compared.real, compared.generated
    low, high = scores.frechet_interval(made.judged.features, real.judged.features, seed)
    kinds = {"generated": made, "floor": compared.floor, "baseline": compared.baseline}
    found = {name: figures(images, real, len(classes)) for name, images in kinds.items()}
    baseline = found["baseline"] | copied["baseline"]
    metrics: dict[str, Any] = scores.rounded(found["generated"] | copied["generated"])
    metrics |= scores.rounded({"frechet_distance_low": low, "frechet_distance_high": high})
    metrics["floor"] = scores.rounded(found["floor"])
    metrics["baseline"] = scores.rounded({f"pca_gaussian_{name}": value for name, value in baseline.items()})
    return metrics | {"num_samples": len(made), "unit": "images"}


def class_figures(compared: Compared, classes: list[str]) -> dict[str, dict[str, float]]:
    """Of each class: its share of the real and of the generated images, and, where it was asked for, how often it came.

    All by the classifier's word, so that its errors are in both.
    """
    kinds = {"real_share": compared.real, "generated_share": compared.generated}
    shares = {name: scores.class_shares(images.judged.label, len(classes)) for name, images in kinds.items()}
    asked, label = compared.generated.asked, compared.generated.judged.label
    found: dict[str, dict[str, float]] = {}
    for number, name in enumerate(classes):
        found[name] = {key: round(values[number].item(), DIGITS) for key, values in shares.items()}
        if asked is not None and (asked == number).any():
            found[name]["agreement"] = round((label[asked == number] == number).double().mean().item(), DIGITS)
    return found


def inception_figures(compared: Compared, network: nn.Module, seed: int) -> dict[str, Any]:
    """FID and KID of the generated images, of the floor and of the baseline, in the form of `measure`."""
    kinds = {"generated": compared.generated, "floor": compared.floor, "baseline": compared.baseline}
    real = inception_features(network, compared.real.pixels)
    seen = {name: inception_features(network, images.pixels) for name, images in kinds.items()}
    found = {name: scores.rounded(inception_scores(points, real, seed)) for name, points in seen.items()}
    found["baseline"] = {f"pca_gaussian_{name}": value for name, value in found["baseline"].items()}
    return found.pop("generated") | found


def trained_judge(params: Params, classes: list[str], world: World) -> tuple[Judge, float]:
    """The classifier, and its accuracy on the test images."""
    train, test = (read_split(PROJECT.prepared, name) for name in ("train", "test"))
    depends_on = params.model_dump(include={"evaluate"})
    with open_checkpoint(PROJECT, "evaluate", depends_on, world) as checkpoint:
        network = train_judge(train, classes, params.evaluate, params.runtime, world, checkpoint)
    return network, accuracy(network, test, classes, params.evaluate.batch_size)


def write(
    compared: Compared,
    near: scores.Nearest,
    generator: nn.Module,
    metrics: dict[str, Any],
    config: dict[str, Any],
    params: Evaluate,
) -> None:
    """Pictures, sections and metrics.json, that last."""
    results, classes = PROJECT.results("evaluate"), config["classes"]
    train = read_split(PROJECT.prepared, "train", mapped=True).images
    made, real, asked = compared.generated, compared.real, config["model"]["conditional"]
    drawn, true = ((one.pixels, one.judged.label if one.asked is None else one.asked) for one in (made, real))
    with replace_folder(results / "pictures") as folder:
        sections = [
            gallery.figures_section(metrics),
            gallery.samples_section(folder, drawn, true, classes, asked),
            gallery.training_section(folder, PROJECT.results("train") / "samples"),
            *([gallery.classes_section(metrics)] if len(classes) > 1 else []),
            gallery.memorisation_section(folder, made.pixels, near, train, metrics),
            gallery.interpolation_section(folder, generator, config, params.seed, params.batch_size),
        ]
    write_json(results / "sections.json", sections)
    write_json(results / "metrics.json", metrics)


def table(metrics: dict[str, Any]) -> str:
    """The figures as aligned lines for the terminal: generated, floor, baseline."""
    lines = [f"{metrics['num_samples']} images of each kind, source: {metrics['source']}"]
    lines += [f"{'':30}{'generated':>14}{'real (train)':>14}{'PCA-Gaussian':>14}"]
    for name, *values in gallery.compared_rows(metrics):
        cells = ("-" if value is None else f"{value:.4f}" for value in values)
        lines.append(
            f"{name:30}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, (12, 14, 14), strict=True))
        )
    low, high = metrics["frechet_distance_low"], metrics["frechet_distance_high"]
    return "\n".join([*lines, f"frechet_distance of the generated, 95%: {low:.4f} to {high:.4f}"])


def main(params: Params) -> None:
    clock = [time.perf_counter()]
    generator, _, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    manifest, classes = read_manifest(PROJECT.prepared), config["classes"]
    check_same(PROJECT, config, manifest, "classes", "channels", "image_size")
    world, results = local(params.runtime.device), PROJECT.results("evaluate")
    generator.to(world.device)
    inception = load_inception(params.evaluate.inception).to(world.device) if params.evaluate.inception else None

    network, right = trained_judge(params, classes, world)
    with replace_folder(results / "classifier") as folder:
        save_judge(folder, network, config)
    clock.append(time.perf_counter())

    compared = compare(generator, network, config, params.evaluate)
    copied, near = memorised(compared)
    metrics = measure(compared, copied, classes, params.evaluate.seed)
    if inception:
        for name, value in inception_figures(compared, inception, params.evaluate.seed).items():
            metrics[name] = metrics[name] | value if isinstance(value, dict) else value
    metrics |= {"classifier_accuracy": round(right, DIGITS), "source": manifest["source"]}
    if len(classes) > 1:
        metrics["made"] = class_figures(compared, classes)
    write(compared, near, generator, metrics, config, params.evaluate)
    clock.append(time.perf_counter())
    train_seconds, predict_seconds = (round(end - start, 1) for start, end in pairwise(clock))
    write_json(results / "run.json", {"classifier_seconds": train_seconds, "predict_seconds": predict_seconds})
    print(table(metrics))


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
