"""Explain stage: trained weights and test sentences -> results/explain/ (attributions and tests of them).

    python -m projects.conll_ner.explain                                            # as params.yaml says
    python -m projects.conll_ner.explain 'explain.methods=[occlusion]'              # this run only
    python -m projects.conll_ner.explain explain.num_scored=500                     # closer figures, longer

What is explained is an entity's type: at its first word, the score of the highest B-tag, right or wrong, over the mean
of all B-tags, before the CRF weighs neighbours. That it is an entity at all adds to all B-tags alike, and drops out.
Where there is only one type, O stands beside it. One entity of each test sequence is asked about.
What the files hold, and which figure means what: shared/explain/text.py.
"""

import numpy as np
import torch
from shared.data.columns import Columns, Ragged, read_columns, select
from torch import Tensor, nn

from shared.core.cli import run
from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.draws import generator
from shared.data.prepared import read_manifest
from shared.explain.choose import draw
from shared.explain.text import Fact, Score, TextScene, explain_texts
from shared.text.batches import Padded
from shared.training.device import pick_device

from .data import NEWLINE
from .model import Tagger, load_model
from .params import Params
from .tags import OUTSIDE, Entity, entities, split_tag, tag_names

PROJECT = Project.of(__file__)
BATCH = 32  # sequences predicted at once


def make_score(columns: list[int]) -> Score:
    """(N, C) scores of these tags at each question's word, over their mean."""

    def score(model: nn.Module, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        scores: Tensor = model(tokens, mask)[torch.arange(len(places), device=places.device), places][:, columns]
        return scores - scores.mean(dim=1, keepdim=True)

    return score


def begins(names: list[str]) -> list[int]:
    """The tags that are compared: all that begin an entity; O too where this is one."""
    columns = [number for number, name in enumerate(names) if split_tag(name)[0] == "B"]
    return columns if len(columns) > 1 else [names.index(OUTSIDE), *columns]


def with_entities(split: Columns, names: list[str]) -> Columns:
    """The sequences that hold an entity."""
    tags = split["tags"]
    assert isinstance(tags, Ragged)
    outside = names.index(OUTSIDE)
    chosen = [row for row in range(len(tags.offsets) - 1) if (tags.row(row) != outside).any()]
    if not chosen:
        raise UserError("explain: no entity in the test sentences", fix="see what prepare made of the data")
    return select(split, np.array(chosen))


def ask(split: Columns, names: list[str], seed: int) -> list[tuple[int, Entity]]:
    """Of each sequence one of its entities, drawn, with its number from 1."""
    tags = split["tags"]
    assert isinstance(tags, Ragged)
    found = []
    for row in range(len(tags.offsets) - 1):
        there = entities([names[tag] for tag in tags.row(row).tolist()])
        number = int(torch.randint(len(there), (), generator=generator(seed, "entity", row)))
        found.append((number + 1, there[number]))
    return found


@torch.no_grad()
def predict(model: Tagger, score: Score, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """(N, C) probabilities of the compared tags at each question's word."""
    device = next(model.parameters()).device
    parts = torch.arange(len(places)).split(BATCH)  # type: ignore[no-untyped-call]
    asked = (tuple(part[rows].to(device) for part in (tokens, mask, places)) for rows in parts)
    return torch.cat([score(model, *some).softmax(1).cpu() for some in asked])


def scene_of(model: Tagger, split: Columns, names: list[str], seed: int) -> tuple[TextScene, list[Fact]]:
    """A question for each sequence: why has this word this tag?"""
    tokens, spans, texts, ids = (split[name] for name in ("tokens", "spans", "texts", "ids"))
    assert isinstance(tokens, Ragged) and isinstance(spans, Ragged)  # noqa: PT018
    assert isinstance(texts, list) and isinstance(ids, list)  # noqa: PT018
    numbers, mask = Padded(tokens, torch.device("cpu"))(torch.arange(len(texts)))
    asked, columns = ask(split, names, seed), begins(names)
    places = torch.tensor([entity.start for _, entity in asked])
    sure, targets = predict(model, make_score(columns), numbers, mask, places).max(dim=1)
    facts = []
    for row, (_, entity) in enumerate(asked):
        said = split_tag(names[columns[int(targets[row])]])[1] or OUTSIDE
        bounds = spans.row(row)
        name = texts[row][bounds[entity.start, 0] : bounds[entity.end - 1, 1]]
        facts.append(
            {
                "id": ids[row],
                "true": entity.label,
                "predicted": said,
                "probability": round(float(sure[row]), 6),
                "correct": said == entity.label,
                "question": f"Why is {name!r} {said}?",
            }
        )
    scene = TextScene(
        texts=texts,
        spans=[_spans(text, spans.row(row)) for row, text in enumerate(texts)],
        tokens=numbers,
        mask=mask,
        baselines=model.baseline(numbers, mask),
        targets=targets,
        places=places,
        evidence=_evidence(split, mask, asked),
    )
    return scene, facts


def _spans(text: str, bounds: np.ndarray) -> list[tuple[int, int]]:
    """Places of words; a line end between sentences is none."""
    return [(start, start if text[start:end] == NEWLINE else end) for start, end in bounds.tolist()]


def _evidence(split: Columns, mask: Tensor, asked: list[tuple[int, Entity]]) -> Tensor | None:
    """(N, L) bool: the words that decide the entity asked about."""
    if "evidence" not in split:
        return None
    evidence = split["evidence"]
    assert isinstance(evidence, Ragged)
    of_words, _ = Padded(evidence, torch.device("cpu"))(torch.arange(len(mask)))
    return of_words == torch.tensor([number for number, _ in asked])[:, None]


def main(params: Params) -> None:
    model, _ = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    names = tag_names(read_manifest(PROJECT.prepared)["classes"])
    split = with_entities(read_columns(PROJECT.prepared, "test"), names)
    split = select(split, draw(len(split["ids"]), params.explain.seed))
    scene, facts = scene_of(model.to(pick_device(params.runtime.device)), split, names, params.explain.seed)
    explain_texts(
        model,
        scene,
        facts,
        score=make_score(begins(names)),
        unit="entities",
        params=params.explain,
        results=PROJECT.results("explain"),
    )


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
