"""The sections of a page. Each is made from files and is left out where these are missing.

A project adds its own without touching this file: a stage that writes `results/<stage>/section.json` with
{"title", "intro", "columns": [...], "rows": [[...]], "pictures": [{"file", "caption"}]} (all but the title may be
missing) gets a table and pictures: those of explain at the end, all others before the attributions. A picture with
"sharp": true is enlarged in sharp squares; "still" names what stands for one that moves, on paper and for who wants
nothing to move. "metrics" lists the keys of metrics.json that a section shows, which the result then leaves out. What
needs more is a function here, and a line in SECTIONS.
"""

import json
from collections import Counter
from typing import Any

import numpy as np

from shared.core.params import flatten, read_yaml

from . import charts
from .html import Section, inside, pictures, render, words
from .results import Results

MAX_PICTURES = 24
MAX_CLASSES = 40  # rows of the table of classes; of more, the worst
MAX_CONFUSIONS = 8
FEW_CLASSES = 5  # whose confusion matrix would be too large for what it says


def result(results: Results) -> Section | None:
    """The headline with its interval, against the baselines."""
    headline = results.headline
    if headline is None:
        return None
    rows = {"this model": headline.value} | {
        f"{inside(name)} baseline": value for name, value in headline.baselines.items()
    }
    chart = charts.bars(
        "result", f"{words(headline.name)} of the model and the baselines", rows, (headline.low, headline.high)
    )
    metrics = results.json("evaluate/metrics.json")
    shown = [name for section in _left(results, "evaluate") for name in section.get("metrics", [])]
    hidden = {headline.name, f"{headline.name}_low", f"{headline.name}_high", "num_samples", *shown}
    others = {key: value for key, value in metrics.items() if isinstance(value, int | float) and key not in hidden}
    converged = metrics.get("baseline", {}).get("linear_converged", True)
    html = render("result.html", headline=headline, chart=chart, others=others, converged=converged)
    return Section("Result", html)


def data(results: Results) -> Section | None:
    """What was run on."""
    manifest = results.manifest
    if not manifest:
        return None
    counts = manifest.get("splits", {})
    order = [name for name in ("train", "valid", "test") if name in counts]
    splits = {name: _numbers(counts[name]) for name in order}
    columns = list(dict.fromkeys(column for numbers in splits.values() for column in numbers))
    html = render("data.html", manifest=manifest, splits=splits, columns=columns, on_sample=results.on_sample)
    return Section("Data", html)


def _numbers(split: dict[str, Any]) -> dict[str, float]:
    """What prepare counted in a split, the samples first: also what was cut off, or the entities of each type."""
    named = {key.replace(".", " "): value for key, value in flatten(split).items()}
    found = {key: value for key, value in named.items() if isinstance(value, int | float)}
    return {"count": found.pop("count")} | found


def learning(results: Results) -> Section | None:
    """Loss, metrics and learning rate over epochs."""
    history, validation = results.table("train/history.tsv"), results.table("train/validation.tsv")
    if not history:
        return None
    checked = list(validation[0]) if validation else []
    logged = [name.removeprefix("train_") for name in history[0] if name not in ("step", "epoch")]
    figures = []
    for metric in dict.fromkeys([*logged, *(name.removeprefix("valid_") for name in checked if "valid_" in name)]):
        series = {}
        for rows, key, name in (
            (history, f"train_{metric}", "train"),
            (history, metric, inside(metric)),
            (validation, f"train_{metric}", "train"),
            (validation, f"valid_{metric}", "validation"),
        ):
            if rows and key in rows[0]:
                series[name] = _series(rows, key)
        figures.append(
            charts.lines(f"learning-{metric}", f"{words(metric)} over epochs", series, "epoch", inside(metric))
        )
    intro = LEARNING_INTRO if "valid_loss" in checked else ""
    return Section("Learning curves", render("figures.html", figures=figures, intro=intro))


LEARNING_INTRO = (
    "A validation loss that rises while the training loss falls means that the model memorises. Losses of training may "
    "lie above those of validation: they are measured with dropout, augmentation and smoothed labels, where these are "
    "in use."
)


def classes(results: Results) -> Section | None:
    """Precision, recall and F1 of each class, lowest F1 first."""
    rows = results.json("evaluate/metrics.json").get("by_class", {})
    if not rows:
        return None
    ranked = sorted(rows.items(), key=lambda row: (row[1].get("f1") is None, row[1].get("f1"), row[0]))
    html = render("classes.html", rows=ranked[:MAX_CLASSES], num_classes=len(ranked))
    return Section("By class", html)


