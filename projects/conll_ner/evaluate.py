"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.conll_ner.evaluate    # as params.yaml says
    torchrun --nproc-per-node 2 -m projects.conll_ner.evaluate

metrics.json            entity F1 with its 95% interval, precision, recall, figures of each type, baseline, errors
predictions.csv         one row an entity: id of its sentence, actual type, predicted type, confidence
reliability.tsv         confidence of predicted entities against how often they are right
section_errors.json     kinds of errors; section_names.json  names that train holds, and new ones: tables for the page
run.json                how long the predictions took
worst/index.json        the sentences of the most confident errors

What an entity, a right one, and a kind of error are: scores.py.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from shared.data.columns import Columns, Ragged, read_columns
from shared.evaluation.plots import write_predictions, write_reliability
from torch import Tensor

from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.core.seed import derive
from shared.data.batches import length_shares
from shared.data.prepared import check_same, read_manifest
from shared.evaluation.metrics import DIGITS, calibration_error, reliability
from shared.evaluation.records import Records, collect
from shared.text.batches import text_reader
from shared.training.distributed import World, join, run

from . import scores
from .data import NEWLINE, read_features
from .model import Tagger, load_model
from .params import Evaluate, Params
from .scores import BOUNDARY, MISSED, Match
from .tags import entities, tag_names

PROJECT = Project.of(__file__)


@dataclass(frozen=True)
class Tagged:
    """Sentences, each with an id, words, their tags in truth and as predicted, and (L,) the latter's probability."""

    ids: list[str]
    words: list[list[str]]
    actual: list[list[str]]
    predicted: list[list[str]]
    probability: list[np.ndarray]


def predict(model: Tagger, split: Columns, batch_size: int, world: World) -> Records:
    """Of every test sequence, whole on every rank: `tags` (N, L) int64 and `probability` (N, L), 0 where padded."""
    tokens, tags = split["tokens"], split["tags"]
    assert isinstance(tokens, Ragged)
    assert isinstance(tags, Ragged)
    read, longest = text_reader(tokens, tags, world.device), int(tokens.lengths.max())

    def record(index: Tensor) -> Records:
        numbers, mask, _ = read(index)
        emissions = model(numbers, mask)
        found = model.crf.decode(emissions, mask)
        sure = model.crf.marginals(emissions, mask).gather(2, found[:, :, None])[:, :, 0].masked_fill(~mask, 0)
        missing = (0, longest - mask.shape[1])
        return {"tags": torch.nn.functional.pad(found, missing), "probability": torch.nn.functional.pad(sure, missing)}

    return collect(record, length_shares(tokens.lengths, batch_size, world), world)


def sentences(split: Columns, records: Records | None, names: Sequence[str]) -> Tagged:
    """Sequences cut into sentences at their line ends. Without records the truth stands for the prediction."""
    tokens, spans, tags = (split[name] for name in ("tokens", "spans", "tags"))
    ids, texts = split["ids"], split["texts"]
    assert isinstance(ids, list) and isinstance(texts, list)  # noqa: PT018
    assert isinstance(tokens, Ragged) and isinstance(spans, Ragged) and isinstance(tags, Ragged)  # noqa: PT018
    found = Tagged([], [], [], [], [])
    for row, (id_, text) in enumerate(zip(ids, texts, strict=True)):
        words = [text[start:end] for start, end in spans.row(row).tolist()]
        true = [names[tag] for tag in tags.row(row).tolist()]
        said, sure = true, np.ones(len(words))
        if records is not None:
            said = [names[tag] for tag in records["tags"][row, : len(words)].tolist()]
            sure = records["probability"][row, : len(words)].double().numpy()
        edges = [-1, *(place for place, word in enumerate(words) if word == NEWLINE), len(words)]
        for number, (before, end) in enumerate(pairwise(edges)):
            part = slice(before + 1, end)
            found.ids.append(f"{id_} ({number + 1})" if len(edges) > 2 else id_)
            found.words.append(words[part])
            found.actual.append(true[part])
            found.predicted.append(said[part])
            found.probability.append(sure[part])
    return found


def write(tagged: Tagged, train: Tagged, manifest: dict[str, Any], params: Evaluate) -> None:
    """All files of the stage, metrics.json last, and the figures on the terminal."""
    results, classes = PROJECT.results("evaluate"), manifest["classes"]
    found = scores.matches(tagged.actual, tagged.predicted)
    confidence = [confidence_of(one, tagged) for one in found]
    rows = [(tagged.ids[one.sentence], one.actual, one.predicted) for one in found]
    write_predictions(results / "predictions.csv", [(*row, sure) for row, sure in zip(rows, confidence, strict=True)])
    sure, right = predicted_entities(tagged)
    bins = reliability(sure, right)
    write_reliability(results / "reliability.tsv", bins)
    with replace_folder(results / "worst") as folder:
        write_json(folder / "index.json", worst(tagged, found, confidence, params.num_worst))

    names = scores.names_of(train.words, train.actual)
    by_seen = scores.recall_by_seen(found, tagged.words, names)
    write_json(results / "section_errors.json", errors_section(found))
    write_json(results / "section_names.json", names_section(by_seen))
    looked_up = scores.gazetteer(tagged.words, names)
    metrics = {
        "source": manifest["source"],
        "unit": "sentences",
        **scores.summary(tagged.actual, tagged.predicted, classes, derive(params.seed, "bootstrap")),
        **{f"num_{kind}": count for kind, count in scores.kinds(found).items()},
        **{f"recall_{key}": round(right / total, DIGITS) for key, (right, total) in by_seen.items() if total},
        "calibration_error": round(calibration_error(bins), DIGITS) if len(sure) else None,
        "baseline": {"gazetteer_f1": round(scores.micro(tagged.actual, looked_up)[2], DIGITS)},
    }
    write_json(results / "metrics.json", metrics)
    print(table(metrics))


