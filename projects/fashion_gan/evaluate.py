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
from typing import Any

import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchvision.utils import make_grid

from shared.core.files import replace_folder, write_json
from shared.evaluation.intervals import DIGITS
from shared.report import blocks
from shared.report.blocks import Block
from shared.training.stage import Trained, trained_stage

from . import metrics
from .data import Latents, pick
from .features import accuracy, describe_images, train_classifier
from .model import generate, load_model, logits_of
from .params import Params

ROWS, MAX_COLUMNS, PAIRS = 5, 20, 12  # of a grid of images, a class a column; pairs of an image and its nearest
WHITE = 255  # between the images of a grid
MEMORISED = 0.03  # by which the discriminator's area under the curve is larger on training images
TITLES = {  # of metrics, and which values are good
    "frechet_distance": ("Frechet distance", "lower"),
    "precision_score": ("Precision: generated images that look real", "higher"),
    "recall_score": ("Recall: real images that are covered", "higher"),
    "within_class_variance_ratio": ("Variance within classes, over that of real images", "near 1"),
    "class_agreement_score": ("Generated images classified as the class asked for", "higher"),
    "copied_share": ("Nearer to a training image than 1 % of unseen real images", "near 0.01"),
}


def measure(
    features: Mapping[str, Tensor], labels: Mapping[str, Tensor], train: Tensor, wanted: Tensor | None, seed: int
) -> tuple[dict[str, Any], tuple[Tensor, Tensor]]:
    """The metrics, and of each generated image the distance to its nearest training image, (N,), and its index (N,).

    Args:
        features, labels: (N, D) and (N,) of generated, floor (training images), pca_gaussian and real (held out); no
            labels where the data have no classes.
        train: (M, D) features of all training images.
        wanted: (N,) the class that each image was generated for; None: the generator is not conditional.
    """
    real, found = features["real"], {}
    near = {name: metrics.nearest(points, train) for name, points in features.items()}
    for name, points in features.items():
        values = {"frechet_distance": metrics.frechet_distance(points, real), **metrics.precision_recall(points, real)}
        if labels:
            spread, truth = (metrics.within_class_variance(features[one], labels[one]) for one in (name, "real"))
            values["within_class_variance_ratio"] = spread / truth if truth else 1.0
        if labels and name == "generated" and wanted is not None:
            values["class_agreement_score"] = (labels[name] == wanted).double().mean().item()
        if name != "floor":  # which is at a distance of 0
            values["copied_share"] = metrics.copied_share(near[name][0], near["real"][0])
        found[name] = rounded(values)
    low, high = metrics.frechet_interval(features["generated"], real, seed)
    baseline = {f"pca_gaussian_{key}": value for key, value in found["pca_gaussian"].items()}
    compared = {"floor": found["floor"], "baseline": baseline, "num_samples": len(real), "unit": "images"}
    interval = rounded({"frechet_distance_low": low, "frechet_distance_high": high})
    return found["generated"] | interval | compared, near["generated"]


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), DIGITS) for name, value in figures.items()}


def class_grid(images: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """The first images of each class, a class a column, or the first images where there is one class, as one picture
    (3, H, W) uint8."""
    columns = min(num_classes, MAX_COLUMNS)
    found = [images[label == number][:ROWS] for number in range(columns)]
    filled = [torch.cat([some, some.new_full((ROWS - len(some), *some.shape[1:]), WHITE)]) for some in found]
    chosen = torch.stack(filled, 1).flatten(0, 1) if columns > 1 else images[: ROWS * PAIRS]
    grid: Tensor = make_grid(chosen, columns if columns > 1 else PAIRS, padding=1, pad_value=WHITE)
    return grid


def save(folder: Path, name: str, image: Tensor, caption: str) -> Block:
    """Writes a picture (3, H, W) uint8 and returns its block, as wide as the text."""
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name)
    return blocks.pictures([{"file": f"pictures/{name}", "caption": caption}], sharp=True, large=True)


def summary(found: dict[str, Any], generated: Block) -> list[Block]:
    """The generated images, how good they are, against what."""
    words = f"Real training images are at {blocks.figure(found['floor']['frechet_distance'])}: about the best that a "
    words += "generator can reach."
    if "class_agreement_score" in found:
        words += f" Of the generated images {found['class_agreement_score']:.1%} are classified as the class asked for."
    words += f" Copies: {found['copied_share']:.1%} are nearer to a training image than 1 % of unseen real images are."
    return [generated, *blocks.headline(found), blocks.text(words)]


