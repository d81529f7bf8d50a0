"""Explain stage: trained weights and test users -> results/explain/ (attributions and tests of them).

    python -m projects.movielens_recommender.explain                                             # as params.yaml says
    python -m projects.movielens_recommender.explain 'explain.methods=[shapley_value_sampling]'  # this run only

What is explained is a first recommendation: the log-odds of the item among all that the user does not have, and how far
each item of the history raises them. What the files hold, and which figure means what: shared/explain/stage.py. Beside
that, in metrics.json for each method:

    top_beats_others    share of the other items of the history whose removal lowers the score less than that of the
                        item named first: the chance against a random one. Occlusion is this removal, so it reaches 1 by
                        its definition; Shapley values share what several items say together among them
    changed             share of the recommendations that change when items are removed, the highest first
    removed_to_change   and the mean number of items until they do
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.core.files import write_json
from shared.data.batches import Batch
from shared.explain.methods import METHODS as COMMON
from shared.explain.methods import Method, Unsuitable
from shared.explain.parts import FieldScene, Subject, log_odds, removal_ranks
from shared.explain.stage import Fact, draw, explain, highlighted_parts
from shared.report import blocks
from shared.report.blocks import Block
from shared.training.stage import Trained, trained_stage

from .data import Asked, reader, score_of, to_left
from .model import Bag, Recommender, all_scores, load_model
from .params import Params
from .tastes import TASTES

STEPS = 32  # of integrated gradients
AT_ONCE = 512  # histories at once


def remove(fields: Batch, kept: Tensor) -> Batch:
    """Histories without the parts that are not kept: the others move up, as if the user had never had them."""
    kept = kept[:, : fields["items"].shape[1]] & fields["items_mask"]  # "all parts" has those outside of a history too
    items, mask = to_left(fields["items"], kept)
    return fields | {"items": items, "items_mask": mask}


def open_scores(model: nn.Module, batch: Batch) -> Tensor:
    """(M, I): scores, -inf for what the whole history holds: `held` (M, H), -1 where padded."""
    scores = all_scores(model, batch["items"], batch["items_mask"])
    held = batch["held"].masked_fill(batch["held"] < 0, scores.shape[1])
    padded = torch.cat([scores, scores.new_zeros(len(scores), 1)], 1)
    return padded.scatter(1, held, -torch.inf)[:, :-1]


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): log-odds of the recommended item among all that the whole history does not hold."""
    return log_odds(open_scores(model, batch), batch["target"])


class Weighed(nn.Module):
    """A model whose vectors of users (B, D) are given."""

    def __init__(self, model: Recommender, users: Tensor) -> None:
        super().__init__()
        self.users, self.scores = users, model.scores

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        return self.users


def integrated_gradients(subject: Subject, seed: int) -> Tensor:
    """Sundararajan et al. 2017 (arXiv:1703.01365) from the empty history, along the weights of its items; midpoints."""
    model: Any = subject.model
    if not isinstance(model.reader, Bag):
        raise Unsuitable("integrated gradients need a history that is summed; in a sequence no weight leads to nothing")
    maps = torch.zeros(len(subject), subject.num_parts)
    for rows in subject.rows.split(AT_ONCE):  # type: ignore[no-untyped-call]
        batch = subject.on_device(subject.scene.present(rows, subject.inside[rows]))
        shares = model.reader.shares(batch["items_mask"]).detach()
        read = model.vectors()[0].detach()[batch["items"]]
        for step in range(STEPS):
            at = (shares * (step + 0.5) / STEPS).requires_grad_()
            weighed = Weighed(model, (at[:, None] @ read)[:, 0])
            (gradient,) = torch.autograd.grad(subject.value(weighed, batch).sum(), at)
            maps[rows, : shares.shape[1]] += (gradient * shares).cpu() / STEPS
    return maps


METHODS: dict[str, Method] = {
    "history_occlusion": COMMON["occlusion"],
    "shapley_value_sampling": COMMON["shapley_value_sampling"],
    "integrated_gradients": Method(
        "Integrated gradients",
        "How much each item adds to the score on the way from an empty history to the whole one, its weight growing "
        "with those of all others. The values add up to the change of the score.",
        integrated_gradients,
        complete=True,
    ),
}


def show(
    titles: Sequence[str], scene: FieldScene, maps: Mapping[str, Tensor], facts: Sequence[Fact], folder: Path
) -> list[Block]:
    """The histories, each item in the colour of its attribution."""
    both = zip(scene.fields["items"].cpu(), scene.fields["items_mask"].cpu(), strict=True)
    names = [[f"{titles[item]};" for item in items[mask].tolist()] for items, mask in both]
    return [highlighted_parts(names, scene, maps, facts)]


