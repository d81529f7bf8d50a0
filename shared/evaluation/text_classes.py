"""What a text classifier's predictions are worth: the files of the evaluate stage, for every such project.

N texts, K classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.core.seed import derive
from shared.data.columns import Columns, Ragged, read_columns
from shared.evaluation.metrics import DIGITS, bootstrap, classification, probabilities, reliability, top
from shared.evaluation.plots import write_predictions, write_reliability, write_table
from shared.evaluation.records import Records
from shared.text import linear as text_linear

SLICES = 4  # of equal numbers of texts, from the shortest to the longest
GRID = np.linspace(0, 1, 201)  # where the curves are kept
SHOWN_CHARACTERS = 1200  # of a text among the errors


def write(
    project: Project,
    records: Records,
    manifest: dict[str, Any],
    *,
    unit: str,
    seed: int,
    num_worst: int,
    baseline_texts: int,
) -> None:
    """All files of the stage, metrics.json last, and the figures on the terminal.

    Args:
        records: of the test split: actual (N,) int64, logits (N, K).
        manifest: of the prepared data.
        unit: plural of what a text is: "reviews".
        seed: of the bootstrap, and of the texts the baselines learn from.
        num_worst: most confident errors listed.
        baseline_texts: training texts the linear baselines see at most.
    """
    results, classes = project.results("evaluate"), manifest["classes"]
    train, test = (read_columns(project.prepared, name) for name in ("train", "test"))
    logits, actual = records["logits"].float().numpy(), records["actual"].numpy()
    predicted, confidence = top(logits)
    names = [[classes[label] for label in labels] for labels in (actual, predicted)]
    write_predictions(results / "predictions.csv", zip(test["id"], *names, confidence.tolist(), strict=True))
    write_reliability(results / "reliability.tsv", reliability(confidence, predicted == actual))
    write_curves(results, probabilities(logits), actual)
    with replace_folder(results / "worst") as folder:
        write_json(folder / "index.json", list(worst(logits, actual, test, classes, num_worst)))

    texts = [[str(text) for text in split["text"]] for split in (train, test)]
    guesses = text_linear.predict(texts[0], np.asarray(train["label"]), texts[1], num_texts=baseline_texts, seed=seed)
    right = {"this model": predicted == actual} | {name: guess == actual for name, guess in guesses.items()}
    metrics = classification(logits, actual, classes, derive(seed, "bootstrap"))
    metrics |= areas(probabilities(logits), actual) | {"source": manifest["source"], "unit": unit}
    metrics["baseline"] = {f"{name}_accuracy": _mean(right[name]) for name in guesses}
    metrics["difference"] = differences(right, seed)
    write_json(results / "section_baselines.json", baseline_section(right, metrics["difference"]))
    write_json(results / "section_length.json", length_section(right, test, unit, seed))
    write_json(results / "metrics.json", metrics)
    print(table(metrics))


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), DIGITS)


# --- curves -------------------------------------------------------------------------------------------------------


def _one_against_others(probability: np.ndarray, actual: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Whether each text is of a class, and how probable that is: the last of two classes, each of more.

    A class that no test text, or every one, is of has no curve.
    """
    num_classes = probability.shape[1]
    for label in [1] if num_classes == 2 else range(num_classes):
        if 0 < (actual == label).sum() < len(actual):
            yield actual == label, probability[:, label]


