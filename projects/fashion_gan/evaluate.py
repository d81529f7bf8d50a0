"""Evaluate stage: the trained generator and real images -> results/evaluate/ (metrics and pictures).

    python -m projects.fashion_gan.evaluate                              # as params.yaml says
    python -m projects.fashion_gan.evaluate evaluate.num_images=2000     # fewer of each kind, this run only

metrics.json    Frechet distance with its 95 % interval, precision, recall, density, coverage, collapse, memorisation;
                `floor`: the same of real training images, `baseline`: of a Gaussian over principal components
pictures/       generated and real images, nearest training images
sections.json   tables and pictures for the page
run.json        how long it took

Always against held-out (test) images, with as many of each kind. metrics.py says what is computed, features.py in which
features.
"""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from shared.core.cli import run
from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.data.arrays import Split, read_split
from shared.data.draws import generator as draws
from shared.data.prepared import check_same, read_manifest
from shared.evaluation.metrics import DIGITS
from shared.training.distributed import local

from . import metrics
from .data import draw_latent, image_grid
from .features import Described, accuracy, describe_images, train_classifier
from .model import generate, load_model
from .params import Params

PROJECT = Project.of(__file__)
COLUMNS, MAX_ROWS, PAIRS = (
    8,
    20,
    12,
)  # of a grid of images, a class a row; pairs of a generated image and its nearest training image

LABELS = {
    "frechet_distance": ("Frechet distance", "lower"),
    "precision_score": ("Precision: generated images that look real", "higher"),
    "recall_score": ("Recall: real images that are covered", "higher"),
    "density_score": ("Density", "near 1"),
    "coverage_score": ("Coverage", "higher"),
    "within_class_variance_ratio": ("Variance within classes, over that of real images", "near 1"),
    "least_class_share": ("Share of the rarest class", "as real"),
    "class_agreement_score": ("Generated images classified as the class asked for", "higher"),
    "copied_share": ("Nearer to a training image than 1 % of unseen real images", "near 0.01"),
    "train_distance_ratio": ("Distance to train, over that of unseen real images", "near 1"),
}


def pick(split: Split, number: int, seed: int) -> tuple[np.ndarray, Tensor, Tensor]:
    """(N,) indices of images drawn from a split in random order, the images (N, C, S, S) and their labels (N,)."""
    index = torch.randperm(len(split), generator=draws(seed, "chosen"))[:number].numpy()
    return index, torch.from_numpy(split.images[index]), torch.from_numpy(split.labels[index])


def measure(
    kinds: dict[str, Described], train: Described, wanted: Tensor | None, num_classes: int, seed: int
) -> tuple[dict[str, Any], metrics.Nearest]:
    """The metrics, and the nearest training image of each generated one.

    Args:
        kinds: as many images of each: generated, floor (training images), pca_gaussian, real (held-out images).
        wanted: (N,) the class that each image was generated for; None: the generator is not conditional.
    """
    real, found = kinds["real"], {}
    near = {name: metrics.nearest(images.features, train.features) for name, images in kinds.items()}
    for name, images in kinds.items():
        values = {"frechet_distance": metrics.frechet_distance(images.features, real.features)}
        values |= metrics.neighbour_scores(images.features, real.features)
        if num_classes > 1:  # else the labels are quarter turns
            spread, truth = (metrics.within_class_variance(*one) for one in (images, real))
            values["within_class_variance_ratio"] = spread / truth if truth else 1.0
            values["least_class_share"] = float(images.label.bincount(minlength=num_classes).min() / len(images.label))
        if name == "generated" and wanted is not None and num_classes > 1:
            values["class_agreement_score"] = (images.label == wanted).double().mean().item()
        if name != "floor":  # which is at a distance of 0
            values |= metrics.memorisation(near[name].distance, near["real"].distance)
        found[name] = {key: round(value, DIGITS) for key, value in values.items()}
    low, high = metrics.frechet_interval(kinds["generated"].features, real.features, seed)
    interval = {"frechet_distance_low": round(low, DIGITS), "frechet_distance_high": round(high, DIGITS)}
    baseline = {f"pca_gaussian_{key}": value for key, value in found["pca_gaussian"].items()}
    result = found["generated"] | interval | {"floor": found["floor"], "baseline": baseline}
    return result | {"num_samples": len(real.label), "unit": "images"}, near["generated"]


def by_class(label: dict[str, Tensor], wanted: Tensor | None, classes: list[str]) -> list[list[Any]]:
    """Of each class: its name, its share of the real and of the generated images by the classifier, and how many of
    those generated for it are classified as it; None where there are none."""
    shares = {name: labels.bincount(minlength=len(classes)) / len(labels) for name, labels in label.items()}
    rows: list[list[Any]] = []
    for number, name in enumerate(classes):
        mine = label["generated"][wanted == number] if wanted is not None else torch.empty(0)
        agreement = (mine == number).double().mean().item() if len(mine) else None
        rows.append([name, shares["real"][number].item(), shares["generated"][number].item(), agreement])
    return rows