def checks(subject: Subject, maps: Tensor, seed: int) -> dict[str, float]:
    """The figures above, for maps (N, P) of N questions."""
    ranks, sizes = removal_ranks(maps, subject.inside, seed), subject.scene.sizes
    row, part = subject.inside.nonzero().T
    alone = torch.full(maps.shape, torch.nan)  # the score without a single item
    alone[row, part] = subject.values(row, lambda at: torch.arange(maps.shape[1]) != part[at, None]).to(alone)
    first = alone.gather(1, ranks.argmin(1, keepdim=True))
    lower = ((first < alone) + 0.5 * (first == alone)).sum(1) - 0.5  # over the others; equal ones count half
    several = sizes > 1
    needed = torch.zeros(len(sizes), dtype=torch.long)
    for count in range(1, int(sizes.max()) + 1):
        rows = subject.rows[(needed == 0) & (sizes >= count)]
        for some in rows.split(AT_ONCE):  # type: ignore[no-untyped-call]
            kept = (ranks[some] >= count) & subject.inside[some]
            batch = subject.on_device(subject.scene.present(some, kept))
            with torch.no_grad():
                changed = open_scores(subject.model, batch).argmax(1) != batch["target"]
            needed[some[changed.cpu()]] = count
    figures = {
        "top_beats_others": (lower / (sizes - 1))[several],
        "changed": (needed > 0).double(),
        "removed_to_change": needed[needed > 0].double(),
    }
    return {name: round(of.mean().item(), 4) for name, of in figures.items() if len(of)}


def questions(trained: Trained[Params], asked: Asked) -> tuple[FieldScene, list[Fact]]:
    """Why is this item recommended first? One question a user."""
    most, device = trained.config["model"]["max_history"], trained.world.device
    rows = torch.arange(len(asked.ids))
    listed = asked.measure(score_of(trained.model, most, device))[0][:, 0]
    fields = reader(asked.given, most, device)(rows)
    whole = reader(asked.given, int(asked.given.lengths.max()), device)(rows)
    evidence = None
    if trained.prepared.manifest["has_tastes"]:
        known = trained.prepared.read(TASTES)["items"]
        taste = torch.tensor([known[one]["taste"] for one in asked.items["ids"]])
        own = taste[listed][:, None]
        evidence = (taste[fields["items"].cpu()] == own) & (own >= 0) & fields["items_mask"].cpu()
    fields |= {
        "target": torch.from_numpy(listed).to(device),
        "held": whole["items"].masked_fill(~whole["items_mask"], -1),
    }
    facts: list[Fact] = []
    for row, item in enumerate(listed.tolist()):
        right, name = bool(item in asked.wanted.row(row)), asked.titles[item]
        note = "the user wanted it" if right else "not among what the user wanted"
        said = {"title": f"user {asked.ids[row]}: {name}", "question": f"Why is {name} recommended first?"}
        facts.append({"correct": right, "note": note, **said})  # type: ignore[typeddict-item]
    return FieldScene(fields, fields["items_mask"], remove, evidence, AT_ONCE), facts


def main(trained: Trained[Params]) -> None:
    everyone = Asked.of(trained.prepared, "test")
    asked = everyone.select(draw(len(everyone.ids), trained.params.explain.seed))
    scene, facts = questions(trained, asked)
    scored = explain(
        trained,
        scene,
        value,
        facts,
        methods=METHODS,
        show=partial(show, asked.titles),
        unit="recommendations",
        part="history items",
        link="share",
    )
    seed, results = trained.params.explain.seed, trained.project.results("explain")
    found = {name: checks(scored.subject, maps, seed) for name, maps in scored.maps.items()}
    metrics = json.loads((results / "metrics.json").read_text("utf-8"))
    write_json(results / "metrics.json", metrics | {name: metrics[name] | of for name, of in found.items()})
    names = "top_beats_others", "changed", "removed_to_change"
    rows = [[METHODS[name].title, *(of.get(one) for one in names)] for name, of in found.items()]
    heads = ["Method", "Named first beats the others", "Recommendation changes", "Items removed until then"]
    intro = (
        "The share of the other history items whose removal lowers the score less than that of the item named first "
        "(occlusion is that removal); how often removing items, the highest first, ends in another first "
        "recommendation, and after how many."
    )
    blocks.append(results, [blocks.section("Without what was named first"), blocks.table(heads, rows, intro=intro)])


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