def confidence_of(match: Match, tagged: Tagged) -> float:
    """The least probability of the predicted tags at the match's words."""
    part = tagged.probability[match.sentence][match.entity.start : match.entity.end]
    return float(part.min())


def predicted_entities(tagged: Tagged) -> tuple[np.ndarray, np.ndarray]:
    """Of each predicted entity its confidence (N,), the least probability of its tags, and whether it is right (N,)."""
    sure, right = [], []
    for true, said, probability in zip(tagged.actual, tagged.predicted, tagged.probability, strict=True):
        known = set(entities(true))
        for one in entities(said):
            sure.append(float(probability[one.start : one.end].min()))
            right.append(one in known)
    return np.clip(np.array(sure, dtype=np.float64), 0, 1), np.array(right, dtype=bool)


def worst(tagged: Tagged, found: Sequence[Match], confidence: Sequence[float], number: int) -> list[dict[str, Any]]:
    """The most confident errors: id, actual, predicted, confidence, and the sentence with the words in brackets."""
    wrong = [(sure, one) for sure, one in zip(confidence, found, strict=True) if one.kind != "right"]
    wrong.sort(key=lambda pair: (-pair[0], pair[1].sentence, pair[1].entity))
    return [
        {
            "id": tagged.ids[one.sentence],
            "actual": one.actual,
            "predicted": one.predicted,
            "confidence": round(sure, DIGITS),
            "text": _bracketed(tagged.words[one.sentence], one.entity.start, one.entity.end),
        }
        for sure, one in wrong[:number]
    ]


def _bracketed(words: Sequence[str], start: int, end: int) -> str:
    parts = [*words[:start], "[" + " ".join(words[start:end]) + "]", *words[end:]]
    return " ".join(parts)


def errors_section(found: Sequence[Match]) -> dict[str, Any]:
    """The page's table of what became of each entity."""
    counted, meaning = scores.kinds(found), {
        "right": "same words, same type",
        "type": "same words, another type",
        "boundary": "some of its words, or more",
        "missed": "no word of it found",
        "spurious": "predicted where no entity is",
    }  # fmt: skip
    rows = [[kind, meaning[kind], f"{count:,}"] for kind, count in counted.items()]
    intro = f"Confusions name the first three kinds by their types; {BOUNDARY} and {MISSED} stand for the others."
    return {"title": "Kinds of errors", "intro": intro, "columns": ["kind", "meaning", "entities"], "rows": rows}


def names_section(by_seen: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The page's table of names that train holds with the same type, and of all others."""
    label = {"seen": "in train, with this type", "unseen": "not in train"}
    rows = [
        [label[key], f"{total:,}", f"{right / total:.3f}" if total else ""] for key, (right, total) in by_seen.items()
    ]
    return {"title": "Seen and unseen names", "columns": ["name", "entities", "recall"], "rows": rows}


def table(metrics: dict[str, Any]) -> str:
    """The figures as aligned lines for the terminal."""
    f1 = f"{metrics['f1']:.4f}  (95%: {metrics['f1_low']:.4f} to {metrics['f1_high']:.4f})"
    lines = [f"{metrics['num_samples']} test sentences, source: {metrics['source']}", f"{'entity F1':28}{f1}"]
    names = [name for name in ("precision", "recall", "recall_seen", "recall_unseen") if name in metrics]
    lines += [f"{name:28}{metrics[name]:.4f}" for name in names]
    lines += [f"{'baseline: gazetteer':28}{metrics['baseline']['gazetteer_f1']:.4f}"]
    return "\n".join(lines)


def main(params: Params) -> None:
    chosen = params.evaluate
    model, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    manifest = read_manifest(PROJECT.prepared)
    prepared = manifest | {"features": read_features(PROJECT.prepared)}
    check_same(PROJECT, config, prepared, "classes", "max_tokens", "join_sentences", "features")
    test, names = read_columns(PROJECT.prepared, "test"), tag_names(manifest["classes"])
    with join(params.runtime) as world:
        start = time.perf_counter()
        records = predict(model.to(world.device), test, chosen.batch_size, world)
        seconds = time.perf_counter() - start
        if world.is_first:
            train = sentences(read_columns(PROJECT.prepared, "train"), None, names)
            write(sentences(test, records, names), train, manifest, chosen)
            write_json(PROJECT.results("evaluate") / "run.json", {"predict_seconds": round(seconds, 1)})


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