def class_grid(images: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """The first images of each class, a class a row, or the first images where there is one class."""
    if num_classes == 1:
        return image_grid(images[: COLUMNS**2], COLUMNS)
    rows = []
    for number in range(min(num_classes, MAX_ROWS)):
        found = images[label == number][:COLUMNS]
        rows.append(torch.cat([found, images.new_zeros(COLUMNS - len(found), *images.shape[1:])]))
    return image_grid(torch.cat(rows), COLUMNS)


def save(path: Path, image: Tensor) -> None:
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def draw_pairs(folder: Path, generated: Tensor, near: metrics.Nearest, train: np.ndarray) -> None:
    """closest.png: generated images above the training images nearest to them, of all pairs the nearest; first.png:
    the same of the first images."""
    for name, rows in (("closest.png", near.distance.argsort()[:PAIRS]), ("first.png", torch.arange(PAIRS))):
        beside = torch.from_numpy(np.stack([train[place] for place in near.place[rows].tolist()]))
        save(folder / name, image_grid(torch.cat([generated[rows], beside]), PAIRS))


def sections(found: dict[str, Any], rows: list[list[Any]], classes: list[str]) -> list[dict[str, Any]]:
    """What the page shows."""
    floor, baseline = found["floor"], found["baseline"]
    names = [name for name in LABELS if name in found]
    compared = [
        [LABELS[name][0], found[name], floor.get(name), baseline.get(f"pca_gaussian_{name}"), LABELS[name][1]]
        for name in names
    ]
    order = f"Rows: {', '.join(classes[:MAX_ROWS])}." if len(classes) > 1 else ""
    parts: list[dict[str, Any]] = [
        {
            "title": "Generated and real images",
            "intro": f"The first ones drawn. {order}",
            "pictures": [_sharp("generated.png", "Generated"), _sharp("real.png", "Real, held out")],
        },
        {
            "title": "Compared with real images and with a simple model",
            "intro": f"{found['num_samples']:,} images of each kind against as many held-out ones, in the features of "
            f"a classifier that was trained on the same data and is right about {found['classifier_accuracy']:.1%} "
            "of the test images. Real training images are the floor: about the best a generator can reach. The simple "
            "model draws from one Gaussian over the principal components of the pixels.",
            "columns": ["Metric", "Generated", "Real (train)", "PCA-Gaussian", "Better"],
            "rows": compared,
            "metrics": names,
        },
        {
            "title": "Nearest training images",
            "intro": "Above generated images, below the training image nearest to each in the classifier's features.",
            "pictures": [_sharp("closest.png", "The nearest of all pairs"), _sharp("first.png", "The first images")],
        },
        {
            "title": "Samples over training",
            "pictures": [
                _sharp("samples.webp", "The same noise while the generator was trained")
                | {"still": "pictures/samples.png"}
            ],
        },
    ]
    if len(classes) > 1:
        table = {"title": "Classes of the generated images", "intro": "By the classifier.", "rows": rows}
        parts.append(table | {"columns": ["Class", "Share of real", "Share of generated", "Of those asked for"]})
    return parts


def _sharp(file: str, caption: str) -> dict[str, Any]:
    return {"file": f"pictures/{file}", "caption": caption, "sharp": True}


def evaluate(generator: nn.Module, config: dict[str, Any], params: Params, device: torch.device) -> dict[str, Any]:
    """Writes the pictures; returns the metrics and, under "sections", what the page shows."""
    chosen, classes = params.evaluate, config["classes"]
    train, test = (read_split(PROJECT.prepared, name, mapped=True) for name in ("train", "test"))
    classifier = train_classifier(train.images, train.labels, len(classes), chosen, device)
    number = min(chosen.num_images, len(train), len(test))
    latent = draw_latent(chosen.seed, number, config["model"]["latent_size"], config["class_counts"], "evaluate")
    images = {
        "generated": generate(generator, latent, chosen.batch_size).numpy(),
        "floor": pick(train, number, chosen.seed)[1].numpy(),
        "pca_gaussian": metrics.pca_gaussian(train.images, number, chosen.seed),
        "real": pick(test, number, chosen.seed)[1].numpy(),
    }
    kinds = {name: describe_images(classifier, pixels, chosen.batch_size) for name, pixels in images.items()}
    known = describe_images(classifier, train.images, chosen.batch_size)
    wanted = latent.label if config["model"]["conditional"] else None
    found, near = measure(kinds, known, wanted, len(classes), chosen.seed)
    right = accuracy(classifier, test.images, test.labels, chosen.batch_size)
    found |= {"classifier_accuracy": round(right, DIGITS)}

    shown = {name: torch.from_numpy(images[name]) for name in ("generated", "real")}
    with replace_folder(PROJECT.results("evaluate") / "pictures") as folder:
        for name, pixels in shown.items():
            label = wanted if name == "generated" and wanted is not None else kinds[name].label
            save(folder / f"{name}.png", class_grid(pixels, label, len(classes)))
        draw_pairs(folder, shown["generated"], near, train.images)
        for name in ("samples.webp", "samples.png"):
            shutil.copy(PROJECT.results("train") / name, folder)
    rows = by_class({name: kinds[name].label for name in ("generated", "real")}, wanted, classes)
    return found | {"sections": sections(found, rows, classes)}


def main(params: Params) -> None:
    start, results = time.perf_counter(), PROJECT.results("evaluate")
    networks, config = load_model(PROJECT.results("train"))
    manifest, device = read_manifest(PROJECT.prepared), local(params.runtime.device).device
    check_same(PROJECT, config, manifest, "classes", "channels", "image_size")
    found = evaluate(networks["generator"].to(device), config, params, device) | {"source": manifest["source"]}
    write_json(results / "sections.json", found.pop("sections"))
    write_json(results / "metrics.json", found)
    write_json(results / "run.json", {"predict_seconds": round(time.perf_counter() - start, 1)})
    for name in LABELS:
        print(f"{name:30}{found[name]:>12.4f}" if name in found else f"{name:30}{'-':>12}")


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
