"""Evaluate stage: the trained generator and real images -> results/evaluate/ (metrics and pictures).

    python -m projects.fashion_gan.evaluate                              # as params.yaml says
    python -m projects.fashion_gan.evaluate evaluate.num_images=2000     # fewer of each kind, this run only

metrics.json    Frechet distance with its 95 % interval, precision, recall, collapse, copies; `floor`: the same of
                real training images, `baseline`: of a Gaussian over principal components
page.json       the blocks of the page; pictures/ what they show
run.json        how long it took

Always against held-out (test) images, with as many of each kind. metrics.py says what is computed, features.py in which
features.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchvision.utils import save_image

from shared.core.files import replace_folder
from shared.evaluation.comparison import leave_evaluation
from shared.evaluation.intervals import DIGITS
from shared.image.augment import to_float
from shared.report import blocks
from shared.report.blocks import Block
from shared.training.stage import Trained, trained_stage

from . import metrics
from .data import Latents, pick
from .features import accuracy, describe_images, train_classifier
from .model import generate, load_model, logits_of
from .params import Params

ROWS, MAX_COLUMNS, PAIRS = 5, 20, 12  # of a grid of images, a class a column; pairs of an image and its nearest
WHITE = 255  # where a class has fewer images
BATCH = 250  # images that the discriminator gets at once
MEMORISED = 0.03  # by which the discriminator's area under the curve is larger on training images
TITLES = {  # of metrics, and which values are good
    "frechet_distance": ("Frechet distance", "lower"),
    "precision_score": ("Precision: generated images that look real", "higher"),
    "recall_score": ("Recall: real images that are covered", "higher"),
    "within_class_variance_ratio": ("Variance within classes, over that of real images", "near 1"),
    "class_agreement_score": ("Generated images classified as the class asked for", "higher"),
    "copied_share": ("Nearer to a training image than 1% of unseen real images", "near 0.01"),
}


class Images(NamedTuple):
    """Images of one kind, and what the metrics need of them.

    Args:
        pixels: (N, C, S, S) uint8.
        features, label: (N, D) and the class (N,) that the classifier predicts.
        distance, nearest: (N,) to the nearest training image by features, and its index.
    """

    pixels: Tensor
    features: Tensor
    label: Tensor
    distance: Tensor
    nearest: Tensor


def measure(some: Images, real: Images, has_classes: bool) -> dict[str, float]:
    """How close some images are to held-out real ones."""
    found = {"frechet_distance": metrics.frechet_distance(some.features, real.features)}
    found |= metrics.precision_recall(some.features, real.features)
    found["copied_share"] = metrics.copied_share(some.distance, real.distance)
    if has_classes:
        spread, truth = (metrics.within_class_variance(kind.features, kind.label) for kind in (some, real))
        found["within_class_variance_ratio"] = spread / truth if truth else 1.0
    return found


def area(real: Tensor, generated: Tensor) -> float:
    """Area under the ROC curve of the discriminator's logits, (M,) and (N,)."""
    both = torch.cat([real, generated])
    return float(roc_auc_score(torch.arange(len(both)) < len(real), both))


def rounded(figures: dict[str, float], prefix: str = "") -> dict[str, float]:
    return {prefix + name: round(value, DIGITS) for name, value in figures.items()}


def class_grid(images: Images, num_classes: int) -> tuple[Tensor, int]:
    """The first images of each class, a class a column, or the first images where there is one class: images row by
    row, and the number of columns."""
    if num_classes == 1:
        return images.pixels[: ROWS * PAIRS], PAIRS
    columns = min(num_classes, MAX_COLUMNS)
    cells = images.pixels.new_full((ROWS, columns, *images.pixels.shape[1:]), WHITE)
    for column in range(columns):
        some = images.pixels[images.label == column][:ROWS]
        cells[: len(some), column] = some
    return cells.flatten(0, 1), columns


def draw(folder: Path, images: Mapping[str, Images], train: Tensor, classes: Sequence[str]) -> dict[str, Block]:
    """Writes grids of generated, real and PCA-Gaussian images, and the generated images that are nearest to one of the
    training images (M, C, S, S), with that image below. Returns their blocks, as wide as the text."""
    order = f" Columns: {', '.join(classes[:MAX_COLUMNS])}." if len(classes) > 1 else ""
    captions = {
        "generated": f"Generated: the first ones drawn.{order}",
        "real": "Real, held out.",
        "pca_gaussian": "Drawn from the PCA-Gaussian.",
        "nearest": "Above: of all generated images those nearest to a training image, by features. Below: that image.",
    }
    made = images["generated"]
    rows = made.distance.argsort()[:PAIRS]
    pairs = torch.cat([made.pixels[rows], train[made.nearest[rows]]])
    drawn = {}
    for name, caption in captions.items():
        grid, columns = class_grid(images[name], len(classes)) if name in images else (pairs, len(rows))
        save_image(to_float(grid), folder / f"{name}.png", nrow=columns, padding=1, pad_value=1)
        alt = f"{len(grid)} images in {columns} columns. {caption}"
        row = {"file": f"pictures/{name}.png", "caption": caption, "alt": alt}
        drawn[name] = blocks.pictures([row], sharp=True, size="large")
    return drawn


