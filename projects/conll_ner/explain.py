"""Explain stage: trained weights and test sentences -> results/explain/ (attributions and tests of them).

    python -m projects.conll_ner.explain                                            # as params.yaml says
    python -m projects.conll_ner.explain 'explain.methods=[word_occlusion]'         # this run only
    python -m projects.conll_ner.explain explain.num_scored=500                     # closer figures, longer

What is explained is an entity's type: at its first word, the log-odds of the highest B-tag, right or wrong, among all
B-tags, before the CRF weighs neighbours. That it is an entity at all adds to all B-tags alike, and drops out. Where
there is only one type, O stands beside it. Each entity of the test split is a question.
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
from shared.data.table import Table
from shared.explain.parts import log_odds, select_fields
from shared.explain.stage import class_facts, draw, explain
from shared.text.parts import TEXT_METHODS, TextScene
from shared.text.show import show
from shared.training.stage import Trained, trained_stage

from .data import NEWLINE, Sequences, by_sentence, load_features, read_sequences, words_of
from .model import CheckpointTagger, LSTMTagger, load_model
from .params import Params
from .tags import OUTSIDE, entities, tag_names

BATCH = 32  # questions predicted at once


def begins(classes: Sequence[str]) -> list[int]:
    """The tags that are compared: all that begin an entity; O too where this is one."""
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


def questions(table: Table, classes: Sequence[str]) -> list[Question]:
    """Every entity of the split."""
    tags = table.ragged("tags")
    sentences = zip(tags.offsets.tolist(), by_sentence(tags.values, tags.offsets, classes), strict=False)
    return [
        Question(sentence, number, start + one.start, start + one.end, one.label)
        for sentence, (start, of_sentence) in enumerate(sentences)
        for number, one in enumerate(entities(of_sentence), 1)
    ]


def laid_out(numbers: Sequence[int], words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a sequence, and where its words lie in it; a line end between sentences is none of them."""
    text, spans = "", []
    for number in numbers:
        shown = NEWLINE if number < 0 else f"{words[number]} "
        spans.append((len(text), len(text) + len(shown.rstrip())))
        text += shown
    return text, spans


def evidence_of(asked: Sequence[Question], table: Table, sequences: Sequences, rows: Tensor) -> Tensor | None:
    """(N, L) bool: the words that decide the entity asked about; None where the data does not say."""
    if "evidence" not in table:
        return None
    evidence = table.ragged("evidence")
    sentences = np.repeat(np.arange(len(table)), evidence.lengths)
    numbers, of_sentence = (Padded(sequences.take(part, -1))(rows)[0] for part in (evidence.values, sentences))
    number, sentence = (torch.tensor(of_all)[:, None] for of_all in zip(*(one[1::-1] for one in asked), strict=True))
    return (numbers == number) & (of_sentence == sentence)


def main(trained: Trained[Params]) -> None:
    model, table, config, chosen = trained.model, trained.prepared.table("test"), trained.config, trained.params.explain
    assert isinstance(model, LSTMTagger | CheckpointTagger)
    device, features, columns = trained.world.device, load_features(config["features"]), begins(config["classes"])
    sequences = read_sequences(table, features, config)
    row, place = sequences.places()
    whole = [one for one in questions(table, config["classes"]) if row[one.start] == row[one.end - 1]]
    asked = [whole[number] for number in draw(len(whole), chosen.seed).tolist()]
    if not asked:
        raise UserError("explain: no entity in the test sentences", fix="see what prepare made of the data")
    starts = [one.start for one in asked]
    rows, places = torch.from_numpy(row[starts]), torch.from_numpy(place[starts])
    tokens, mask = Padded(sequences.take(table.ragged("tokens").values, features.encode([NEWLINE])), device)(rows)
    batch = {"tokens": tokens, "tokens_mask": mask, "place": places.to(device)}
    with torch.inference_mode():
        chunks = torch.arange(len(asked), device=device).split(BATCH)  # type: ignore[no-untyped-call]
        found = [scores_at(model, select_fields(batch, some), columns).softmax(1).cpu() for some in chunks]
    probabilities = torch.cat(found)
    targets, types = (
        probabilities.argmax(1),
        [tag_names(config["classes"])[column][2:] or OUTSIDE for column in columns],
    )
    facts = class_facts(torch.tensor([types.index(one.label) for one in asked]), probabilities, types)
    words = [word for of_text in words_of(table) for word in of_text]
    for fact, one, target in zip(facts, asked, targets.tolist(), strict=True):
        fact["question"] = f"Why is {' '.join(words[one.start : one.end])!r} {types[target]}?"
    texts, spans = zip(
        *(laid_out(sequences.words.row(number).tolist(), words) for number in rows.tolist()), strict=True
    )

    def value(model: nn.Module, batch: Batch) -> Tensor:
        return log_odds(scores_at(model, batch, columns), batch["target"])

    fields, evidence = {"target": targets, "place": places}, evidence_of(asked, table, sequences, rows)
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
    trained_stage(main, load_model, Params, __file__)
