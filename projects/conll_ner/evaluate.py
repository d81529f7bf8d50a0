"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.conll_ner.evaluate                         # as params.yaml says
    python -m projects.conll_ner.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.conll_ner.evaluate

metrics.json      entity F1 with its 95 % interval over the words that the data give, and from raw texts
                  (raw_text_f1); precision, recall, figures of each type, baselines, kinds of errors (scores.py)
predictions.csv   a row an entity: id of its sentence, actual type, predicted type, confidence
run.json          seconds that the predictions took
page.json         the blocks of the page
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from seqeval.metrics import classification_report, f1_score
from sklearn.metrics import confusion_matrix

from shared.core.files import write_json, write_tsv
from shared.core.seed import derive
from shared.data.table import Table
from shared.evaluation.intervals import DIGITS
from shared.evaluation.metrics import Reliability, reliability
from shared.report import blocks
from shared.report.blocks import Block, article, matrix, scatter, section, table, text
from shared.training.stage import Trained, trained_stage

from . import baselines, scores
from .baselines import Words
from .data import by_sentence, load_features, words_of
from .model import CheckpointTagger, LSTMTagger, load_model
from .params import Params
from .scores import BOUNDARY, KINDS, MISSED, Match
from .tagging import tag, text_predictor
from .tags import Entity, entities

RAW_TEXT = (
    "F1 is measured over the words that the data give, as papers do it. `predict` is given a text: it cuts it into "
    "words by itself, where AT&T becomes three, and reads it without the sentences around it. From the raw text of "
    "each sentence F1 is {raw_text_f1:.3f}."
)


def measure(actual: scores.Tags, predicted: scores.Tags, seed: int) -> dict[str, Any]:
    """The figures of tags, those of types by seqeval; 0 where one would be 0 / 0."""
    report: Any = classification_report(actual, predicted, output_dict=True, zero_division=0)
    rows = {label: figures(row) for label, row in report.items()}
    total = rows["micro avg"]
    low, high = scores.interval(scores.count(*([*map(entities, tags)] for tags in (actual, predicted))), seed)
    return {
        "f1": total["f1"],
        "f1_low": low,
        "f1_high": high,
        "precision": total["precision"],
        "recall": total["recall"],
        "num_samples": len(actual),
        "unit": "sentences",
        "num_entities": total["num_samples"],
        "by_class": {label: row for label, row in rows.items() if not label.endswith(" avg")},
    }


def raw_text_f1(table: Table, actual: scores.Tags, said: Sequence[Any]) -> float:
    """F1 of what predict says of the texts, by places of characters."""
    spans, places = table.ragged("span"), []
    for row, tags in enumerate(actual):
        bounds = spans.row(row).tolist()
        places.append([(bounds[start][0], bounds[end - 1][1], label) for start, end, label in entities(tags)])
    found = [[(one["start"], one["end"], one["label"]) for one in of_text.get("entities", ())] for of_text in said]
    return float(scores.f1_of(scores.count(places, found).sum(axis=0)))


def figures(row: dict[str, Any]) -> dict[str, Any]:
    """A row of seqeval's report."""
    known = {"precision": row["precision"], "recall": row["recall"], "f1": row["f1-score"]}
    return {name: round(float(value), DIGITS) for name, value in known.items()} | {"num_samples": int(row["support"])}


def f1_of_tags(actual: scores.Tags, predicted: scores.Tags) -> float:
    """Entity F1 by seqeval."""
    return round(float(f1_score(actual, predicted, zero_division=0)), DIGITS)


def count_kinds(found: Sequence[Match], words: Words, names: scores.Names) -> dict[str, Any]:
    """How many entities are of each kind, and the recall of names that train has, and of new ones."""
    counted: dict[str, Any] = {f"num_{kind}": sum(one.kind == kind for one in found) for kind in KINDS}
    for key, (right, total) in scores.recall_by_seen(found, words, names).items():
        counted |= {f"num_{key}": total} | ({f"recall_{key}": round(right / total, DIGITS)} if total else {})
    return counted


def confidence_of(one: Entity, probability: np.ndarray) -> float:
    """The least probability of the predicted tags at an entity's words."""
    return float(probability[one.start : one.end].min().clip(0, 1))


