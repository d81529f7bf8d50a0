"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.conll_ner.evaluate                         # as params.yaml says
    python -m projects.conll_ner.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.conll_ner.evaluate

metrics.json      entity F1 with its 95 % interval over the words that the data give, and from raw texts
                  (raw_text_f1); precision, recall, figures of each type, baselines, kinds of errors (scores.py)
predictions.csv   one row per entity: id of its sentence, actual type, predicted type, confidence
run.json          seconds that the predictions took
page.json         the blocks of the page
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from seqeval.metrics import classification_report
from sklearn.metrics import confusion_matrix

from shared.core.files import write_tsv
from shared.data.table import Ragged
from shared.evaluation.comparison import baseline_blocks, corpus_metric, errors_intro, leave_evaluation
from shared.evaluation.intervals import DIGITS
from shared.evaluation.metrics import Reliability, reliability
from shared.report import blocks
from shared.report.blocks import Block, articles, matrix, scatter, section, table, text
from shared.training.stage import Trained, trained_stage

from . import baselines, scores
from .data import by_sentence, read_sequences, words_of
from .model import Tagger, load_model
from .params import Params
from .scores import BOUNDARY, KINDS, MISSED, Match, Tags, Words
from .tagging import tag, text_predictor
from .tags import confidence_of, entities

RAW_TEXT = (
    "F1 is measured over the words that the data give, as papers do it. predict is given a text: it splits it into "
    "words itself, as far as possible like those of train, and reads it without the sentences around it. From the raw "
    "text of each sentence F1 is {raw_text_f1:.3f}."
)


def measure(actual: Tags, predicted: Tags, guesses: Mapping[str, Tags], seed: int) -> dict[str, Any]:
    """The figures of all entities and of each type, by seqeval; 0 where one would be 0 / 0. F1 with its interval over
    sentences, beside that of the baselines' guesses."""
    report: Any = classification_report(actual, predicted, output_dict=True, zero_division=0)
    keys = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    rows = {
        label: {key: round(float(row[of]), DIGITS) for key, of in keys.items()} | {"num_samples": int(row["support"])}
        for label, row in report.items()
    }
    total = rows["micro avg"]
    true = [*map(entities, actual)]
    counts = {name: scores.count(true, [*map(entities, tags)]) for name, tags in guesses.items()}
    own = scores.count(true, [*map(entities, predicted)])
    return corpus_metric("f1", own, counts, scores.f1_of, seed) | {
        "precision": total["precision"],
        "recall": total["recall"],
        "num_samples": len(actual),
        "unit": "sentences",
        "num_entities": total["num_samples"],
        "by_class": {label: row for label, row in rows.items() if not label.endswith(" avg")},
    }


def raw_text_f1(spans: Ragged, actual: Tags, found: Sequence[dict[str, Any]]) -> float:
    """F1 of what predict finds in the raw texts, by the characters that entities span.

    Args:
        spans: of the words of each text.
    """
    places = []
    for row, tags in enumerate(actual):
        bounds = spans.row(row).tolist()
        places.append([(bounds[start][0], bounds[end - 1][1], label) for start, end, label in entities(tags)])
    said = [[(one["start"], one["end"], one["label"]) for one in of_text.get("entities", ())] for of_text in found]
    return round(float(scores.f1_of(scores.count(places, said).sum(axis=0))), DIGITS)


def entity_reliability(actual: Tags, predicted: Tags, probability: Sequence[np.ndarray]) -> Reliability:
    """The confidence of predicted entities against the share of them that is right."""
    pairs = [
        (confidence_of(one, of_tags), one in entities(true))
        for true, guess, of_tags in zip(actual, predicted, probability, strict=True)
        for one in entities(guess)
    ]
    return reliability(*np.array(pairs, np.float64).reshape(-1, 2).T)


