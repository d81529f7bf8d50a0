"""Explain stage: trained weights and test sentences -> results/explain/ (attributions and tests of them).

    python -m projects.conll_ner.explain                                            # as params.yaml says
    python -m projects.conll_ner.explain 'explain.methods=[word_occlusion]'         # this run only
    python -m projects.conll_ner.explain explain.num_scored=500                     # closer figures, longer

What is explained is an entity's type: at its first word, the log-odds of the highest B-tag, right or wrong, among all
B-tags, before the CRF weighs neighbours. That it is an entity at all adds to all B-tags alike, and drops out. Where
there is only one type, O stands beside it. One entity of each sentence of the test split is a question.
What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.data.batches import Batch, Padded
from shared.data.table import Ragged
from shared.explain.parts import log_odds, select_fields
from shared.explain.stage import class_facts, draw, explain
from shared.text.parts import TEXT_METHODS, TextScene
from shared.text.show import show
from shared.training.stage import Trained, trained_stage

from .data import NEWLINE, Sequences, by_sentence, read_sequences, words_of
from .model import Tagger, load_model
from .params import Params
from .tags import OUTSIDE, entities, tag_names

BATCH = 32  # questions predicted at once


def begins(classes: Sequence[str]) -> list[int]:
    """The tags that are compared: all that begin an entity; with a single type, O as well."""
    columns = [number for number, name in enumerate(tag_names(classes)) if name.startswith("B-")]
    return columns if len(columns) > 1 else [0, *columns]


def scores_at(model: nn.Module, batch: Batch, columns: list[int]) -> Tensor:
    """(M, C): the scores of these tags at the word "place" (M,) of each question."""
    places = batch["place"]
    emissions: Tensor = model(batch["tokens"], batch["tokens_mask"])
    return emissions[torch.arange(len(places), device=places.device), places][:, columns]


class Question(NamedTuple):
    """Why does this entity have its type?

    sentence: its number; number: of the entity there, from 1; start, end: its words, by their numbers among all words.
    """

    sentence: int
    number: int
    start: int
    end: int
    label: str


def questions(tags: Ragged, classes: Sequence[str]) -> list[Question]:
    """Every entity of the split."""
    return [
        Question(sentence, number, start + one.start, start + one.end, one.label)
        for sentence, (start, names) in enumerate(zip(tags.offsets.tolist(), by_sentence(tags, classes), strict=False))
        for number, one in enumerate(entities(names), 1)
    ]


def laid_out(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a sequence, and where its words lie in it; the span of a line end between sentences is empty."""
    text, spans = "", []
    for word in words:
        shown = word if word == NEWLINE else f"{word} "
        spans.append((len(text), len(text) + len(shown.rstrip())))
        text += shown
    return text, spans


def evidence_of(asked: Sequence[Question], evidence: Ragged, sequences: Sequences, mask: Tensor) -> Tensor:
    """Like mask (N, L): the words that decide the entity asked about, as far as they are in the same sequence."""
    marked = torch.zeros(mask.shape, dtype=torch.bool)
    row, place = sequences.find()
    for question, one in enumerate(asked):
        words = evidence.offsets[one.sentence] + np.flatnonzero(evidence.row(one.sentence) == one.number)
        marked[question, place[words[row[words] == row[one.start]]]] = True
    return marked


def main(trained: Trained[Params]) -> None:
    model, table, config, chosen = trained.model, trained.prepared.table("test"), trained.config, trained.params.explain
    assert isinstance(model, Tagger)
    columns, sequences = begins(config["classes"]), read_sequences(table, config)
    row, place = sequences.find()
    whole = [one for one in questions(table.ragged("tags"), config["classes"]) if row[one.start] == row[one.end - 1]]
    one_each: dict[int, Question] = {}  # sentence -> an entity of it: the tests take their questions for independent
    for number in draw(len(whole), chosen.seed).tolist():
        one_each.setdefault(whole[number].sentence, whole[number])
    asked = list(one_each.values())
    if not asked:
        raise UserError("explain: no entity in the test sentences", fix="see what prepare made of the data")
    starts = [one.start for one in asked]
    rows, places = torch.from_numpy(row[starts]), torch.from_numpy(place[starts])
    tokens, mask = Padded(sequences.tokens, trained.world.device)(rows)
    batch = {"tokens": tokens, "tokens_mask": mask, "place": places.to(trained.world.device)}
    with torch.inference_mode():
        chunks = torch.arange(len(asked)).split(BATCH)  # type: ignore[no-untyped-call]
        found = [scores_at(model, select_fields(batch, some), columns).softmax(1).cpu() for some in chunks]
    probabilities = torch.cat(found)
    targets, types = probabilities.argmax(1), [tag_names(config["classes"])[tag][2:] or OUTSIDE for tag in columns]
    facts = class_facts(torch.tensor([types.index(one.label) for one in asked]), probabilities, types)
    words = np.array([word for of_text in words_of(table) for word in of_text], object)
    for fact, one, target in zip(facts, asked, targets.tolist(), strict=True):
        fact["question"] = f"Why is {' '.join(words[one.start : one.end])!r} {types[target]}?"
    shown = sequences.take(words, NEWLINE)
    texts, spans = zip(*(laid_out(shown.row(number).tolist()) for number in rows.tolist()), strict=True)
    evidence = evidence_of(asked, table.ragged("evidence"), sequences, mask) if "evidence" in table else None

    def value(model: nn.Module, batch: Batch) -> Tensor:
        return log_odds(scores_at(model, batch, columns), batch["target"])

    fields = {"target": targets, "place": places}
    explain(
        trained,
        TextScene.of(texts, spans, tokens, mask, model.baseline(tokens, mask), fields, evidence),
        value,
        facts,
        methods=TEXT_METHODS,
        show=show,
        unit="entities",
        part="words",
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
