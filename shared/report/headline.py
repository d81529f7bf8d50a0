"""The figure that a project is told by, found in the metrics.json of its evaluate stage."""

from dataclasses import dataclass
from typing import Any


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
        """Name and value of the largest; None where there is none."""
        return max(self.baselines.items(), key=lambda row: row[1], default=None)


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