def error_blocks(
    metrics: dict[str, Any], ids: Sequence[str], texts: Words, found: Sequence[Match], num_worst: int
) -> list[Block]:
    """The kinds of errors, the matrix of types, and the most confident errors, to which its counts lead: each as its
    sentence, with the entity in brackets."""
    names = [*sorted(metrics["by_class"]), BOUNDARY, MISSED]
    confused = confusion_matrix([one.actual for one in found], [one.predicted for one in found], labels=names)
    wrong = [one for one in found if one.kind != "right"]
    wrong.sort(key=lambda one: (-one.confidence, one.sentence, one.entity))
    shown, links = [], dict[str, str]()
    for one in wrong[:num_worst]:
        words, (start, end, _) = texts[one.sentence], one.entity
        name = " ".join(words[start:end])
        sentence = " ".join([*words[:start], f"[{name}]", *words[end:]])
        row = {"title": f"{name}: {one.actual}, predicted {one.predicted}", "text": sentence, "group": one.actual}
        row["note"] = f"{ids[one.sentence]}; confidence {one.confidence:.0%}"
        place = f"{names.index(one.actual)}-{names.index(one.predicted)}"
        shown.append(row if place in links else row | {"id": f"error-{place}"})
        links.setdefault(place, f"error-{place}")
    return [
        section("Errors"),
        table(["Kind", "Meaning", "Entities"], [[kind, KINDS[kind], metrics[f"num_{kind}"]] for kind in KINDS]),
        matrix("confusion", "Types, and what was predicted for them", confused, names, links),
        errors_intro(len(shown), len(wrong)) if shown else text("No entity is wrong."),
        *([articles(shown, by="Type")] if shown else []),
    ]  # fmt: skip


def page(metrics: dict[str, Any], bins: Reliability) -> list[Block]:
    """The stage's part of the page after the errors."""
    ranked = sorted(metrics["by_class"].items(), key=lambda row: (row[1]["f1"], row[0]))
    types = [[name, *(row[key] for key in ("precision", "recall", "f1", "num_samples"))] for name, row in ranked]
    seen = {"seen": "in train, with this type", "unseen": "not in train"}
    by_seen = [[title, metrics[f"num_{key}"], metrics.get(f"recall_{key}")] for key, title in seen.items()]
    return [
        section("By type"),
        table(["Type", "Precision", "Recall", "F1", "Entities"], types),
        section("Seen and unseen names"),
        table(["Name", "Entities", "Recall"], by_seen),
        section("Confidence"),
        scatter("reliability", "Share of right entities over confidence", *bins, "confidence", "right", diagonal=True),
    ]  # fmt: skip


def summary(metrics: dict[str, Any]) -> list[Block]:
    """How good, against what, on which words, and what fails."""
    failed = [(kind, metrics[f"num_{kind}"]) for kind in KINDS if kind != "right" and metrics[f"num_{kind}"]]
    failed.sort(key=lambda row: -row[1])
    listed = "; ".join(f"{count} {kind} ({KINDS[kind]})" for kind, count in failed)
    wrong = metrics["num_entities"] - metrics["num_right"]
    words = f"{wrong:,} of {metrics['num_entities']:,} entities wrong or missed"
    return [*blocks.headline(metrics, words), text(f"Errors: {listed or 'none'}."), text(RAW_TEXT.format(**metrics))]


def main(trained: Trained[Params]) -> None:
    chosen, config, world, model = trained.params.evaluate, trained.config, trained.world, trained.model
    assert isinstance(model, Tagger)
    train, test = trained.prepared.table("train"), trained.prepared.table("test")
    start = time.perf_counter()
    predicted, probability = tag(model, read_sequences(test, config), config["classes"], chosen.batch_size, world)
    seconds = time.perf_counter() - start
    from_texts = text_predictor(model, config, chosen.batch_size, world)(list(test.strings("text")))
    if not world.is_first:
        return
    actual, known_tags = (by_sentence(table.ragged("tags"), config["classes"]) for table in (test, train))
    words, known = words_of(test), words_of(train)
    names, found = scores.names_of(known, known_tags), scores.matches(actual, predicted, probability)
    bins = entity_reliability(actual, predicted, probability)
    guesses = {
        "gazetteer": baselines.gazetteer(words, names),
        "linear": baselines.linear(known, known_tags, words, chosen.seed),
    }
    metrics = measure(actual, predicted, guesses, chosen.seed) | scores.count_kinds(found, words, names)
    metrics["raw_text_f1"] = raw_text_f1(test.ragged("span"), actual, from_texts)
    metrics["calibration_error"] = round(bins.calibration_error, DIGITS) if len(bins.num_samples) else None
    metrics["source"] = trained.prepared.manifest["source"]

    ids = test.strings("id")
    rows = [(ids[one.sentence], one.actual, one.predicted, one.confidence) for one in found]
    columns = "id", "actual", "predicted", "confidence"
    write_tsv(trained.project.results("evaluate") / "predictions.csv", columns, rows)
    errors = error_blocks(metrics, ids, words, found, chosen.num_worst)
    shown = [*baseline_blocks(metrics), *errors, *page(metrics, bins)]
    leave_evaluation(trained, metrics, shown, summary(metrics), seconds)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