def areas(probability: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Areas under the ROC and the precision-recall curve: of the last of two classes, or the mean over more.

    Args:
        probability: (N, K) float.
        actual: (N,) int.

    >>> areas(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), np.array([0, 1, 1]))
    {'roc_auc_score': 1.0, 'average_precision_score': 1.0}
    """
    pairs = list(_one_against_others(probability, actual))
    scores = {"roc_auc_score": roc_auc_score, "average_precision_score": average_precision_score}
    means = {name: [float(score(*pair)) for pair in pairs] for name, score in scores.items()}
    return {name: round(float(np.mean(values)), DIGITS) for name, values in means.items() if values}


def write_curves(results: Path, probability: np.ndarray, actual: np.ndarray) -> None:
    """roc.tsv and pr.tsv, on a grid; the mean curve where there are more than two classes."""
    rates, precisions = [], []
    for inside, score in _one_against_others(probability, actual):
        false, true, _ = roc_curve(inside, score)
        rates.append(np.interp(GRID, false, true))
        precision, recall, _ = precision_recall_curve(inside, score)
        best = np.maximum.accumulate(precision)  # the highest at this recall or more; recall falls along the curve
        precisions.append(best[np.searchsorted(-recall, -GRID, side="right") - 1])
    for name, columns, curves in (
        ("roc.tsv", ("false_positive_rate", "true_positive_rate"), rates),
        ("pr.tsv", ("recall", "precision"), precisions),
    ):
        mean = np.mean(curves, axis=0) if curves else []
        write_table(results / name, columns, zip(GRID.tolist(), map(float, mean), strict=False))


# --- against the baselines ----------------------------------------------------------------------------------------


def differences(right: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """This model's accuracy less that of the linear baselines on the same texts, with a paired bootstrap's interval."""
    found: dict[str, float] = {}
    for name in ("tfidf", "nbsvm"):
        gain = right["this model"].astype(float) - right[name]
        low, high = bootstrap(gain, derive(seed, "difference", name))
        found |= {f"difference_{name}": _mean(gain), f"difference_{name}_low": low, f"difference_{name}_high": high}
    return found


NAMES = {
    "this model": "this model",
    "majority": "most frequent class",
    "tfidf": "TF-IDF of 1 and 2 words, logistic regression",
    "nbsvm": "NB-SVM of 1 and 2 words",
}


def baseline_section(right: dict[str, np.ndarray], difference: dict[str, float]) -> dict[str, Any]:
    """The page's table of models."""
    keys = "difference_{}", "difference_{}_low", "difference_{}_high"
    rows = [
        [NAMES[name], _mean(values), *(difference.get(key.format(name), "") for key in keys)]
        for name, values in right.items()
    ]
    return {
        "title": "Against linear models",
        "intro": "Accuracy on the same test texts, and by how much this model's is higher, with the 95% interval of a "
        "paired bootstrap. An interval that holds 0 says that the two cannot be told apart.",
        "columns": ["Model", "Accuracy", "This model is better by", "from", "to"],
        "rows": rows,
    }


def length_section(right: dict[str, np.ndarray], test: Columns, unit: str, seed: int) -> dict[str, Any]:
    """The page's table of accuracy from the shortest to the longest texts."""
    tokens = test["tokens"]
    assert isinstance(tokens, Ragged)
    order = np.argsort(tokens.lengths, kind="stable")
    rows = []
    for part in np.array_split(order, min(SLICES, len(order))):
        lengths = tokens.lengths[part]
        low, high = bootstrap(right["this model"][part], derive(seed, "length"))
        figures = [
            _mean(right["this model"][part]),
            low,
            high,
            _mean(right["tfidf"][part]),
            _mean(right["nbsvm"][part]),
        ]
        rows.append([f"{lengths.min()} to {lengths.max()}", len(part), *figures])
    return {
        "title": "By length",
        "intro": f"The test {unit} in {len(rows)} parts, from the shortest to the longest.",
        "columns": ["Tokens", unit.capitalize(), "Accuracy", "from", "to", "TF-IDF", "NB-SVM"],
        "rows": rows,
    }


# --- errors -------------------------------------------------------------------------------------------------------


def worst(
    logits: np.ndarray, actual: np.ndarray, test: Columns, classes: Sequence[str], num_worst: int
) -> Iterator[dict[str, Any]]:
    """The most confident errors: id, actual, predicted, both probabilities, text."""
    predicted, confidence = top(logits)
    probability = probabilities(logits)
    errors = np.flatnonzero(predicted != actual)
    ids, texts = test["id"], test["text"]
    assert isinstance(ids, list)
    assert isinstance(texts, list)
    for row in errors[np.argsort(-confidence[errors], kind="stable")][:num_worst].tolist():
        text = texts[row]
        yield {
            "id": ids[row],
            "actual": classes[actual[row]],
            "predicted": classes[predicted[row]],
            "confidence": round(float(confidence[row]), DIGITS),
            "actual_probability": round(float(probability[row, actual[row]]), DIGITS),
            "text": text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} [...]",
        }


def table(metrics: dict[str, Any]) -> str:
    """The figures as aligned lines for the terminal."""
    accuracy = f"{metrics['accuracy']:.4f}  (95%: {metrics['accuracy_low']:.4f} to {metrics['accuracy_high']:.4f})"
    lines = [f"{metrics['num_samples']} test {metrics['unit']}, source: {metrics['source']}"]
    lines += [f"{'accuracy':28}{accuracy}"]
    others = "macro_f1", "roc_auc_score", "average_precision_score", "cross_entropy_loss", "calibration_error"
    lines += [f"{name:28}{metrics[name]:.4f}" for name in others if name in metrics]
    for key, value in metrics["baseline"].items():
        name, gain = key.removesuffix("_accuracy"), metrics["difference"]
        better = f"{value:.4f}"
        if f"difference_{name}" in gain:
            low, high = gain[f"difference_{name}_low"], gain[f"difference_{name}_high"]
            better += f"  (this model {gain[f'difference_{name}']:+.4f}, 95%: {low:+.4f} to {high:+.4f})"
        lines.append(f"{'baseline: ' + name:28}{better}")
    return "\n".join(lines)
