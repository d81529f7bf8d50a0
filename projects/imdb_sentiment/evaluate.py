"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.imdb_sentiment.evaluate    # as params.yaml says
    torchrun --nproc-per-node 2 -m projects.imdb_sentiment.evaluate

metrics.json      accuracy with its 95% interval, ROC and precision-recall areas, calibration, figures of each class,
                  three baselines, and the differences from the two that learn
predictions.csv   one row a test review: id, actual, predicted, confidence
reliability.tsv   confidence against accuracy
roc.tsv, pr.tsv   curves of the last of two classes, or the mean over more
section_*.json    tables of the page: the baselines, accuracy by length
run.json          how long the predictions took
worst/index.json  the most confident errors
"""

import time

from shared.data.columns import Columns, read_columns
from torch import nn

from shared.core.files import write_json
from shared.core.paths import Project
from shared.data.prepared import check_same, read_manifest
from shared.evaluation import text_classes
from shared.evaluation.records import Records
from shared.text.classes import read_encoder
from shared.training.distributed import World, join, run

from .data import tokens_and_labels
from .model import load_model, predict_logits
from .params import Evaluate, Params

PROJECT = Project.of(__file__)


def predict(model: nn.Module, split: Columns, params: Evaluate, world: World) -> Records:
    """`actual` (N,) int64 and `logits` (N, K) of a split's texts, whole on every rank."""
    tokens, labels = tokens_and_labels(split)
    return {"actual": labels, "logits": predict_logits(model, tokens, params.batch_size, world)}


def main(params: Params) -> None:
    chosen = params.evaluate
    model, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    manifest = read_manifest(PROJECT.prepared)
    prepared = manifest | {"encoder": read_encoder(PROJECT.prepared)}
    check_same(PROJECT, config, prepared, "classes", "max_tokens", "encoder")
    test = read_columns(PROJECT.prepared, "test")
    with join(params.runtime) as world:
        start = time.perf_counter()
        records = predict(model.to(world.device), test, chosen, world)
        seconds = time.perf_counter() - start
        if world.is_first:
            wanted = chosen.model_dump(include={"seed", "num_worst", "baseline_texts"})
            text_classes.write(PROJECT, records, manifest, unit="reviews", **wanted)
            write_json(PROJECT.results("evaluate") / "run.json", {"predict_seconds": round(seconds, 1)})


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