def comparison(found: dict[str, Any]) -> list[Block]:
    """All metrics of generated images, real training images and the baseline, and what the discriminator remembers."""
    rows = [
        [title, found[name], found["floor"].get(name), found["baseline"].get(f"pca_gaussian_{name}"), better]
        for name, (title, better) in TITLES.items()
        if name in found
    ]
    intro = f"{found['num_samples']:,} images of each kind against as many held-out ones, in the features of a "
    intro += (
        f"classifier that was trained on the same data, right about {found['classifier_accuracy']:.1%} of the test "
    )
    intro += "images. The PCA-Gaussian draws from one normal distribution over the principal components of pixels."
    train, test = (found[f"discriminator_{name}_auc_score"] for name in ("train", "test"))
    words = "The discriminator's logit separates training images from generated ones with an area under the ROC curve "
    words += f"of {train:.3f}, and held-out images with {test:.3f} (1 is perfect, 0.5 is chance): it has "
    words += f"{'' if train - test > MEMORISED else 'not '}memorised its training images."
    columns = ["Metric", "Generated", "Real (train)", "PCA-Gaussian", "Better"]
    return [blocks.table(columns, rows, intro=intro), blocks.text(words)]


def class_table(labels: Mapping[str, Tensor], wanted: Tensor | None, classes: Sequence[str]) -> list[Block]:
    """Shares of the classes by the classifier, and how many of those generated for a class are classified as it."""
    rows: list[list[Any]] = []
    for number, name in enumerate(classes):
        shares = [(labels[kind] == number).double().mean().item() for kind in ("real", "generated")]
        mine = labels["generated"][wanted == number] if wanted is not None else torch.empty(0)
        rows.append([name, *shares, (mine == number).double().mean().item() if len(mine) else None])
    columns = ["Class", "Share of real", "Share of generated", "Of those asked for"]
    return [blocks.section("Classes of the generated images"), blocks.table(columns, rows, intro="By the classifier.")]


def main(trained: Trained[Params]) -> None:
    if not trained.world.is_first:  # training the classifier is not worth dividing
        return
    start, chosen, config = time.perf_counter(), trained.params.evaluate, trained.config
    classes, seed, size = config["classes"], chosen.seed, chosen.batch_size
    generator, discriminator = (trained.model.get_submodule(name) for name in ("generator", "discriminator"))
    train, test = (trained.prepared.table(name) for name in ("train", "test"))
    (seen, seen_label), (unseen, unseen_label) = (
        [torch.from_numpy(table.fixed(name)) for name in ("image", "label")] for table in (train, test)
    )
    number = min(chosen.num_images, len(train), len(test))
    latent = Latents(config, seed).draw(number, "evaluate")
    real, floor = (pick(table, number, seed) for table in (test, train))
    images = {"generated": generate(generator, latent, size), "floor": floor[0]}
    images |= {"pca_gaussian": metrics.pca_gaussian(seen, number, seed), "real": real[0]}

    classifier = train_classifier(seen, seen_label, len(classes), chosen, trained.world.device)
    described = {name: describe_images(classifier, some, size) for name, some in images.items()}
    features, labels = ({name: one[part] for name, one in described.items()} for part in (0, 1))
    wanted = latent["label"] if config["model"]["conditional"] else None
    known = describe_images(classifier, seen, size)[0]
    found, (distance, place) = measure(features, labels if len(classes) > 1 else {}, known, wanted, seed)
    right = {"classifier_accuracy": accuracy(classifier, unseen, unseen_label, size)}
    made = logits_of(discriminator, images["generated"], latent["label"], size)
    for name, pair in (("train", floor), ("test", real)):
        logits = torch.cat([logits_of(discriminator, *pair, size), made])
        right[f"discriminator_{name}_auc_score"] = roc_auc_score(torch.arange(2 * number) < number, logits)
    found |= rounded(right) | {"source": trained.prepared.manifest["source"]}

    results = trained.project.results("evaluate")
    with replace_folder(results / "pictures") as folder:
        order = f" Columns: {', '.join(classes[:MAX_COLUMNS])}." if len(classes) > 1 else ""
        titles = {"generated": f"Generated: the first ones drawn.{order}", "real": "Real, held out."}
        titles["pca_gaussian"] = "Drawn from the PCA-Gaussian."
        columns = labels | ({} if wanted is None else {"generated": wanted})
        drawn = {
            name: save(folder, f"{name}.png", class_grid(images[name], columns[name], len(classes)), title)
            for name, title in titles.items()
        }
        rows = distance.argsort()[:PAIRS]
        pairs = make_grid(torch.cat([images["generated"][rows], seen[place[rows]]]), len(rows), 1, pad_value=WHITE)
        caption = "Above: of all generated images those nearest to a training image, by features. Below: that image."
        copies = save(folder, "nearest.png", pairs, caption)
    page = [blocks.section("Beside real images and a simple model"), drawn["real"], drawn["pca_gaussian"]]
    page += [*comparison(found), blocks.section("Nearest training images"), copies]
    page += class_table(labels, wanted, classes) if len(classes) > 1 else []
    blocks.leave(results, page, summary=summary(found, drawn["generated"]), params=chosen.model_dump())
    write_json(results / "metrics.json", found)
    write_json(results / "run.json", {"predict_seconds": round(time.perf_counter() - start, 1)})
    print("\n".join(f"{name:30}{found[name]:>12.4f}" for name in TITLES if name in found))


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
