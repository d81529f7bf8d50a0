"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, worst images).

    python -m projects.pets_segmentation.evaluate                         # as params.yaml says
    python -m projects.pets_segmentation.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.pets_segmentation.evaluate

metrics.json   mean IoU with its 95 % interval over images, Dice, pixel accuracy, boundary F1, each class, baselines
images.csv     one row per image: id, mean IoU of its classes, pixel accuracy, boundary F1
run.json       seconds that the predictions took
page.json      the blocks of the page; pictures/ the images with the lowest IoU

Images are whole again: what tiles say of a pixel is averaged. One image is in memory at a time.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.core.files import replace_folder, write_tsv
from shared.data.batches import even_shares
from shared.data.table import Table
from shared.evaluation.comparison import baseline_blocks, leave_evaluation, mean_metric
from shared.evaluation.records import Records, collect
from shared.image.augment import to_float
from shared.report import blocks
from shared.report.blocks import Block, matrix, section, strips, table, text
from shared.training.stage import Trained, trained_stage

from . import baselines, scores
from .model import load_model, predict_probabilities
from .params import Params
from .pictures import errors, legend, overlay, strip
from .tiles import count_images, predict_image, rows_of, whole

SHARE = 4  # images of a record, so that processes share them evenly


def predict_labels(trained: Trained[Params], test: Table, number: int) -> np.ndarray:
    """(H, W) uint8: the predicted class indices of a test image."""
    rows = rows_of(test, number)
    tiles = torch.from_numpy(test.fixed("image")[rows])
    height, width = test.fixed("size")[rows[0]].tolist()

    def predict(some: Tensor) -> Tensor:
        return predict_probabilities(trained.model, to_float(some.to(trained.world.device)), trained.config)

    at = [(top, left) for top, left in test.fixed("place")[rows].tolist()]
    return predict_image(predict, tiles, at, height, width).argmax(0).to(torch.uint8).cpu().numpy()


def records_of(trained: Trained[Params], test: Table, index: Tensor) -> Records:
    """Of some images: confusion (n, K, K) and boundary F1 of each class (n, K)."""
    num_classes = len(trained.config["classes"])
    confusions, boundaries = [], []
    for number in index.tolist():
        actual = whole(test, "mask", rows_of(test, number))
        predicted = predict_labels(trained, test, number)
        confusions.append(scores.confusion(actual, predicted, num_classes))
        boundaries.append(scores.boundary_f1(actual, predicted, num_classes))
    return {"confusion": torch.from_numpy(np.stack(confusions)), "boundary": torch.from_numpy(np.stack(boundaries))}


def baseline_parts(trained: Trained[Params], test: Table) -> dict[str, np.ndarray]:
    """(N, 3, K) of each baseline, see `scores.parts`."""
    chosen, train = trained.params.evaluate, trained.prepared.table("train")
    num_classes, number = len(trained.config["classes"]), count_images(test)

    def labelled(split: Table) -> Iterator[baselines.Labelled]:
        for one in range(count_images(split)):
            rows = rows_of(split, one)
            yield whole(split, "image", rows), whole(split, "mask", rows)

    pixels = sum(int(np.prod(test.fixed("size")[rows_of(test, one)[0]])) for one in range(number))
    guesses = {
        "surroundings": baselines.surroundings(
            labelled(train), count_images(train), chosen.baseline_pixels, pixels, chosen.seed
        ),
        "place": baselines.place(labelled(train), num_classes),
    }
    found: dict[str, list[np.ndarray]] = {name: [] for name in guesses}
    for image, mask in labelled(test):
        for name, guess in guesses.items():
            found[name].append(scores.parts(scores.confusion(mask, guess(image), num_classes)))
    return {name: np.stack(of) for name, of in found.items()}


def page(metrics: dict[str, Any], confusion: np.ndarray, classes: Sequence[str]) -> list[Block]:
    """The stage's part of the page before the pictures."""
    keys = "iou_score", "dice_score", "boundary_f1", "precision", "recall", "num_pixels"
    ranked = sorted(metrics["by_class"].items(), key=lambda row: (row[1]["iou_score"] is None, row[1]["iou_score"]))
    rows = [[name, *(of[key] for key in keys)] for name, of in ranked]
    shares = np.round(100 * confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True)), 1)
    return [
        *baseline_blocks(metrics),
        section("By class"),
        table(["Class", "IoU", "Dice", "Boundary F1", "Precision", "Recall", "Pixels"], rows,
              intro="The lowest IoU first. A dash: the class neither occurs nor was predicted."),
        section("Errors"),
        matrix("confusion", "What is predicted for the pixels of each class, in %", shares, classes),
    ]  # fmt: skip


