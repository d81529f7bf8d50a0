"""The sections on attributions: pictures or texts and how to read them, tests of faithfulness, and their curves."""

import math
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from . import charts
from .html import Section, pictures, render, words
from .results import Results

MAX_PICTURES = 24
MARGIN = 0.02  # of scores between 0 and 1: a smaller difference is called none
SAME = 0.001  # of two areas: a smaller difference means that the order of removal does not matter

READING = {
    "integrated_gradients": "Adds up the gradient on the way from a blank input (explain.py of the project says which) "
    "to this one. Marks pixels that push the class up (or down) from blank; grainy, and its parts add up to the change "
    "of the output.",
    "gradient_shap": "Integrated gradients at random points of that way. Read it the same way; its sum is less exact.",
    "saliency": "Where a tiny change would move the output most. Shows sensitivity, not support: edges light up "
    "either way.",
    "grad_cam": "What the last convolutions looked at, as a coarse cloud. Shows the region, never the exact pixels.",
    "occlusion": "Covers one patch after another and notes how far the output falls. As coarse as the patch; needs no "
    "gradient, so it is a good second opinion.",
    "feature_ablation": "Removes one feature after another and notes how far the output falls.",
    "shapley_value_sampling": "The average fall of the output when a feature leaves a random group of others.",
    "layer_integrated_gradients": "Adds up the gradient at the embeddings, on the way from a text whose words say "
    "nothing to this one. The values of all words add up to the change of the output.",
    "word_occlusion": "Takes out one word after another and notes how far the output falls. Sees no words that only "
    "decide together; needs no gradient, so it is a good second opinion.",
    "phrase_occlusion": "Takes out three words in a row. A word shows the mean of its phrases: coarser, but it finds "
    "negations and other words that decide together.",
}


class Test(NamedTuple):
    """A test of an attribution, in plain words.

    A figure must stay below `limit` or reach `least`, and be better than those of `references`: higher, or lower for an
    error. With none of these it is shown without a verdict.
    """

    key: str
    title: str
    meaning: str  # {parts} stands for what is removed: pixels or words
    references: tuple[str, ...] = ()
    limit: float = math.inf
    least: float = -math.inf
    passed: str = ""  # what it means to stay below the limit or to reach the least, or not to
    failed: str = ""

    @property
    def bounded(self) -> bool:
        return self.limit < math.inf or self.least > -math.inf


TESTS = (
    Test("evidence_score", "Lies on the evidence", "Share of the attribution on what truly decides the class. Higher "
         "is better.", ("random", "randomised")),
    Test("deletion_score", "Deletion", "How fast the class is lost when the {parts} named most important are removed "
         "first. Higher is better.", ("random",)),
    Test("insertion_score", "Insertion", "How fast the class is found when they are put in first. Higher is better.",
         ("random",)),
    Test("randomised_similarity", "Depends on the weights", "Similarity to the attribution of a model whose weights "
         "were scrambled. Below 0.5, or the method shows the input rather than the model.",
         limit=0.5, passed="changes with the weights", failed="blind to the weights"),
    Test("infidelity_error", "Predicts changes", "Error in predicting what removing {parts} does to the output "
         "(infidelity, Yeh et al. 2019). Lower is better, 1 is an empty attribution's.", ("random",),
         limit=1 - MARGIN, passed="better than an empty attribution", failed="no better than an empty attribution"),
    Test("sensitivity_error", "Moves with noise", "How far the attribution moves when the input moves imperceptibly "
         "(max-sensitivity, Yeh et al. 2019). Lower is better; compare methods."),
    Test("completeness_error", "Adds up", "Gap between the sum of the attribution and the change of the output it "
         "should equal. Lower is better; applies to some methods only."),
    Test("completeness_share", "Adds up for", "Share of the inputs whose gap is at most 5% of that change.",
         least=0.95, passed="nearly always adds up", failed="too often does not add up"),
)  # fmt: skip

REMOVING = "deletion_score", "insertion_score"
_NAMES = {"random": "a random attribution", "randomised": "a scrambled model"}


class Verdict(NamedTuple):
    """good: True, False, or None where there is nothing to compare with, or no telling; text: the same in words."""

    good: bool | None
    text: str


def verdict(test: Test, figures: dict[str, Any]) -> Verdict:
    """What a method's figures say of one test.

    >>> verdict(TESTS[0], {"evidence_score": 0.6, "evidence_score_random": 0.2, "evidence_score_randomised": 0.59})
    Verdict(good=False, text='better than a random attribution (0.200), no better than a scrambled model (0.590)')
    """
    value = figures.get(test.key)
    if value is None:
        return Verdict(None, "")
    if test.key in REMOVING and abs(value - figures.get(f"{test.key}_random", math.inf)) < SAME:
        return Verdict(None, "cannot tell: a random order does exactly the same")
    found: dict[str, bool] = {}
    if test.bounded:
        good = test.least <= value < test.limit
        found[test.passed if good else test.failed] = good
    sign = -1 if test.key.endswith("_error") else 1
    for name in test.references:
        if (other := figures.get(f"{test.key}_{name}")) is not None:
            good = sign * (value - other) > MARGIN
            found[f"{'better' if good else 'no better'} than {_NAMES[name]} ({other:.3f})"] = good
    return Verdict(all(found.values()) if found else None, ", ".join(found))


