"""The evaluate stage of anything with classes: images, texts, sounds.

metrics.json      accuracy with its 95 % interval, calibration, figures of each class, baselines and the differences
predictions.csv   one row per test sample: id, actual, predicted, confidence
run.json          seconds that the predictions took
page.json         the blocks of the page; pictures/ their images

N samples, K classes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve
from torch import Tensor

from shared.core.files import replace_folder, write_tsv
from shared.data.batches import Read
from shared.data.table import Table
from shared.evaluation.comparison import against_baselines, baseline_blocks, errors_intro, leave_evaluation
from shared.evaluation.metrics import classification, probabilities, reliability, top
from shared.evaluation.records import collect
from shared.report import blocks
from shared.report.blocks import NUMBERED_CLASSES, Block, fold, lines, matrix, scatter, section, table, text
from shared.training.stage import Trained

MAX_CLASSES = 40  # rows of the table of classes; of more, the worst
MAX_CONFUSIONS = 8
NUM_GUESSES = 3  # most probable classes of an error
FURTHER = {
    "cross_entropy_loss": "Cross-entropy; lower is better",
    "calibration_error": "Calibration error: the mean distance of confidence from accuracy",
    "macro_f1": "F1, the mean over classes",
    "roc_auc_score": "Area under the ROC curve",
    "average_precision_score": "Average precision",
}

Baselines = Mapping[str, np.ndarray]  # name -> predicted classes of the test samples, (N,) int64
Case = dict[str, str]  # title, note, group and perhaps id, as `pictures` and `articles` take them
ShowErrors = Callable[[Sequence[int], Sequence[Case], Path], Block]  # rows, what is said of each, folder for pictures


def evaluate_classes(
    trained: Trained[Any],
    logits: Callable[[Any], Tensor],
    read: Read,
    shares: Sequence[Tensor],
    *,
    unit: str,
    baselines: Callable[[Table, Table], Baselines],
    show_errors: ShowErrors,
    more: Callable[[np.ndarray, Baselines], list[Block]] | None = None,
) -> None:
    """The whole stage: predicts the test split, and leaves its files in results/evaluate/.

    Args:
        trained: whose params.evaluate holds seed and num_worst.
        logits: batch -> (b, K).
        read: indices -> batch with `label`, on the world's device.
        shares: this rank's indices of the test split, in batches.
        unit: plural noun of the samples, such as "images".
        baselines: train and test split -> what simple models predict for the test samples.
        show_errors: a block that shows some test samples: (their rows, what is said of each, folder for pictures).
        more: further blocks, from whether each sample is right, (N,) bool, and the baselines' predictions.
    """
    start = time.perf_counter()

    @torch.inference_mode()
    def record(index: Tensor) -> dict[str, Tensor]:
        batch = read(index)
        return {"logits": logits(batch), "actual": batch["label"]}

    records = collect(record, shares, trained.world)
    seconds = time.perf_counter() - start
    if not trained.world.is_first:
        return
    results, chosen = trained.project.results("evaluate"), trained.params.evaluate
    train, test = trained.prepared.table("train"), trained.prepared.table("test")
    outputs, actual = records["logits"].float().numpy(), records["actual"].numpy()
    classes, manifest = trained.config["classes"], trained.prepared.manifest
    predicted, confidence = top(outputs)
    guesses = baselines(train, test)

    metrics = classification(outputs, actual, classes) | {"source": manifest["source"], "unit": unit}
    right = {name: guess == actual for name, guess in guesses.items()}
    metrics |= against_baselines("accuracy", predicted == actual, right, chosen.seed)
    with replace_folder(results / "pictures") as folder:
        errors = error_blocks(outputs, actual, classes, chosen.num_worst, show_errors, folder)
    names = [[classes[label] for label in labels] for labels in (actual, predicted)]
    rows = zip(test.strings("id"), *names, confidence.tolist(), strict=True)
    write_tsv(results / "predictions.csv", ("id", "actual", "predicted", "confidence"), rows)
    page = [
        *errors,
        *class_blocks(metrics["by_class"]),
        *baseline_blocks(metrics),
        *(more(predicted == actual, guesses) if more else []),
        *probability_blocks(outputs, actual, metrics),
    ]
    leave_evaluation(trained, metrics, page, summary(metrics, actual, predicted, classes), seconds)


# --- the page -----------------------------------------------------------------------------------------------------


def summary(metrics: dict[str, Any], actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[Block]:
    """How good, against what, and where it fails."""
    wrong = int((actual != predicted).sum())
    made = blocks.headline(metrics, f"{wrong:,} of {len(actual):,} {metrics['unit']} wrong")
    confused = confusions(actual, predicted, classes)[:3]
    listed = "; ".join(f"{one} taken for {other} ({count})" for one, other, count in confused)
    return [*made, text(f"Most often: {listed}.")] if confused else made


def confusions(actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """Pairs of an actual and another, predicted class, with how often they occur, the most frequent first."""
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(classes)))
    np.fill_diagonal(counts, 0)
    pairs = [(classes[row], classes[column], int(counts[row, column])) for row, column in np.argwhere(counts)]
    return sorted(pairs, key=lambda pair: (-pair[2], pair))


def error_blocks(
    logits: np.ndarray, actual: np.ndarray, classes: Sequence[str], num_worst: int, show: ShowErrors, folder: Path
) -> list[Block]:
    """The confusion matrix, whose counts lead to the most confident errors below it; of many classes a list instead of
    counts."""
    predicted, confidence = top(logits)
    errors = np.flatnonzero(predicted != actual)
    rows = errors[np.argsort(-confidence[errors], kind="stable")][:num_worst].tolist()
    cases, links = describe_errors(logits, actual, classes, rows)
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(classes)))
    made = [section("Errors"), matrix("confusion", "Confusion matrix", counts, classes, links)]
    if len(classes) > NUMBERED_CLASSES and rows:
        found = confusions(actual, predicted, classes)[:MAX_CONFUSIONS]
        made.append(table(["Actual", "Taken for", "Times"], found))
    if not rows:
        return [*made, text("No test sample was misclassified.")]
    return [*made, errors_intro(len(rows), len(errors), len(classes) <= NUMBERED_CLASSES), show(rows, cases, folder)]


def describe_errors(
    logits: np.ndarray, actual: np.ndarray, classes: Sequence[str], rows: Sequence[int]
) -> tuple[list[Case], dict[str, str]]:
    """What is said of some errors: the three most probable classes, and the actual one; and the ids of the first of
    each confusion, by its place in the matrix."""
    cases, links = [], dict[str, str]()
    for row, shares in zip(rows, probabilities(logits[rows]), strict=True):
        order = np.argsort(-shares, kind="stable").tolist()
        shown = order[:NUM_GUESSES] if actual[row] in order[:NUM_GUESSES] else [*order[:NUM_GUESSES], actual[row]]
        place = f"{actual[row]}-{order[0]}"
        case = {
            "title": f"{classes[actual[row]]} taken for {classes[order[0]]}",
            "note": ", ".join(f"{classes[one]} {shares[one]:.0%}" for one in shown),
            "group": classes[actual[row]],
        }
        cases.append(case if place in links else case | {"id": f"error-{place}"})
        links.setdefault(place, f"error-{place}")
    return cases, links


def class_blocks(by_class: dict[str, dict[str, Any]]) -> list[Block]:
    """Precision, recall and F1 of each class, lowest F1 first."""
    ranked = sorted(by_class.items(), key=lambda row: (row[1]["f1"] is None, row[1]["f1"], row[0]))[:MAX_CLASSES]
    rows = [[name, *(one[key] for key in ("precision", "recall", "f1", "num_samples"))] for name, one in ranked]
    intro = f"The {MAX_CLASSES} of {len(by_class)} classes with the lowest F1." if len(by_class) > MAX_CLASSES else ""
    return [section("By class"), table(["Class", "Precision", "Recall", "F1", "Samples"], rows, intro=intro)]


def probability_blocks(logits: np.ndarray, actual: np.ndarray, metrics: dict[str, Any]) -> list[Block]:
    """Whether a confidence of 80 percent is right in 80 of 100 cases, and what other thresholds would reach."""
    predicted, confidence = top(logits)
    found = reliability(confidence, predicted == actual)
    drawn: list[Block] = [
        section("Probabilities"),
        scatter("reliability", "Accuracy over confidence", found.confidence, found.accuracy, found.num_samples,
                "confidence", "accuracy", diagonal=True),
    ]  # fmt: skip
    if logits.shape[1] == 2 and 0 < actual.sum() < len(actual):
        score = probabilities(logits)[:, 1]
        false, true, _ = roc_curve(actual == 1, score)
        precision, recall, _ = precision_recall_curve(actual == 1, score)
        drawn.append(
            lines("roc", "ROC curve", {"ROC": (false, true)}, "false positive rate", "true positive rate", True)
        )
        drawn.append(
            lines("pr", "Precision over recall", {"PR": (recall[::-1], precision[::-1])}, "recall", "precision", True)
        )
    rows = [[title, metrics[key]] for key, title in FURTHER.items() if key in metrics]
    return [*drawn, fold("Further figures", [table(["Figure", "Value"], rows)])]
