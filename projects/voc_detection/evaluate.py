"""Evaluate stage: trained weights and the test split -> results/evaluate/.

    python -m projects.voc_detection.evaluate                         # as params.yaml says
    python -m projects.voc_detection.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.voc_detection.evaluate

metrics.json      AP50 with its 95 % interval, AP75, AP, by size and class, recall, kinds of errors, the baseline; AP50,
                  AP75 and AP of the masks where the model gives masks
detections.json   what was found, as COCO's results have it; image_id is the row of the test split
precision.tsv     precision over recall of each class, at an IoU of 0.5
run.json          seconds that the predictions took
page.json         the blocks of the page; pictures/ their images
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.core.files import replace_folder, write_atomic, write_tsv
from shared.data.batches import even_shares
from shared.data.table import Table
from shared.evaluation.comparison import baseline_blocks, leave_evaluation
from shared.evaluation.records import collect
from shared.report import blocks
from shared.report.blocks import Block, bars, lines, pictures, section, table, text
from shared.training.stage import Trained, trained_stage

from .baseline import blob_detections
from .detections import record, truth_of
from .drawing import Shown, draw_shown
from .model import load_model
from .params import Params
from .scores import (
    AREAS,
    KINDS,
    RECALLS,
    Errors,
    Matched,
    ap50_interval,
    average_precision,
    envelope,
    gains,
    known_mean,
    match,
    ranked,
    sort_errors,
)  # fmt: skip

CERTAIN = 0.5  # score of a detection that may show a missing label
FAINT = 0.1  # of one that shows that an object was seen at all
SUSPECTS = 8  # pictures of suspected labels


def main(trained: Trained[Params]) -> None:
    start, chosen, test = time.perf_counter(), trained.params.evaluate, trained.prepared.table("test")
    predict = record(trained.model, test, trained.world, chosen.max_detections, chosen.nms_iou)
    records = collect(predict, even_shares(len(test), chosen.batch_size, trained.world), trained.world)
    seconds = time.perf_counter() - start
    if not trained.world.is_first:
        return
    classes, train = trained.config["classes"], trained.prepared.table("train")
    truth, count = truth_of(test), len(classes)
    matched = match(records, truth, count, chosen.max_detections)
    simple = blob_detections(train, test, chosen.baseline_images, count, chosen.seed)
    baseline = match(simple, truth, count, chosen.max_detections)
    errors = sort_errors(matched)
    metrics = figures(matched, baseline, errors, classes, chosen.seed)
    metrics |= counts(matched, errors, chosen.show_score)
    if "masks" in records:
        scores = average_precision(match(records, truth, count, chosen.max_detections, by_masks=True))
        figures_of_masks = {"50": scores.at(0.5), "75": scores.at(0.75), "": scores.mean}
        metrics |= {f"mask_ap{name}_score": _figure(value) for name, value in figures_of_masks.items()}
    metrics |= {"source": trained.prepared.manifest["source"], "unit": "images"}
    results = trained.project.results("evaluate")
    write_atomic(results / "detections.json", (json.dumps(list(coco_results(records))) + "\n").encode())
    curves = precision_curves(matched, classes)
    rows = (
        (name, recall, precision) for name, curve in curves.items() for recall, precision in zip(*curve, strict=True)
    )
    write_tsv(results / "precision.tsv", ("class", "recall", "precision"), rows)
    with replace_folder(results / "pictures") as folder:
        worst = worst_images(matched, errors, test, classes, chosen.show_score, chosen.num_worst)
        suspects = suspected(matched, errors, test, classes)
        drawn = draw_shown([*worst, *suspects], test, classes, folder)
    page = [
        *error_blocks(metrics, matched, errors, chosen.show_score),
        *worst_blocks(drawn[: len(worst)]),
        *suspect_blocks(drawn[len(worst) :]),
        *class_blocks(metrics),
        lines("precision", "Precision over recall, at an IoU of 0.5", curves, "recall", "precision", True),
        *baseline_blocks(metrics),
    ]
    leave_evaluation(trained, metrics, page, summary(metrics), seconds)


def figures(matched: Matched, baseline: Matched, errors: Errors, classes: Sequence[str], seed: int) -> dict[str, Any]:
    """metrics.json. What has no objects is None: no figure can be given."""
    scores, simple = average_precision(matched), average_precision(baseline)
    (low, high), differences = ap50_interval(matched, {"blobs": baseline}, seed)
    counted = ~matched.truth.ignored
    gain = gains(matched, errors)
    kinds = {
        kind: {"number": int(errors.missed.sum() if kind == "missed" else (errors.kind == kind).sum()),
               "ap50_gain": gain[kind]}
        for kind in KINDS
    }  # fmt: skip
    by_class = {
        name: {
            "ap50": _figure(scores.precision[label, 0, 0]),
            "ap75": _figure(scores.precision[label, 0, 5]),
            "ap": _figure(scores.precision[label, 0].mean()),
            "recall": _figure(scores.recall[label, 0, 0]),
            "num_objects": int((counted & (matched.truth.label == label)).sum()),
        }
        for label, name in enumerate(classes)
    }
    ap50 = scores.at(0.5)
    difference = {"blobs": _figure(ap50 - simple.at(0.5))}
    difference |= {f"blobs_{end}": one for end, one in zip(("low", "high"), differences["blobs"], strict=True)}
    return {
        "headline": "ap50_score",
        "ap50_score": _figure(ap50),
        "ap50_score_low": low,
        "ap50_score_high": high,
        "ap75_score": _figure(scores.at(0.75)),
        "ap_score": _figure(scores.mean),
        **{f"ap_{area}_score": _figure(scores.of_area(area)) for area in list(AREAS)[1:]},
        "recall_score": _figure(known_mean(scores.recall[:, 0, 0])),
        "num_samples": matched.truth.num_images,
        "num_objects": int(counted.sum()),
        "by_class": by_class,
        "errors": kinds,
        "baseline": {
            "blobs_ap50_score": _figure(simple.at(0.5)), "blobs_ap75_score": _figure(simple.at(0.75)),
            "blobs_ap_score": _figure(simple.mean),
        },
        "difference": difference,
    }  # fmt: skip


def counts(matched: Matched, errors: Errors, least: float) -> dict[str, int]:
    """Objects that a detection of a score finds (num_found), and such detections that are wrong (num_wrong)."""
    sure = matched.score >= least
    right = sure & (errors.kind == "")
    return {
        "num_found": len(np.unique(matched.object[right & (matched.object >= 0)])),
        "num_wrong": int((sure & (errors.kind != "") & (errors.kind != "ignored")).sum()),
    }


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def coco_results(records: Mapping[str, Any]) -> Any:
    """One dict a detection: image_id, category_id, bbox (x, y, width, height), score."""
    for image, parts in enumerate(zip(records["boxes"], records["scores"], records["labels"], strict=True)):
        for box, score, label in zip(*(part.tolist() for part in parts), strict=True):
            x0, y0, x1, y1 = box
            sides = [round(one, 2) for one in (x0, y0, x1 - x0, y1 - y0)]
            yield {"image_id": image, "category_id": label, "bbox": sides, "score": round(score, 4)}


def precision_curves(matched: Matched, classes: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Class -> recalls and the precision there, (101,) each; classes without objects are left out."""
    found = {}
    for label, one in ranked(matched).items():
        right, wrong = one.hit.cumsum(), (~one.hit).cumsum()
        places = np.searchsorted(right / len(one.objects), RECALLS)
        highest = np.append(envelope(right, wrong), 0.0)
        found[classes[label]] = (RECALLS, highest[np.minimum(places, len(one.hit))])
    return found