def entity_confidence(
    actual: scores.Tags, predicted: scores.Tags, probability: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of every predicted entity (M,), and whether it is right (M,)."""
    pairs = [
        (confidence_of(one, sure), one in entities(true))
        for true, said, sure in zip(actual, predicted, probability, strict=True)
        for one in entities(said)
    ]
    confidence, right = np.array(pairs, np.float64).reshape(-1, 2).T
    return confidence, right


def worst(
    ids: Sequence[str], texts: Words, found: Sequence[Match], confidence: Sequence[float], num_worst: int
) -> list[Block]:
    """The most confident errors: the sentence with the words in brackets."""
    wrong = [(sure, one) for sure, one in zip(confidence, found, strict=True) if one.kind != "right"]
    wrong.sort(key=lambda pair: (-pair[0], pair[1].sentence, pair[1].entity))
    shown = []
    for sure, one in wrong[:num_worst]:
        words, (start, end, _) = texts[one.sentence], one.entity
        name = " ".join(words[start:end])
        sentence = " ".join([*words[:start], f"[{name}]", *words[end:]])
        note = f"{ids[one.sentence]}; confidence {sure:.0%}"
        shown.append(article(f"{name}: {one.actual}, predicted {one.predicted}", sentence, note, good=False))
    intro = "Wrong, and most confident: hard cases, wrong labels, or what the model has not understood."
    return [section("The most confident errors"), text(intro if shown else "No entity is wrong."), *shown]


def page(metrics: dict[str, Any], found: Sequence[Match], bins: Reliability) -> list[Block]:
    """The stage's part of the page after the worst errors."""
    ranked = sorted(metrics["by_class"].items(), key=lambda row: (row[1]["f1"], row[0]))
    types = [[name, *(row[key] for key in ("precision", "recall", "f1", "num_samples"))] for name, row in ranked]
    names = [*sorted(metrics["by_class"]), BOUNDARY, MISSED]
    confused = confusion_matrix([one.actual for one in found], [one.predicted for one in found], labels=names)
    seen = {"seen": "in train, with this type", "unseen": "not in train"}
    by_seen = [[title, metrics[f"num_{key}"], metrics.get(f"recall_{key}")] for key, title in seen.items()]
    return [
        section("Kinds of errors"),
        table(["Kind", "Meaning", "Entities"], [[kind, KINDS[kind], metrics[f"num_{kind}"]] for kind in KINDS]),
        matrix("confusion", "Types, and what was predicted for them", confused, names),
        section("By type"),
        table(["Type", "Precision", "Recall", "F1", "Entities"], types),
        section("Seen and unseen names"),
        table(["Name", "Entities", "Recall"], by_seen),
        section("Confidence"),
        scatter("reliability", "Share of right entities over confidence", *bins, "confidence", "right", diagonal=True),
    ]  # fmt: skip


def summary(metrics: dict[str, Any]) -> list[Block]:
    """How good, against what, on which words, and what fails."""
    failed = {kind: metrics[f"num_{kind}"] for kind in KINDS if kind != "right" and metrics[f"num_{kind}"]}
    listed = "; ".join(
        f"{count} {kind} ({KINDS[kind]})" for kind, count in sorted(failed.items(), key=lambda row: -row[1])
    )
    words = f"{metrics['num_right']:,} of {metrics['num_entities']:,} entities are found exactly."
    return [*blocks.headline(metrics), text(f"{words} Errors: {listed or 'none'}."), text(RAW_TEXT.format(**metrics))]


def main(trained: Trained[Params]) -> None:
    chosen, config, world, model = trained.params.evaluate, trained.config, trained.world, trained.model
    assert isinstance(model, LSTMTagger | CheckpointTagger)
    train, test = trained.prepared.table("train"), trained.prepared.table("test")
    start, features = time.perf_counter(), load_features(config["features"])
    tokens, documents = test.ragged("tokens"), test.fixed("document")
    predicted, probability = tag(model, tokens, documents, features, config, chosen.batch_size, world)
    seconds = time.perf_counter() - start
    said = text_predictor(model, config, chosen.batch_size, world)(list(test.strings("text")))
    if not world.is_first:
        return
    actual, known_tags = (by_sentence(*table.ragged("tags"), config["classes"]) for table in (test, train))
    words, known, found = words_of(test), words_of(train), scores.matches(actual, predicted)
    names = scores.names_of(known, known_tags)
    bins = reliability(*entity_confidence(actual, predicted, probability))
    guesses = {
        "gazetteer": baselines.gazetteer(words, names),
        "linear": baselines.linear(known, known_tags, words, chosen.seed),
    }
    metrics = measure(actual, predicted, derive(chosen.seed, "bootstrap")) | count_kinds(found, words, names)
    metrics["raw_text_f1"] = round(raw_text_f1(test, actual, said), DIGITS)
    metrics["calibration_error"] = round(bins.calibration_error, DIGITS) if len(bins.num_samples) else None
    metrics["baseline"] = {f"{name}_f1": f1_of_tags(actual, guess) for name, guess in guesses.items()}
    metrics["source"] = trained.prepared.manifest["source"]

    results, ids = trained.project.results("evaluate"), test.strings("id")
    confidence = [confidence_of(one.entity, probability[one.sentence]) for one in found]
    rows = [(ids[one.sentence], one.actual, one.predicted, sure) for one, sure in zip(found, confidence, strict=True)]
    write_tsv(results / "predictions.csv", ("id", "actual", "predicted", "confidence"), rows)
    shown = [*worst(ids, words, found, confidence, chosen.num_worst), *page(metrics, found, bins)]
    blocks.leave(results, shown, summary=summary(metrics), params=chosen.model_dump())
    write_json(results / "run.json", {"predict_seconds": round(seconds, 1)})
    write_json(results / "metrics.json", metrics)
    print(f"{metrics['num_samples']:,} test sentences, source: {metrics['source']}")
    keys = "f1", "f1_low", "f1_high", "raw_text_f1", "precision", "recall", "recall_seen", "recall_unseen"
    for name, value in [*((key, metrics[key]) for key in keys if key in metrics), *metrics["baseline"].items()]:
        print(f"{name:20}{value:.4f}")


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