def summary(metrics: dict[str, Any]) -> list[Block]:
    """How good, against what, and which classes fail."""
    there = {name: of["iou_score"] for name, of in metrics["by_class"].items() if of["iou_score"] is not None}
    worst = sorted(there.items(), key=lambda item: item[1])[:3]
    listed = ", ".join(f"{name} ({value:.3f})" for name, value in worst)
    wrong = 1 - metrics["pixel_accuracy"]
    return [*blocks.headline(metrics, f"{wrong:.1%} of the pixels wrong"), text(f"Lowest IoU: {listed}.")]


def worst_pictures(
    trained: Trained[Params], test: Table, ious: np.ndarray, ids: Sequence[str], folder: Path
) -> list[Block]:
    """The images with the lowest mean IoU: image, mask, prediction, errors."""
    palette, classes = [tuple(one) for one in trained.config["palette"]], trained.config["classes"]
    rows = [legend(folder, classes, palette)]
    for place, number in enumerate(np.argsort(ious, kind="stable")[: trained.params.evaluate.num_worst].tolist()):
        tiles = rows_of(test, number)
        image, actual = whole(test, "image", tiles).transpose(1, 2, 0), whole(test, "mask", tiles)
        predicted = predict_labels(trained, test, number)
        drawn = {
            "image": image,
            "mask": overlay(image, actual, palette),
            "prediction": overlay(image, predicted, palette),
            "errors": errors(image, actual, predicted),
        }
        rows.append(strip(folder, f"{place:03}", drawn, f"{ids[number]}: mean IoU {ious[number]:.3f}"))
    return [
        section("The worst images"),
        text("Images with the lowest mean IoU of their classes. Errors are red; grey pixels have no label."),
        strips(rows),
    ]


def main(trained: Trained[Params]) -> None:
    chosen, classes, world = trained.params.evaluate, trained.config["classes"], trained.world
    test = trained.prepared.table("test")
    start = time.perf_counter()
    shares = even_shares(count_images(test), SHARE, world)
    records = collect(lambda index: records_of(trained, test, index), shares, world)
    seconds = time.perf_counter() - start
    if not world.is_first:
        return
    confusions, boundaries = (records[name].numpy() for name in ("confusion", "boundary"))
    counts = scores.parts(confusions)
    metrics = scores.measure(counts, baseline_parts(trained, test), classes, chosen.seed)
    has_boundary = ~np.isnan(boundaries).all(axis=1)
    of_images = np.nanmean(boundaries[has_boundary], axis=1) if has_boundary.any() else np.zeros(1)
    metrics |= mean_metric("boundary_f1", of_images, chosen.seed)
    for number, name in enumerate(classes):
        of_class = boundaries[:, number]
        there = of_class[~np.isnan(of_class)]
        metrics["by_class"][name]["boundary_f1"] = scores.known(there.mean() if len(there) else np.nan)
    metrics |= {"num_samples": len(counts), "unit": "images", "source": trained.prepared.manifest["source"]}
    metrics["headline"] = "mean_iou_score"

    ious, names = scores.mean_iou(counts), test.strings("id")
    ids = [names[int(rows_of(test, number)[0])] for number in range(len(counts))]
    accuracy = counts[:, 0].sum(1) / np.maximum(1, counts[:, 1].sum(1))
    shown = [float(np.nanmean(row)) if not np.isnan(row).all() else None for row in boundaries]
    results = trained.project.results("evaluate")
    rows = list(zip(ids, ious.tolist(), accuracy.tolist(), shown, strict=True))
    write_tsv(results / "images.csv", ("id", "iou_score", "pixel_accuracy", "boundary_f1"), rows)
    with replace_folder(results / "pictures") as folder:
        pictures = worst_pictures(trained, test, ious, ids, folder)
    blocks_of_page = [*page(metrics, confusions.sum(axis=0), classes), *pictures]
    leave_evaluation(trained, metrics, blocks_of_page, summary(metrics), seconds)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