# --- the page -----------------------------------------------------------------------------------------------------


def summary(metrics: Mapping[str, Any]) -> list[Block]:
    """How good, against what, and where it fails."""
    found, wrong = metrics["num_found"], metrics["num_wrong"]
    made = blocks.headline(metrics, f"{found:,} of {metrics['num_objects']:,} objects found, {wrong:,} false")
    costly = sorted(metrics["errors"].items(), key=lambda one: -one[1]["ap50_gain"])[:2]
    said = "; ".join(f"{KINDS[kind]} ({one['ap50_gain']:.3f})" for kind, one in costly if one["ap50_gain"] > 0)
    more = f"AP75 {blocks.figure(metrics['ap75_score'])}, AP {blocks.figure(metrics['ap_score'])}."
    if "mask_ap_score" in metrics:
        ap50, ap75, ap = (blocks.figure(metrics[f"mask_ap{name}_score"]) for name in ("50", "75", ""))
        more += f" Masks: AP50 {ap50}, AP75 {ap75}, AP {ap}."
    return [*made, text(more + f" What costs most AP50: {said}." * bool(said))]


def error_blocks(metrics: Mapping[str, Any], matched: Matched, errors: Errors, least: float) -> list[Block]:
    """The kinds of errors, and what the correction of each would gain."""
    sure = matched.score >= least
    rows = []
    for kind, meaning in KINDS.items():
        one = metrics["errors"][kind]
        shown = one["number"] if kind == "missed" else int((sure & (errors.kind == kind)).sum())
        rows.append([f"{kind}: {meaning}", shown, one["ap50_gain"]])
    intro = (
        f"Every wrong detection by its kind, as TIDE sorts them (arXiv:2008.08115), those of a score of {least:g} and "
        "more counted, and by how much AP50 would rise if the errors of this kind alone were corrected. Missed are "
        "objects that no detection of any score explains."
    )
    gained = {kind: metrics["errors"][kind]["ap50_gain"] for kind in KINDS}
    return [
        section("Errors"),
        table(["Kind", "Number", "AP50 gained without"], rows, intro=intro),
        bars("gains", "AP50 gained without this kind of errors", gained),
    ]