def confusion(results: Results) -> Section | None:
    """Which classes are taken for which."""
    pairs = Counter((row["actual"], row["predicted"]) for row in results.table("evaluate/predictions.csv"))
    if not pairs:
        return None
    names = _class_names(results, pairs)
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (actual, predicted), count in pairs.items():
        counts[place[actual], place[predicted]] = count
    chart = charts.confusion("confusion", "Confusion matrix", counts, names)
    wrong = [(actual, predicted, count) for (actual, predicted), count in pairs.items() if actual != predicted]
    wrong.sort(key=lambda row: (-row[2], row))
    few = len(names) <= FEW_CLASSES
    return Section("Confusions", render("confusion.html", chart=chart, few=few, wrong=wrong[:MAX_CONFUSIONS]))


def calibration(results: Results) -> Section | None:
    """Whether a confidence of 80 percent is right in 80 of 100 cases."""
    rows = results.table("evaluate/reliability.tsv")
    if not rows:
        return None
    confidence, accuracy = ([float(row[key]) for row in rows] for key in ("confidence", "accuracy"))
    count = [int(row["num_samples"]) for row in rows]
    chart = charts.reliability("reliability", "Accuracy over confidence", confidence, accuracy, count)
    gap = sum(n * (c - a) for n, c, a in zip(count, confidence, accuracy, strict=True)) / sum(count)
    error = results.json("evaluate/metrics.json").get("calibration_error")
    return Section("Calibration", render("calibration.html", chart=chart, gap=gap, error=error))


def thresholds(results: Results) -> Section | None:
    """What other thresholds would reach: ROC, and precision over recall."""
    figures = []
    for file, title, x, y in THRESHOLDS:
        rows = results.table(f"evaluate/{file}.tsv")
        if rows:
            curve = [float(row[x]) for row in rows], [float(row[y]) for row in rows]
            figures.append(charts.lines(file, title, {title: curve}, words(x).lower(), words(y).lower(), unit=True))
    return (
        Section("Other thresholds", render("figures.html", figures=figures, intro=THRESHOLDS_INTRO))
        if figures
        else None
    )


THRESHOLDS = (
    ("roc", "ROC curve", "false_positive_rate", "true_positive_rate"),
    ("pr", "Precision over recall", "recall", "precision"),
)
THRESHOLDS_INTRO = (
    "A class is named where its probability passes a threshold. The lower that is, the more of the class is found "
    "(true positive rate, recall), and the more of the others with it. Drawn for the last of two classes, or as the "
    "mean over more."
)


def worst(results: Results) -> Section | None:
    """The most confident errors: pictures, or texts."""
    index = results.json("evaluate/worst/index.json")
    if not index:
        return None
    rows = index[:MAX_PICTURES] if "text" in index[0] else pictures(results.path("evaluate/worst"), index, MAX_PICTURES)
    return Section("The most confident errors", render("worst.html", rows=rows))


def own(results: Results, *stages: str) -> list[Section]:
    """Sections that these stages left as section.json, one or a list of them."""
    made = []
    for stage in stages:
        for one in _left(results, stage):
            given = {"intro": "", "columns": [], "rows": [], "pictures": []} | one
            shown = [{"sharp": False, "still_uri": ""} | row for row in given["pictures"]]
            given["pictures"] = pictures(results.path(stage), shown, MAX_PICTURES)
            made.append(Section(given["title"], render("own.html", **given)))
    return made


def _left(results: Results, stage: str) -> list[dict[str, Any]]:
    files = sorted(results.path(stage).glob("section*.json"))
    left = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return [one for found in left for one in (found if isinstance(found, list) else [found])]


def params(results: Results) -> Section | None:
    """Every key that changes results."""
    path = results.folder / "params.yaml"
    if not path.exists():
        return None
    tree = {key: value for key, value in read_yaml(path).items() if key != "runtime"}
    sections = {key: flatten(value) if isinstance(value, dict) else {"": value} for key, value in tree.items()}
    return Section("Params", render("params.html", sections=sections))


def reproduce(results: Results) -> Section:
    """The commands that make this page again."""
    presets = sorted(path.stem for path in (results.folder / "presets").glob("*.yaml"))
    return Section("How to reproduce", render("reproduce.html", project=results.project, presets=presets))


def _series(rows: list[dict[str, str]], key: str) -> tuple[list[float], list[float]]:
    known = [row for row in rows if row[key]]
    return [float(row["epoch"]) for row in known], [float(row[key]) for row in known]


def _class_names(results: Results, pairs: Counter[tuple[str, str]]) -> list[str]:
    """In the order of the data; a name that the manifest does not know comes last."""
    found = sorted({name for pair in pairs for name in pair})
    known = results.manifest.get("classes", [])
    return [*known, *(name for name in found if name not in set(known))]
