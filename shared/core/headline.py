"""The headline: the main metric of a project, found in the metrics.json of its evaluate stage."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.errors import UserError

HIGHER = "score", "accuracy", "f1", "precision", "recall"
LOWER = "loss", "error", "error_rate", "distance"
SPELLINGS = {  # of what keys hold in lower case
    "als": "ALS", "ap": "AP", "ap50": "AP50", "ap75": "AP75", "auc": "AUC", "bleu": "BLEU", "ease": "EASE", "f1": "F1",
    "gaussian": "Gaussian", "iou": "IoU", "knn": "kNN", "mfcc": "MFCC", "nbsvm": "NB-SVM", "ndcg": "NDCG", "pca": "PCA",
    "roc": "ROC", "tfidf": "TF-IDF",
}  # fmt: skip


def direction(name: str, declared: Mapping[str, str] | None = None) -> str:
    """Which values of a metric are better: "higher" or "lower".

    Args:
        name: of the metric. Its last words decide (`macro_f1`, `word_error_rate`); a cutoff does not (`recall_at_10`).
        declared: name -> "higher" or "lower", for names that do not say it; takes precedence.

    Raises:
        UserError: the name does not say it, and nothing is declared.

    >>> direction("macro_f1"), direction("recall_at_10"), direction("word_error_rate"), direction("valid_loss")
    ('higher', 'higher', 'lower', 'lower')
    >>> direction("perplexity", {"perplexity": "lower"})
    'lower'
    """
    found = (declared or {}).get(name)
    if found is None:
        stem = "_" + re.sub(r"_at_\d+$", "", name)
        ends = {"higher": HIGHER, "lower": LOWER}
        found = next((way for way, words in ends.items() if stem.endswith(tuple(f"_{word}" for word in words))), "")
    if found not in ("higher", "lower"):
        raise UserError(
            f"metric {name}: unknown whether higher or lower values are better",
            expected=f"a name that ends in one of {', '.join([*HIGHER, *LOWER])}",
            fix=f'rename it, or put "direction": {{"{name}": "higher"}} (or "lower") into metrics.json',
        )
    return found


def in_words(key: str) -> str:
    """The name of a metric or a baseline as the field writes it. `score` is left out: it only states the direction.

    >>> in_words("bleu_score"), in_words("ndcg_score_at_10"), in_words("mean_iou_score"), in_words("item_knn")
    ('BLEU', 'NDCG at 10', 'mean IoU', 'item kNN')
    """
    return " ".join(SPELLINGS.get(word, word) for word in key.split("_") if word != "score") or key


@dataclass(frozen=True)
class Headline:
    """A metric with its 95 % interval, and the same metric of each baseline.

    Args:
        name: key in metrics.json.
        value, low, high: the metric and its interval.
        direction: "higher" or "lower", whichever is better.
        num_samples: number of test samples; None where metrics.json does not say.
        unit: plural of what was tested ("images", "sentences").
        source: of the data: "sample", "official" or "own"; "" where metrics.json does not say.
        baselines: baseline -> its value.
        gains: baseline -> the interval of how much better the model is on the same samples; of those that evaluate
            compared in pairs.
    """

    name: str
    value: float
    low: float
    high: float
    direction: str
    num_samples: int | None
    unit: str
    source: str
    baselines: dict[str, float]
    gains: dict[str, tuple[float, float]]

    @property
    def best_baseline(self) -> tuple[str, float] | None:
        """Name and value; None where there are no baselines."""
        best = min if self.direction == "lower" else max
        return best(self.baselines.items(), key=lambda row: row[1], default=None)

    def against(self, value: float) -> str:
        """How the model compares with another value.

        Returns:
            "better" or "worse" where the whole interval is, "" where the interval holds the value.
        """
        if self.low <= value <= self.high:
            return ""
        return "better" if (self.high < value) == (self.direction == "lower") else "worse"

    def against_baseline(self, name: str) -> str:
        """The same of a baseline. Where evaluate compared them in pairs, the interval of the difference decides: it
        knows the noise of both, and that they share most of it."""
        if name not in self.gains:
            return self.against(self.baselines[name])
        low, high = self.gains[name]
        return "better" if low > 0 else "worse" if high < 0 else ""


def find_headline(metrics: Mapping[str, Any]) -> Headline | None:
    """The metric that `headline` names, or else the first `x` with `x_low` and `x_high`; None where none has them.

    Baselines are the entries `<baseline>_<metric>` of `baseline`, the gains over them `<baseline>_low` and `_high` of
    `difference`; `direction` declares what names do not say.

    >>> found = find_headline({"f1": 0.9, "f1_low": 0.8, "f1_high": 1.0, "baseline": {"gazetteer_f1": 0.5}})
    >>> found.name, found.direction, found.best_baseline, found.unit
    ('f1', 'higher', ('gazetteer', 0.5), 'samples')
    """
    with_interval = [name for name in metrics if f"{name}_low" in metrics and f"{name}_high" in metrics]
    name = metrics.get("headline") or next(iter(with_interval), None)
    if name is None:
        return None
    end, difference = f"_{name}", metrics.get("difference", {})
    baselines = {key.removesuffix(end): of for key, of in metrics.get("baseline", {}).items() if key.endswith(end)}
    return Headline(
        name=name,
        value=metrics[name],
        low=metrics[f"{name}_low"],
        high=metrics[f"{name}_high"],
        direction=direction(name, metrics.get("direction")),
        num_samples=metrics.get("num_samples"),
        unit=metrics.get("unit", "samples"),
        source=metrics.get("source", ""),
        baselines=baselines,
        gains={
            one: (difference[f"{one}_low"], difference[f"{one}_high"])
            for one in baselines
            if f"{one}_low" in difference
        },
    )


def headline_of(metrics: Mapping[str, Any]) -> Headline:
    """The headline of metrics that must have one: an evaluate stage always leaves a metric with an interval."""
    headline = find_headline(metrics)
    assert headline is not None, "metrics.json of evaluate: no metric with an interval"
    return headline
