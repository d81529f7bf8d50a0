"""A metric over independent units with its interval, beside that of baselines; what every evaluate stage leaves.

N units: images, sentences, users.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shared.core.files import write_json
from shared.core.headline import direction, headline_of, in_words
from shared.core.seed import derive
from shared.evaluation.intervals import DIGITS, bootstrap, percentile_interval, resampled_sums
from shared.report import blocks
from shared.report.blocks import Block, as_words, cell, section, table, text
from shared.training.stage import Trained


def mean_metric(name: str, values: np.ndarray, seed: int) -> dict[str, float]:
    """The mean of (N,) values as `name`, with its 95 % interval.

    >>> mean_metric("mean_absolute_error", np.array([0.0, 1.0] * 50), seed=0)["mean_absolute_error"]
    0.5
    """
    low, high = bootstrap(values, derive(seed, "bootstrap"))
    return {name: round(float(values.mean()), DIGITS), f"{name}_low": low, f"{name}_high": high}


def against_baselines(name: str, values: np.ndarray, others: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """`baseline`: the metric of each; `difference`: by how much this model is better on the same units, with a paired
    bootstrap's interval.

    Args:
        name: of the metric, which says its direction.
        values: (N,) numbers or bools whose mean the metric is.
        others: baseline -> the same of it.
    """
    sign = 1 if direction(name) == "higher" else -1
    baseline: dict[str, float] = {}
    difference: dict[str, float] = {}
    for other, of in others.items():
        gain = sign * (values.astype(float) - of)
        low, high = bootstrap(gain, derive(seed, "difference", other))
        baseline[f"{other}_{name}"] = round(float(of.mean()), DIGITS)
        difference |= {other: round(float(gain.mean()), DIGITS), f"{other}_low": low, f"{other}_high": high}
    return {"baseline": baseline, "difference": difference}


def corpus_metric(
    name: str,
    counts: np.ndarray,
    others: Mapping[str, np.ndarray],
    of_sums: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> dict[str, Any]:
    """A metric of counts that are summed over all units, as F1, mean IoU, BLEU and the word error rate are: no mean.

    Args:
        name: of the metric, which says its direction.
        counts: (N, ...) of each unit; others: baseline -> the same of it.
        of_sums: (..., the shape of a unit's counts) -> (...), the metric.

    Returns:
        `name` with its 95 % interval, and what `against_baselines` gives: all from one bootstrap over units.
    """
    sign = 1 if direction(name) == "higher" else -1

    def measured(system: np.ndarray) -> tuple[float, np.ndarray]:
        return float(of_sums(system.sum(axis=0))), of_sums(resampled_sums(system, derive(seed, "bootstrap")))

    value, draws = measured(counts)
    low, high = percentile_interval(draws)
    baseline: dict[str, float] = {}
    difference: dict[str, float] = {}
    for other, system in others.items():
        its_value, its_draws = measured(system)
        least, most = percentile_interval(sign * (draws - its_draws))
        baseline[f"{other}_{name}"] = round(its_value, DIGITS)
        gain = round(sign * (value - its_value), DIGITS)
        difference |= {other: gain, f"{other}_low": least, f"{other}_high": most}
    figures = {name: round(value, DIGITS), f"{name}_low": low, f"{name}_high": high}
    return figures | {"baseline": baseline, "difference": difference}


def baseline_blocks(metrics: Mapping[str, Any]) -> list[Block]:
    """By how much this model is better than each baseline."""
    found = headline_of(metrics)
    rows: list[list[Any]] = []
    for name, value in found.baselines.items():
        (low, high), verdict = found.gains[name], found.against_baseline(name)
        good = {"better": True, "worse": False}.get(verdict)
        note = f"{verdict or 'no clear difference'}: {low:+.3f} to {high:+.3f}"
        rows.append([in_words(name), value, cell(metrics["difference"][name], good, note)])
    intro = "Simple models on the same test samples, and by how much this one is better, with the 95 % interval of a "
    intro += "paired bootstrap."
    columns = ["Baseline", as_words(found.name), "This model is better by"]
    return [section("Against baselines"), table(columns, rows, intro=intro)]


def errors_intro(num_shown: int, num_errors: int, linked: bool = True) -> Block:
    """What is said above the errors of a page, of which the most confident are shown.

    Args:
        linked: counts of the matrix above lead to them.
    """
    shown = f"The {num_shown:,} most confident of {num_errors:,} errors" if num_shown < num_errors else "All errors"
    words = f"{shown}, the most confident first: hard cases, wrong labels, or what the model has not learned."
    return text(words + " The underlined counts above lead to them." * linked)


def leave_evaluation(
    trained: Trained[Any], metrics: dict[str, Any], page: Sequence[Block], summary: Sequence[Block], seconds: float
) -> None:
    """Writes page.json, run.json (the seconds that predictions took) and metrics.json, and prints the figures."""
    results = trained.project.results("evaluate")
    blocks.leave(results, page, summary=summary, params=trained.params.evaluate.model_dump())
    write_json(results / "run.json", {"predict_seconds": round(seconds, 1)})
    write_json(results / "metrics.json", metrics)
    print(f"{metrics['num_samples']:,} test {metrics['unit']}, source: {metrics['source']}")
    for name, value in metrics.items():
        if isinstance(value, float) and not name.endswith(("_low", "_high")):
            print(f"{name:32}{value:.4f}{_interval(metrics, name)}")
    for name, value in headline_of(metrics).baselines.items():
        print(f"{'baseline: ' + name:32}{value:.4f}{_interval(metrics.get('difference', {}), name, 'this model: ')}")


def _interval(figures: Mapping[str, float], name: str, words: str = "") -> str:
    """The interval of a figure for the terminal; "" where it has none."""
    if f"{name}_low" not in figures:
        return ""
    low, high = figures[f"{name}_low"], figures[f"{name}_high"]
    if words:
        return f"  ({words}{figures[name]:+.4f}, 95%: {low:+.4f} to {high:+.4f})"
    return f"  (95%: {low:.4f} to {high:.4f})"