def summary(found: dict[str, Any], generated: Block) -> list[Block]:
    """The generated images, how good they are, against what."""
    floor = found["floor"]["frechet_distance"]
    near = found["frechet_distance_low"] <= floor
    headline = (
        f"{'As near to' if near else 'Farther from'} unseen images {'as' if near else 'than'} real training images are"
    )
    words = f"Real training images are at {blocks.figure(floor)}. Of the generated images "
    words += f"{found['copied_share']:.1%} are nearer to a training image than 1% of unseen real images are"
    if "class_agreement_score" in found:
        words += f"; {found['class_agreement_score']:.1%} are classified as the class asked for"
    return [generated, *blocks.headline(found, headline), blocks.text(f"{words}.")]


def comparison(found: dict[str, Any]) -> list[Block]:
    """All metrics of generated images, real training images and the baseline, and what the discriminator remembers."""
    rows = [
        [title, found[name], found["floor"].get(name), found["baseline"].get(f"pca_gaussian_{name}"), better]
        for name, (title, better) in TITLES.items()
        if name in found
    ]
    right = f"{found['classifier_accuracy']:.1%}"
    intro = f"{found['num_samples']:,} images of each kind against as many held-out ones, in the features of a "
    intro += f"classifier that was trained on the same data, right about {right} of the test images. The PCA-Gaussian "
    intro += "draws from one normal distribution over the principal components of pixels."
    train, test = (found[f"discriminator_{name}_auc_score"] for name in ("train", "test"))
    words = "The discriminator's logit separates training images from generated ones with an area under the ROC curve "
    words += f"of {train:.3f}, and held-out images with {test:.3f} (1 is perfect, 0.5 is chance): it has "
    words += f"{'' if train - test > MEMORISED else 'not '}memorised its training images."
    columns = ["Metric", "Generated", "Real (train)", "PCA-Gaussian", "Better"]
    return [blocks.table(columns, rows, intro=intro), blocks.text(words)]


def class_table(real: Tensor, made: Tensor, wanted: Tensor | None, classes: Sequence[str]) -> list[Block]:
    """Shares of the classes among real and generated images as the classifier sees them, (N,) each, and how many of
    those generated for a class are classified as it."""
    rows = []
    for number, name in enumerate(classes):
        mine = made[wanted == number] if wanted is not None else made[:0]  # none: NaN, not shown
        rows.append([name, *((label == number).double().mean().item() for label in (real, made, mine))])
    columns = ["Class", "Share of real", "Share of generated", "Right, of those asked for"]
    table = blocks.table(columns, rows, intro="As the classifier sees them.")
    return [blocks.section("Classes of the generated images"), table]


def main(trained: Trained[Params]) -> None:
    if not trained.world.is_first:  # training the classifier is not worth dividing
        return
    start, chosen, config = time.perf_counter(), trained.params.evaluate, trained.config
    classes, seed, size = config["classes"], chosen.seed, chosen.batch_size
    generator, discriminator = (trained.model.get_submodule(name) for name in ("generator", "discriminator"))
    train, test = (trained.prepared.table(name) for name in ("train", "test"))
    seen, unseen = (
        (torch.from_numpy(table.fixed("image")), torch.from_numpy(table.fixed("label"))) for table in (train, test)
    )
    number = min(chosen.num_images, len(train), len(test))
    latent = Latents(config, seed).draw(number, "evaluate")
    labelled = {
        "generated": (generate(generator, latent, size), latent["label"]),
        "train": pick(train, number, seed),
        "test": pick(test, number, seed),
    }
    classifier = train_classifier(*seen, len(classes), chosen, trained.world.device)
    known, _ = describe_images(classifier, seen[0], size)

    def described(pixels: Tensor) -> Images:
        features, label = describe_images(classifier, pixels, size)
        return Images(pixels, features, label, *metrics.nearest(features, known))

    made, floor, real = (described(pixels) for pixels, _ in labelled.values())
    gaussian = described(metrics.pca_gaussian(seen[0], number, seed))
    has_classes = len(classes) > 1
    wanted = latent["label"] if config["model"]["conditional"] else None
    of_made, of_floor, of_gaussian = (measure(some, real, has_classes) for some in (made, floor, gaussian))
    del of_floor["copied_share"]  # these are training images
    low, high = metrics.frechet_interval(made.features, real.features, seed)
    of_made |= {"frechet_distance_low": low, "frechet_distance_high": high}
    of_made["classifier_accuracy"] = accuracy(classifier, *unseen, size)
    if has_classes and wanted is not None:
        of_made["class_agreement_score"] = (made.label == wanted).double().mean().item()
    logits = {name: logits_of(discriminator, *some, BATCH) for name, some in labelled.items()}
    for name in ("train", "test"):
        of_made[f"discriminator_{name}_auc_score"] = area(logits[name], logits["generated"])
    found: dict[str, Any] = rounded(of_made)
    found |= {"floor": rounded(of_floor), "baseline": rounded(of_gaussian, "pca_gaussian_")}
    found |= {"num_samples": number, "unit": "images", "source": trained.prepared.manifest["source"]}

    by_wanted = made if wanted is None else made._replace(label=wanted)
    with replace_folder(trained.project.results("evaluate") / "pictures") as folder:
        shown = {"generated": by_wanted, "real": real, "pca_gaussian": gaussian}
        drawn = draw(folder, shown, seen[0], classes)
    page = [blocks.section("Beside real images and a simple model"), drawn["real"], drawn["pca_gaussian"]]
    page += [*comparison(found), *(class_table(real.label, made.label, wanted, classes) if has_classes else [])]
    page += [blocks.section("Nearest training images"), drawn["nearest"]]
    leave_evaluation(trained, found, page, summary(found, drawn["generated"]), time.perf_counter() - start)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
