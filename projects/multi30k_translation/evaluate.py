"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, translations, worst and best).

    python -m projects.multi30k_translation.evaluate                     # as params.yaml says
    python -m projects.multi30k_translation.evaluate evaluate.beam=1     # greedy, this run only
    torchrun --nproc-per-node 2 -m projects.multi30k_translation.evaluate

metrics.json      BLEU (sacrebleu: 13a, cased, detokenised) with its 95 % interval and signature; chrF, TER, BLEU in
                  lower case, exact match; value_recall (numbers and dates right); rates of failures; baselines
predictions.csv   id, source, reference, translation
run.json          seconds that the translations took
page.json         the blocks of the page
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import CHRF

from shared.core.files import write_tsv
from shared.data.table import Table
from shared.evaluation.comparison import baseline_blocks, leave_evaluation
from shared.evaluation.intervals import DIGITS
from shared.report import blocks
from shared.report.blocks import Block, articles, section, table, text
from shared.training.stage import Trained, trained_stage

from . import scores
from .decoding import Search, translate_all
from .model import load_model
from .params import Params
from .pieces import Pieces

SLICES = 4  # of equal numbers of sentences, from the shortest to the longest
FAILURES = {"repetition": "repeat themselves", "copy": "copy the source", "empty": "are empty"}


def by_length(
    test: Table, outputs: Sequence[str], others: dict[str, list[str]], references: Sequence[str]
) -> list[Block]:
    """BLEU from the shortest to the longest sources."""
    lengths, rows = test.ragged("source").lengths, []
    systems = {"this model": list(outputs), **others}
    stats = {name: scores.statistics(texts, references) for name, texts in systems.items()}
    for part in np.array_split(np.argsort(lengths, kind="stable"), min(SLICES, len(lengths))):
        cells = [scores.bleu_of(of[part].sum(0)) for of in stats.values()]
        rows.append([f"{lengths[part].min()} to {lengths[part].max()}", len(part), *cells])
    return [section("By length"), table(["Source pieces", "Sentences", *(f"BLEU, {name}" for name in systems)], rows)]


def side_by_side(order: Sequence[int], texts: Sequence[Sequence[str]], chrf: np.ndarray) -> Block:
    """Sentences with reference and translation."""
    rows = []
    for row in order:
        source, reference, output = (side[row] for side in texts)
        said = f"reference: {reference}\ntranslation: {output or '(empty)'}"
        rows.append(
            {"title": f"chrF {chrf[row]:.1f}", "text": f"source: {source}\n{said}", "good": output == reference}
        )
    return articles(rows)


def summary(metrics: dict[str, Any]) -> list[Block]:
    """How good, against what, and what fails."""
    found = [f"{metrics['exact_match_accuracy']:.1%} of the sentences are the reference word for word"]
    if metrics["num_values"]:
        what = "numbers and dates" if metrics["values_known"] else "numbers, URLs and placeholders that are to be kept"
        found.append(f"{metrics['value_recall']:.1%} of {metrics['num_values']:,} {what} are right")
    failed = ", ".join(f"{metrics[f'{key}_error_rate']:.1%} {word}" for key, word in FAILURES.items())
    return [*blocks.headline(metrics), text("; ".join(found) + f". Of the translations {failed}.")]


def main(trained: Trained[Params]) -> None:
    chosen, test = trained.params.evaluate, trained.prepared.table("test")
    pieces = Pieces.of(trained.config["pieces"])
    start = time.perf_counter()
    search = Search(chosen.beam, chosen.length_penalty, pieces.marks)
    found = translate_all(trained.model, test.ragged("source"), search, chosen.batch_size, trained.world)
    seconds = time.perf_counter() - start
    if not trained.world.is_first:
        return
    train = trained.prepared.table("train")
    sources, references = list(test.strings("source_text")), list(test.strings("target_text"))
    outputs = [pieces.decode(ids) for ids in found]
    learned = list(train.strings("source_text")), list(train.strings("target_text"))
    others = {"copy": sources, "dictionary": scores.dictionary(*learned, sources)}
    known = "values" in test
    wanted = (
        [row.split("\n") if row else [] for row in test.strings("values")]
        if known
        else scores.verbatim(sources, references)
    )
    right, total = scores.kept_share(wanted, outputs)
    metrics: dict[str, Any] = scores.measure(outputs, references, others, chosen.seed)
    metrics |= {"num_samples": len(test), "unit": "sentences", "values_known": known, "num_values": total}
    metrics |= {"value_recall": round(right / total, DIGITS)} if total else {}
    metrics |= scores.rates(sources, outputs, references)
    metrics["source"] = trained.prepared.manifest["source"]

    chrf = np.array([CHRF().sentence_score(one, [two]).score for one, two in zip(outputs, references, strict=True)])
    order = np.argsort(chrf, kind="stable").tolist()
    texts = sources, references, outputs
    rows = zip(test.strings("id"), sources, references, outputs, strict=True)
    columns = "id", "source", "reference", "translation"
    write_tsv(trained.project.results("evaluate") / "predictions.csv", columns, rows)
    figures = {"BLEU": "bleu_score", "BLEU in lower case": "lowercased_bleu_score", "chrF": "chrf_score",
               "TER (lower is better)": "translation_edit_error_rate"}  # fmt: skip
    page = [
        section("Figures"),
        table(["Figure", "Value"], [[name, metrics[key]] for name, key in figures.items()],
              intro=f"By sacrebleu, in percent; BLEU is {metrics['signature']}."),
        *baseline_blocks(metrics),
        *by_length(test, outputs, others, references),
        section("The worst translations"),
        side_by_side(order[: chosen.num_worst], texts, chrf),
        section("The best translations"),
        side_by_side(order[::-1][: chosen.num_worst], texts, chrf),
    ]  # fmt: skip
    leave_evaluation(trained, metrics, page, summary(metrics), seconds)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