def worst_images(
    matched: Matched, errors: Errors, test: Table, classes: Sequence[str], least: float, most: int
) -> list[Shown]:
    """The images with the most errors, among detections of a score."""
    sure = (matched.score >= least) & (errors.kind != "ignored")
    wrong = sure & (errors.kind != "")
    found = np.zeros(len(errors.missed), bool)
    found[matched.object[sure & (matched.object >= 0)]] = True
    missed = ~found & ~matched.truth.ignored
    numbers = [np.bincount(image, minlength=len(test)) for image in (matched.image[wrong], matched.truth.image[missed])]
    order = np.argsort(-(numbers[0] + numbers[1]), kind="stable")[:most]
    shown = []
    for image in order.tolist():
        if not numbers[0][image] + numbers[1][image]:
            break
        rows = np.flatnonzero(sure & (matched.image == image))
        names = [f"{classes[matched.label[row]]} {matched.score[row]:.0%}" for row in rows]
        kinds = [errors.kind[row] for row in rows]
        lost = np.flatnonzero(missed & (matched.truth.image == image))
        note = "; ".join([f"{name}: {kind}" for name, kind in zip(names, kinds, strict=True) if kind]
                         + [f"{classes[matched.truth.label[one]]}: not found" for one in lost])  # fmt: skip
        shown.append(Shown(image, f"{numbers[0][image]} wrong, {numbers[1][image]} not found", note,
                           matched.boxes[rows], names, [not kind for kind in kinds]))  # fmt: skip
    return shown


def suspected(matched: Matched, errors: Errors, test: Table, classes: Sequence[str]) -> list[Shown]:
    """Labels worth a look: sure detections where no object is, and objects that nothing finds."""
    rows = np.flatnonzero((errors.kind == "background") & (matched.score >= CERTAIN))
    rows = rows[np.argsort(-matched.score[rows], kind="stable")][: SUSPECTS // 2]
    shown = [
        Shown(int(matched.image[row]), f"unlabelled, seen as {classes[matched.label[row]]} ({matched.score[row]:.0%})",
              "a missing label, or a false alarm", matched.boxes[[row]], [classes[matched.label[row]]], [False])
        for row in rows
    ]  # fmt: skip
    truth = matched.truth
    seen = np.zeros(len(truth.label), bool)
    faint = matched.score >= FAINT
    seen[errors.nearest[faint & (errors.nearest >= 0)]] = True
    lost = np.flatnonzero(~seen & ~truth.ignored)[: SUSPECTS // 2]
    nothing = np.zeros((0, 4))
    for one in lost.tolist():
        words = f"labelled {classes[truth.label[one]]}, but nothing is seen there"
        shown.append(Shown(int(truth.image[one]), words, "a wrong label, or a hard object", nothing, [], [], one))
    return shown


def worst_blocks(drawn: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not drawn:
        return [text("No error in any test image.")]
    words = "The images with the most errors. White boxes are the truth; green detections are right, red ones wrong."
    return [text(words), pictures(drawn, size="medium")]


def suspect_blocks(drawn: Sequence[Mapping[str, Any]]) -> list[Block]:
    made = [section("Labels worth a look")]
    if not drawn:
        return [*made, text("None: no sure detection lies where no object is, and every object was seen.")]
    return [
        *made,
        text("Where the model and the labels of the test images disagree completely."),
        pictures(drawn, size="medium"),
    ]


def class_blocks(metrics: Mapping[str, Any]) -> list[Block]:
    """AP of each class, lowest AP50 first, and of each size."""
    ranked = sorted(metrics["by_class"].items(), key=lambda row: (row[1]["ap50"] is None, row[1]["ap50"], row[0]))
    rows = [[name, *(one[key] for key in ("ap50", "ap75", "ap", "recall", "num_objects"))] for name, one in ranked]
    sizes = [[area, metrics[f"ap_{area}_score"]] for area in list(AREAS)[1:]]
    return [
        section("By class and size"),
        table(["Class", "AP50", "AP75", "AP", "Recall", "Objects"], rows),
        table(["Size", "AP"], sizes, intro="Small is below 32 x 32 px, large from 96 x 96 px of the file."),
    ]


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
