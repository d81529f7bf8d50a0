"""Explain stage: trained weights and test sentences -> results/explain/ (attributions, alignments, tests of them).

    python -m projects.multi30k_translation.explain                                      # as params.yaml says
    python -m projects.multi30k_translation.explain 'explain.methods=[word_occlusion]'   # this run only
    python -m projects.multi30k_translation.explain explain.num_scored=200               # closer figures, longer

What is explained are the log-odds of a target word, all its pieces together, after the words before it: of the
reference where the data knows the alignment, else of the model's own translation. Alignments are judged over all words
of explain.num_aligned sentences, the attributions' tests over one word of each.
alignment.json holds the alignment error rate of each method (*_alignment_error_rate), of every layer's cross-attention,
and of random links; the share of attribution on the source (*_source_score), and what attention leaves on END.
What the other files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.seed import derive
from shared.data.table import Table
from shared.explain.methods import find_method
from shared.explain.parts import Subject, random_maps
from shared.explain.stage import FIGURE_DIGITS, Fact, draw, explain
from shared.report import blocks
from shared.report.blocks import Block, cell, section, table, text
from shared.text.show import show
from shared.training.distributed import local
from shared.training.stage import Trained, trained_stage

from . import words
from .decoding import Search, translate_all
from .model import load_model
from .params import Params
from .pieces import Pieces
from .words import STEPS, Forced, Questions

GRIDS, GRID_WORDS = 3, 24  # sentences drawn as grids, and the most words of a side
LEAST_SHARE = 0.05  # smaller ones are left blank in a grid


def sentences(trained: Trained[Params], split: Table, pieces: Pieces, count: int, seed: int) -> list[Forced]:
    """Some sentences of a split with the translation that is explained. Raises UserError where all are empty."""
    rows = draw(len(split), seed)[:count]
    sources, references = split.strings("source_text"), split.strings("target_text")
    if "alignment" in split:
        known = split.ragged("alignment")
        return [Forced(sources[row], references[row], known.row(row).tolist()) for row in rows.tolist()]
    ids = split.ragged("source").select(rows)
    search = Search(1, 0.0, pieces.marks)
    found = translate_all(
        trained.model, ids, search, trained.params.evaluate.batch_size, local(trained.world.device.type)
    )
    texts = [pieces.decode(ids).strip() for ids in found]
    if not any(texts):
        raise UserError(f"explain: all {len(texts)} translations are empty", fix="train longer, or check the data")
    return [Forced(sources[row], text, None) for row, text in zip(rows.tolist(), texts, strict=True) if text]


def grid(asked: Questions, sentence: int, maps: Tensor) -> Block:
    """Target words (rows) by source words: the share of a word's attribution, in percent, known links marked."""
    source, target = asked.names[sentence]
    rows = []
    for row in [number for number, at in enumerate(asked.sentence) if at == sentence][:GRID_WORDS]:
        own = maps[row, : len(source)].clamp_min(0)
        shares, cells = (own / own.sum().clamp_min(1e-12)).tolist(), []
        for number, share in enumerate(shares[:GRID_WORDS]):
            linked = (number, asked.word[row]) in asked.possible[sentence]
            cells.append(cell(f"{share:.0%}" if share >= LEAST_SHARE else "·" * linked, good=True if linked else None))
        rows.append([target[asked.word[row]], *cells])
    return table(["", *source[:GRID_WORDS]], rows)


def figures_of(maps: Mapping[str, Tensor], subject: Subject, asked: Questions, seed: int) -> dict[str, Any]:
    """Error rates of the alignments that methods and chance give, where one is known, and shares on the source."""
    figures: dict[str, Any] = {"num_words": len(subject), "num_links": sum(map(len, asked.possible))}
    drawn = random_maps(subject.inside, derive(seed, "random links"))
    for name, of in [*maps.items(), ("random", drawn)]:
        if figures["num_links"]:
            error = words.alignment_error_rate(words.aligned(of, asked), asked.sure, asked.possible)
            figures[f"{name}_alignment_error_rate"] = round(error, FIGURE_DIGITS)
        share = words.source_share(of, asked).double().mean().item()
        figures[f"{name}_source_score"] = round(share, FIGURE_DIGITS)
    return figures


