"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.imdb_sentiment.evaluate    # as params.yaml says
    torchrun --nproc-per-node 2 -m projects.imdb_sentiment.evaluate

What the files hold: shared/evaluation/classification.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from shared.data.batches import Batch, cost_shares, gather
from shared.data.table import Table
from shared.evaluation.classification import Baselines, Case, evaluate_classes
from shared.evaluation.intervals import wilson
from shared.report.blocks import Block, section, table
from shared.text.baselines import text_baselines
from shared.text.show import show_texts
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params

SLICES = 4  # of equal numbers of texts, from the shortest to the longest


def by_length(test: Table, right: np.ndarray, guesses: Baselines) -> list[Block]:
    """Accuracy from the shortest to the longest texts."""
    lengths, actual = test.ragged("tokens").lengths, test.fixed("label")
    rows = []
    for part in np.array_split(np.argsort(lengths, kind="stable"), min(SLICES, len(lengths))):
        low, high = wilson(int(right[part].sum()), len(part))
        accuracy = [float((guesses[name][part] == actual[part]).mean()) for name in ("tfidf", "nbsvm")]
        cells = [len(part), float(right[part].mean()), f"{low:.3f} to {high:.3f}", *accuracy]
        rows.append([f"{lengths[part].min()} to {lengths[part].max()}", *cells])
    return [section("By length"), table(["Tokens", "Texts", "Accuracy", "95 %", "TF-IDF", "NB-SVM"], rows)]


def main(trained: Trained[Params]) -> None:
    chosen, test = trained.params.evaluate, trained.prepared.table("test")

    def logits(batch: Batch) -> Tensor:
        found: Tensor = trained.model(batch["tokens"], batch["tokens_mask"])
        return found

    def baselines(train: Table, test: Table) -> Baselines:
        return text_baselines(train, test, chosen.baseline_texts, chosen.seed)

    def show_errors(rows: Sequence[int], cases: Sequence[Case], folder: Path) -> Block:
        return show_texts([test.strings("text")[row] for row in rows], cases)

    evaluate_classes(
        trained,
        logits,
        gather(test, "tokens", "label", device=trained.world.device),
        cost_shares(test.ragged("tokens").lengths, chosen.batch_size, trained.world),
        unit="texts",
        baselines=baselines,
        show_errors=show_errors,
        more=partial(by_length, test),
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
