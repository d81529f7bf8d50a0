"""What an image classifier's predictions are worth: the files of the evaluate stage, for every such project.

N images, K classes, D numbers an image.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.core.seed import derive
from shared.data.arrays import Split, read_split
from shared.evaluation.metrics import DIGITS, classification, probabilities, reliability, top
from shared.evaluation.plots import write_predictions, write_reliability
from shared.evaluation.records import Records

PICTURE_PX = 128  # least side of the pictures of errors; pixels stay sharp squares
# Of the linear baseline: squared weights against the mean loss, for each pixel, so that it suits any size of data.
# A point below its best accuracy on 6,000 images of CIFAR-10 (0.375 of 0.385), in half the time.
REGULARISATION = 5e-4
MAX_ITERATIONS = 60
BASELINE_PX = 32  # largest side the linear baseline sees
CHUNK = 500  # images averaged down at once


def write(
    project: Project, records: Records, manifest: dict[str, Any], *, seed: int, num_worst: int, baseline_images: int
) -> None:
    """All files of the stage, metrics.json last, and the figures on the terminal.

    Args:
        records: of the test split: actual (N,) int64, logits (N, K).
        manifest: of the prepared data.
        seed: of the bootstrap, and of the images the baseline learns from.
        num_worst: pictures of the most confident errors.
        baseline_images: training images the linear baseline sees at most.
    """
    results, classes = project.results("evaluate"), manifest["classes"]
    train, test = (read_split(project.prepared, name, mapped=True) for name in ("train", "test"))
    logits, actual = records["logits"].numpy(), records["actual"].numpy()
    predicted, confidence = top(logits)
    names = [[classes[label] for label in labels] for labels in (actual, predicted)]
    write_predictions(results / "predictions.csv", zip(test.ids, *names, confidence.tolist(), strict=True))
    write_reliability(results / "reliability.tsv", reliability(confidence, predicted == actual))
    with replace_folder(results / "worst") as folder:
        draw_worst(folder, records, test, classes, num_worst)

    metrics = classification(logits, actual, classes, derive(seed, "bootstrap"))
    metrics |= {"source": manifest["source"], "unit": "images"}
    metrics["baseline"] = linear_baseline(train, test, seed, baseline_images) | majority_baseline(train, test)
    write_json(results / "metrics.json", metrics)
    print(table(metrics))


def linear_baseline(train: Split, test: Split, seed: int, num_images: int) -> dict[str, Any]:
    """Multinomial logistic regression on standardised pixels: what a model without depth reaches."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:num_images]
    pixels, labels = _flat(train.images[chosen]), train.labels[chosen]
    if len(np.unique(labels)) == 1:
        return {"linear_accuracy": float((test.labels == labels[0]).mean()), "linear_converged": True}
    mean, std = pixels.mean(axis=0), pixels.std(axis=0) + 1
    tolerance = min(1e-2, 0.1 / len(np.unique(labels)))  # of 200 classes each has a gradient below 1e-2 at the start
    model = LogisticRegression(C=1 / (REGULARISATION * pixels.size), tol=tolerance, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit((pixels - mean) / std, labels)
    accuracy = model.score((_flat(test.images) - mean) / std, test.labels)
    stopped = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return {"linear_accuracy": round(float(accuracy), DIGITS), "linear_converged": not stopped}


def majority_baseline(train: Split, test: Split) -> dict[str, Any]:
    """The most frequent class of train, always."""
    majority = np.bincount(train.labels).argmax()
    return {"majority_accuracy": round(float((test.labels == majority).mean()), DIGITS)}


def draw_worst(folder: Path, records: Records, split: Split, classes: list[str], num_worst: int) -> None:
    """The most confident errors as PNG, and index.json: id, actual, predicted, both probabilities, file."""
    logits, actual = records["logits"].numpy(), records["actual"].numpy()
    predicted, confidence = top(logits)
    probability = probabilities(logits)
    errors = np.flatnonzero(predicted != actual)
    worst = errors[np.argsort(-confidence[errors], kind="stable")][:num_worst]
    index = []
    for rank, row in enumerate(worst.tolist(), 1):
        _picture(split.images[row]).save(folder / f"{rank:03}.png")
        index.append(
            {
                "id": split.ids[row],
                "actual": classes[actual[row]],
                "predicted": classes[predicted[row]],
                "confidence": round(float(confidence[row]), DIGITS),
                "actual_probability": round(float(probability[row, actual[row]]), DIGITS),
                "file": f"{rank:03}.png",
            }
        )
    write_json(folder / "index.json", index)


def table(metrics: dict[str, Any]) -> str:
    """The figures as aligned lines for the terminal."""
    baseline = metrics["baseline"]
    accuracy = f"{metrics['accuracy']:.4f}  (95%: {metrics['accuracy_low']:.4f} to {metrics['accuracy_high']:.4f})"
    lines = [f"{metrics['num_samples']} test images, source: {metrics['source']}", f"{'accuracy':28}{accuracy}"]
    lines += [f"{name:28}{metrics[name]:.4f}" for name in ("macro_f1", "cross_entropy_loss", "calibration_error")]
    lines += [f"{'baseline: ' + name:28}{baseline[name + '_accuracy']:.4f}" for name in ("linear", "majority")]
    if not baseline["linear_converged"]:
        lines.append(f"the linear baseline was stopped after {MAX_ITERATIONS} iterations, before it converged")
    return "\n".join(lines)


def _flat(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) uint8 -> (N, D) float64, large images averaged down to 32 x 32, where a linear model still fits."""
    sides = min(images.shape[2], BASELINE_PX), min(images.shape[3], BASELINE_PX)
    parts = (torch.from_numpy(np.array(images[start : start + CHUNK])) for start in range(0, len(images), CHUNK))
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), sides) for part in parts])
    return small.flatten(1).double().numpy()


def _picture(image: np.ndarray) -> Image.Image:
    """(C, H, W) uint8 -> a picture enlarged by a whole factor, so that every pixel is a sharp square."""
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    factor = -(-PICTURE_PX // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