def faithfulness(results: Results) -> Section | None:
    """Every test of every method, with a verdict in words."""
    methods = _methods(results)
    if not methods:
        return None
    rows, parts, metrics = [], _parts(results), results.json("explain/metrics.json")
    for test in TESTS:
        cells = [(figures.get(test.key), verdict(test, figures)) for figures in methods.values()]
        if any(value is not None for value, _ in cells):
            rows.append((test, test.meaning.format(parts=parts), cells))
    totals = [_total(figures) for figures in methods.values()]
    has_evidence = any("evidence_score" in figures for figures in methods.values())
    html = render(
        "faithfulness.html",
        methods=list(methods),
        rows=rows,
        totals=totals,
        has_evidence=has_evidence,
        num_samples=metrics.get("num_samples"),
        unit=metrics.get("unit", "images"),
    )
    return Section("Can these attributions be believed?", html)


def shown(results: Results) -> Section | None:
    """Attributions beside inputs, and how to read each method."""
    reading = {name: READING.get(name, "") for name in _methods(results)}
    metrics = results.json("explain/metrics.json")
    index = results.json("explain/pictures/index.json")
    if index:
        rows = pictures(results.path("explain/pictures"), index, MAX_PICTURES)
        html = render("attributions.html", rows=rows, reading=reading, note=metrics.get("note", ""))
        return Section("What the model looked at", html)
    texts = results.json("explain/highlights.json")
    if not texts:
        return None
    texts = texts[:MAX_PICTURES]
    rows = [row | {"methods": {name: highlighted(row, name) for name in row["values"]}} for row in texts]
    marks = {name: any(any(row[name]) for row in texts) for name in ("evidence", "asked")}
    return Section("What the model read", render("highlights.html", rows=rows, reading=reading, marks=marks))


def highlighted(row: dict[str, Any], method: str) -> Markup:
    """A text of highlights.json with what a method says of its words, as colours behind them.

    >>> row = {"pieces": ["so ", "<b>"], "values": {"m": [0.0, -1]}, "evidence": [False, True], "asked": [False, False]}
    >>> highlighted(row, "m")
    Markup('so <mark class="against l8 evidence">&lt;b&gt;</mark>')
    """
    classes = map(_classes, row["values"][method], row["evidence"], row["asked"])
    marked = groupby(zip(classes, row["pieces"], strict=True), key=lambda pair: pair[0])
    return Markup("").join(_mark(name, "".join(piece for _, piece in pairs)) for name, pairs in marked)


LEVELS = 8  # of colour, for and against


def _classes(value: float, evidence: bool, asked: bool) -> str:
    level = round(abs(value) * LEVELS)
    shade = f"{'for' if value > 0 else 'against'} l{level}" if level else ""
    return " ".join(filter(None, (shade, "evidence" if evidence else "", "asked" if asked else "")))


def _mark(classes: str, text: str) -> Markup:
    return Markup('<mark class="{}">{}</mark>').format(classes, text) if classes else escape(text)


def curves(results: Results) -> Section | None:
    """Insertion and deletion, a chart a method: the method's order solid, others dashed."""
    rows = results.table("explain/curves.tsv")
    if not rows:
        return None
    parts = _parts(results)
    random = [row for row in rows if row["order"] == "random"]
    figures = [
        _curve_chart(method, [row for row in rows if row["method"] == method] + random, parts)
        for method in _methods(results)
    ]
    return Section(
        "Insertion and deletion",
        render("figures.html", figures=figures, intro=CURVES_INTRO.format(parts=parts.capitalize())),
    )


CURVES_INTRO = (
    "{parts} are removed (deletion) or put in (insertion) in the order of their attribution. A good order loses the "
    "class early and finds it early: its solid line of deletion falls below the dashed one of a random order, its "
    "solid line of insertion rises above."
)


def _curve_chart(method: str, rows: list[dict[str, str]], parts: str) -> Markup:
    series: dict[str, tuple[list[float], list[float]]] = {}
    keys = dict.fromkeys((row["curve"], row["order"]) for row in rows)
    # the solid line of each curve first, so that the dashed ones after it share its colour
    for curve, order in sorted(keys, key=lambda key: (key[0], key[1] in ("random", "randomised"), key[1])):
        points = sorted(
            (float(row["fraction"]), float(row["probability"]))
            for row in rows
            if (row["curve"], row["order"]) == (curve, order)
        )
        name = f"{curve} ({order})" if order in ("random", "randomised") else curve
        series[name] = [x for x, _ in points], [y for _, y in points]
    return charts.lines(
        f"curve-{method}",
        f"Insertion and deletion by {words(method)}",
        series,
        f"share of {parts}: {words(method)}",
        "probability",
        unit=True,
    )


def _methods(results: Results) -> dict[str, dict[str, Any]]:
    """Figures by method, in the order in which they are best explained."""
    metrics = results.json("explain/metrics.json")
    methods = {name: figures for name, figures in metrics.items() if isinstance(figures, dict)}
    return {name: methods[name] for name in [*READING, *sorted(methods)] if name in methods}


def _parts(results: Results) -> str:
    """What is removed from an input, in the plural."""
    return f"{results.json('explain/metrics.json').get('part', 'pixel')}s"


def _total(figures: dict[str, Any]) -> tuple[int, int]:
    verdicts = [verdict(test, figures).good for test in TESTS]
    return verdicts.count(True), len(verdicts) - verdicts.count(None)
