"""The figure that a project is told by, found in the metrics.json of its evaluate stage."""

from dataclasses import dataclass
from typing import Any

LOWER = "_loss", "_error", "_distance"
HIGHER = "_score", "accuracy", "f1", "precision", "recall", "recall_unseen"


def better(name: str) -> str:
    """Which way a metric is better, by its name; "" where the name does not say.

    >>> better("frechet_distance"), better("macro_f1"), better("seconds")
    ('lower', 'higher', '')
    """
    return "lower" if name.endswith(LOWER) else "higher" if name.endswith(HIGHER) else ""


@dataclass(frozen=True)
class Headline:
    """A metric with its interval, over how many of what, and the same metric of each baseline."""

    name: str
    value: float
    low: float
    high: float
    num_samples: int | None
    unit: str
    baselines: dict[str, float]

    @property
    def best_baseline(self) -> tuple[str, float] | None:
        """Name and value; None where there is none."""
        best = min if better(self.name) == "lower" else max
        return best(self.baselines.items(), key=lambda row: row[1], default=None)

    def against(self, value: float) -> str:
        """The whole interval beside a baseline's value: "better", "worse", or "" where it holds the value."""
        if self.low <= value <= self.high:
            return ""
        return "better" if (self.high < value) == (better(self.name) == "lower") else "worse"


def find_headline(metrics: dict[str, Any]) -> Headline | None:
    """The first metric `x` that has an interval, `x_low` and `x_high`; None where none has.

    Baselines are those of `baseline` that end in the metric's name; `unit` is the plural of what was tested.

    >>> found = find_headline({"f1": 0.9, "f1_low": 0.8, "f1_high": 1.0, "baseline": {"gazetteer_f1": 0.5}})
    >>> found.name, found.best_baseline, found.unit
    ('f1', ('gazetteer', 0.5), 'images')
    """
    name = next((key for key in metrics if f"{key}_low" in metrics and f"{key}_high" in metrics), None)
    if name is None:
        return None
    baselines = metrics.get("baseline", {}).items()
    return Headline(
        name=name,
        value=metrics[name],
        low=metrics[f"{name}_low"],
        high=metrics[f"{name}_high"],
        num_samples=metrics.get("num_samples"),
        unit=metrics.get("unit", "images"),
        baselines={key.removesuffix(f"_{name}"): value for key, value in baselines if key.endswith(f"_{name}")},
    )


def headline_of(metrics: dict[str, Any]) -> Headline:
    """The figure that a project is told by: its evaluate stage always leaves one."""
    headline = find_headline(metrics)
    assert headline is not None, "metrics.json of evaluate: no metric with an interval"
    return headline
