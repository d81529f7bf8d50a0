"""Pictures and tables of the evaluate stage, in the form that the page takes (see shared/report/sections.py).

Pictures are kept at one pixel a pixel and enlarged by the browser, so that a page of them stays small.

N images, C channels, S side in pixels, K classes.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from shared.core.files import write_atomic

from .latent import slerp
from .model import draw_noise, generate
from .samples import grid, picture, spaced
from .scores import COPY_PERCENTILE, Nearest

Section = dict[str, Any]

COLUMNS = 8  # of a grid of samples; as many real ones beside it
ROWS, MAX_ROWS = 10, 20  # of it: without classes, and the most classes shown
GAP_PX = 4  # white, between generated and real
PAIRS = 12  # of a generated image and the nearest training image
WAYS, STEPS = 6, 10  # interpolations, and images of each
WHITE = 255

FRAME_MS, LAST_MS = 300, 2500
FRAMES = (24, 12, 6)  # of the animation: the most that fit into MAX_BYTES
MAX_BYTES = 300_000
QUALITY = 70  # of WebP

FIGURES = {
    "frechet_distance": ("Frechet distance", "lower"),
    "precision_score": ("Precision: looks real", "higher, to the floor's"),
    "recall_score": ("Recall: makes all kinds", "higher, to the floor's"),
    "f1_score": ("F1 of these two", "higher, to the floor's"),
    "density_score": ("Density", "near 1"),
    "coverage_score": ("Coverage", "higher, to the floor's"),
    "variance_ratio": ("Variance, over that of real images", "near 1"),
    "within_class_variance_ratio": ("The same within classes", "near 1"),
    "least_class_share": ("Share of the rarest class", "higher"),
    "class_entropy_score": ("Evenness of classes (entropy)", "higher"),
    "class_agreement_score": ("Is of the class asked for", "higher"),
    "copied_share": ("Nearer to train than 1 % of unseen real images", "near 0.01"),
    "train_distance_ratio": ("Distance to train, over that of unseen real images", "near 1"),
    "inception_frechet_distance": ("FID", "lower"),
    "inception_kernel_distance": ("KID", "lower"),
}


def compared_rows(metrics: dict[str, Any]) -> Iterator[tuple[str, float, float | None, float | None]]:
    """Name, and the figure of the generated images, of the floor and of the baseline."""
    for name in FIGURES:
        if name in metrics:
            yield name, metrics[name], metrics["floor"].get(name), metrics["baseline"].get(f"pca_gaussian_{name}")


def figures_section(metrics: dict[str, Any]) -> Section:
    """Every figure beside the floor and the baseline."""
    rows = [[FIGURES[name][0], *values, FIGURES[name][1]] for name, *values in compared_rows(metrics)]
    return {
        "title": "Beside real images, and beside a simple model",
        "intro": f"{metrics['num_samples']:,} images of each kind against as many held-out real ones, in the features "
        f"of a classifier that was trained on the same data and is right about {metrics['classifier_accuracy']:.1%} of "
        "the test images. Real training images are the floor: about what a generator can be asked for, though the "
        "classifier knows these better than the held-out ones. The simple model draws from one Gaussian over the "
        "principal components of the pixels.",
        "columns": ["Figure", "Generated", "Real (train)", "PCA-Gaussian", "Better"],
        "rows": rows,
        "metrics": [name for name, *_ in compared_rows(metrics)],
    }


def classes_section(metrics: dict[str, Any]) -> Section:
    """How often each class is made."""
    rows = [
        [name, row["real_share"], row["generated_share"], row.get("agreement")] for name, row in metrics["made"].items()
    ]
    return {
        "title": "Classes of the generated images",
        "intro": "By the classifier's word, for real and generated images alike. A class that is hardly ever made is "
        "one that the generator has dropped. Agreement: of the images made as this class, how many the classifier "
        "takes for it.",
        "columns": ["Class", "Share of real images", "Share of generated", "Agreement"],
        "rows": rows,
    }


def by_class(images: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """The first images of each class, a class a row: (C, rows * S, COLUMNS * S) uint8; black where there are fewer."""
    blank, rows = images.new_zeros(COLUMNS, *images.shape[1:]), []
    for number in range(min(num_classes, MAX_ROWS)):
        rows.append(torch.cat([images[label == number][:COLUMNS], blank])[:COLUMNS])
    return grid(spaced(torch.cat(rows)), COLUMNS)


def samples_section(
    folder: Path, generated: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor], classes: list[str], asked: bool
) -> Section:
    """Generated images beside real ones.

    Args:
        folder: for the pictures.
        generated, real: (N, C, S, S) uint8 and (N,) class of each.
        asked: whether the class is what the generator was asked for, and not what the classifier sees.
    """
    several = len(classes) > 1
    parts = [
        by_class(*kind, len(classes)) if several else grid(spaced(kind[0][: ROWS * COLUMNS]), COLUMNS)
        for kind in (generated, real)
    ]
    gap = torch.full((*parts[0].shape[:2], GAP_PX), WHITE, dtype=torch.uint8)
    picture(torch.cat([parts[0], gap, parts[1]], dim=2)).save(folder / "samples.png")
    rows = f" Rows: {', '.join(classes[:MAX_ROWS])}." if several else ""
    order = "the class asked for" if asked else "the class that the classifier sees"
    return {
        "title": "Generated and real images",
        "intro": "Left generated, right held-out real images: the first ones drawn, none chosen"
        + (f"; a row a class, the generated ones by {order}." if several else "."),
        "pictures": [_sharp("samples.png", f"Generated (left) and real (right).{rows}")],
    }


def training_section(folder: Path, samples: Path) -> Section:
    """The grids that training left, as an animation; its last frame for paper and for who wants nothing to move."""
    index = json.loads((samples / "index.json").read_text())
    frames = [Image.open(samples / row["file"]).convert("RGB") for row in index]
    write_atomic(folder / "training.webp", animation(frames))
    frames[-1].save(folder / "training.png")
    shown = _sharp("training.webp", f"An animation: epochs {index[0]['epoch']:g} to {index[-1]['epoch']:g}.")
    return {
        "title": "Samples over training",
        "intro": "The same noise (along each row the classes in turn, where there are several), seen again and again "
        "while the generator learned. In the curves above the losses of the two networks say little of the images: "
        "look whether the logits of real and generated images stay apart by a few units, and whether those of training "
        "and validation images stay together. Where they part, the discriminator knows its training images by heart: "
        "train.augment helps.",
        "pictures": [shown | {"still": "pictures/training.png"}],
    }


def animation(frames: list[Image.Image]) -> bytes:
    """WebP that repeats, resting on the last frame: as many evenly spaced frames as fit into 300 kB."""
    data = b""
    for most in FRAMES:
        places = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
        chosen = [frames[place] for place in places.tolist()]
        times = [FRAME_MS] * (len(chosen) - 1) + [LAST_MS]
        file = io.BytesIO()
        chosen[0].save(
            file, "WEBP", save_all=True, append_images=chosen[1:], duration=times, loop=0, quality=QUALITY, method=4
        )
        data = file.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data


def memorisation_section(
    folder: Path, images: Tensor, near: Nearest, train: np.ndarray, metrics: dict[str, Any]
) -> Section:
    """Generated images above the training image nearest to each: the nearest pairs of all, and the first ones.

    Args:
        images: (N, C, S, S) uint8, generated.
        near: of each, which training image is nearest.
        train: (M, C, S, S) uint8.
    """
    for file, rows in (("closest.png", near.distance.argsort()[:PAIRS]), ("nearest.png", torch.arange(PAIRS))):
        rows = rows[: len(images)]
        beside = torch.from_numpy(np.stack([train[index] for index in near.place[rows].tolist()]))
        picture(grid(spaced(torch.cat([images[rows], beside])), len(rows))).save(folder / file)
    share, ratio = metrics["copied_share"], metrics["train_distance_ratio"]
    return {
        "title": "Are training images recited?",
        "intro": f"{share:.1%} of the generated images lie nearer to a training image than {COPY_PERCENTILE} % of the "
        f"held-out real ones do, and the median distance is {ratio:.2f} times theirs, in the classifier's features. A "
        "generator that recites has nearly all of its images there and a ratio near 0; much above 1, its images are "
        "unlike any real one.",
        "pictures": [
            _sharp("closest.png", f"Above: the {PAIRS} generated images nearest to a training image; below: that."),
            _sharp("nearest.png", "The same for the first images drawn, none chosen."),
        ],
    }


def interpolation_section(
    folder: Path, generator: nn.Module, config: dict[str, Any], seed: int, batch_size: int
) -> Section:
    """Ways from one noise to another, the class kept."""
    conditional, num_classes = config["model"]["conditional"], len(config["classes"])
    ends = draw_noise(seed, 2 * WAYS, config["model"]["latent_size"], "interpolation")
    noise = torch.cat([slerp(ends[2 * way], ends[2 * way + 1], STEPS) for way in range(WAYS)])
    label = (torch.arange(WAYS) * num_classes // WAYS).repeat_interleave(STEPS)
    images = generate(generator, noise, label, batch_size)
    picture(grid(spaced(images), STEPS)).save(folder / "interpolation.png")
    names = [config["classes"][number] for number in label[::STEPS].tolist()]
    return {
        "title": "Between two noises",
        "intro": "Each row leads along an arc from one noise to another. A generator that has learned kinds of images "
        "changes one into the other little by little, each step an image of its own; one that recites jumps.",
        "pictures": [
            _sharp("interpolation.png", f"Rows: {', '.join(names)}." if conditional and num_classes > 1 else "")
        ],
    }


def _sharp(file: str, caption: str) -> dict[str, Any]:
    return {"file": f"pictures/{file}", "caption": caption, "sharp": True}