def alignment_blocks(figures: Mapping[str, Any], titles: Mapping[str, str], grids: Sequence[Block]) -> list[Block]:
    """Error rates of alignments, shares of the source, and grids of the first method."""
    known, first = figures["num_links"] > 0, next(iter(titles.values()))
    rows = [
        [title, figures.get(f"{name}_alignment_error_rate"), figures[f"{name}_source_score"]]
        for name, title in {**titles, "random": "Random"}.items()
    ]
    layers = [[f"layer {number}", *pair] for number, pair in enumerate(figures["attention_error_rate_by_layer"], 1)]
    judged = "the known alignment" if known else "that of gradient x activation (the data knows none)"
    return [
        section("Which source word makes which target word"),
        text(f"Of each target word the source word of the highest attribution is taken, over {figures['num_words']:,} "
             "words. A share of the source that is low for a word says that the translation follows from its own "
             "beginning: a sign that it is made up."),
        table(["Method", "Alignment error rate", "Share on the source"], rows),
        table(["Cross-attention", *(f"at the step that {step} the word" for step in STEPS)], layers,
              intro=f"Alignment error rate against {judged}, on validation sentences; the best is used above. "
                    f"{figures['attention_on_rest']:.0%} of its mass is on the end of the sentence and on spaces."),
        text(f"Source words from left to right, target words downwards: {first}, as the share of each word's on the "
             "source, in percent; known links are marked."),
        *grids,
    ]  # fmt: skip


def main(trained: Trained[Params]) -> None:
    chosen, splits = trained.params.explain, trained.prepared.splits
    pieces = Pieces.of(trained.config["pieces"])

    def subject_of(split: str) -> tuple[Subject, Questions]:
        forced = sentences(trained, trained.prepared.table(split), pieces, chosen.num_aligned, chosen.seed)
        asked = words.ask(forced, pieces, trained.config["max_tokens"])
        return Subject(trained.model, asked.scene, words.value, int(asked.scene.sizes.max())), asked

    layer, late, rates = words.choose_attention(*subject_of("valid" if "valid" in splits else "train"))
    methods = words.methods_with(layer, late)
    subject, asked = subject_of("test")
    maps = {name: find_method(name, methods).run(subject, chosen.seed) for name in chosen.methods}
    titles = {name: methods[name].title for name in maps}
    figures = figures_of(maps, subject, asked, chosen.seed) | {
        "attention_layer": layer + 1,
        "attention_step": STEPS[late],
        "attention_error_rate_by_layer": [[round(rate, FIGURE_DIGITS) for rate in pair] for pair in rates],
        "attention_on_rest": round(words.attention_maps(subject)[1][layer, late].mean().item(), FIGURE_DIGITS),
    }
    grids = [grid(asked, number, maps[chosen.methods[0]]) for number in range(min(GRIDS, len(asked.names)))]
    results = trained.project.results("explain")
    write_json(results / "alignment.json", figures)

    one_each: dict[int, int] = {}  # sentence -> a word of it: the tests take their questions for independent
    for row in np.random.default_rng(derive(chosen.seed, "questions")).permutation(len(subject)).tolist():
        one_each.setdefault(asked.sentence[row], row)
    order = torch.tensor(list(one_each.values()))
    facts: list[Fact] = []
    for row, share in zip(order.tolist(), subject.full.sigmoid()[order].tolist(), strict=True):
        word = asked.names[asked.sentence[row]][1][asked.word[row]]
        facts.append({"title": f"{word}: probability {share:.0%}", "correct": share >= 0.5, "question": f"Why {word}?"})
    explain(
        trained,
        asked.scene[order],
        words.value,
        facts,
        methods=methods,
        show=show,
        unit="target words",
        part="words",
        note="Left of the arrow is the source, right of it what was written before the word in question.",
    )
    blocks.append(results, alignment_blocks(figures, titles, grids))
    for name, title in titles.items():
        if figures["num_links"]:
            print(f"{title:32}alignment error rate {figures[f'{name}_alignment_error_rate']:.3f}")


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
