"""Why each word of a translation? Questions, the score that is explained, and alignments read from attributions.

A question is one target word; its parts are the source's words and the target's words before it. The tokens of both
stand in one row: source, END, BEGIN, what was written so far. So every tool for texts applies (shared/text/parts.py).

N questions, L tokens of a row, W pieces of the target word, P parts, Y layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple
from unicodedata import category

import numpy as np
import torch
from torch import Tensor, nn

from shared.data.batches import Batch, Padded
from shared.data.table import Ragged
from shared.explain.methods import Method
from shared.explain.parts import Subject
from shared.text.parts import TEXT_METHODS, Path, Span, TextScene, by_word, word_bounds, word_numbers

from .data import blanked
from .pieces import Pieces

ARROW = " \u2192 "
STEPS = ("produces", "consumes")  # the step that writes a word, and the next, which reads it
NOWHERE = 0, 0  # the span of a token that is not of the text
Links = set[tuple[int, int]]  # (source word, target word)


class Forced(NamedTuple):
    """A sentence with the translation that is explained, and the [source start, end, target start, end] of units that
    translate each other; None where the data does not say."""

    source: str
    target: str
    units: list[list[int]] | None


@dataclass(frozen=True)
class Questions:
    """All target words of some sentences.

    Args:
        scene: see `TextScene`; its fields are source_length, word (N, W) int64 (0 where padded).
        sentence, word: of each question: number of the sentence, and of the word in its target.
        num_source: (N,) source words, which are the first parts.
        names: words of each sentence: (source, target).
        sure, possible: links of each sentence; units of one word each are sure (Och & Ney 2003).
    """

    scene: TextScene
    sentence: list[int]
    word: list[int]
    num_source: Tensor
    names: list[tuple[list[str], list[str]]]
    sure: list[Links]
    possible: list[Links]


def ask(forced: Sequence[Forced], pieces: Pieces, max_tokens: int) -> Questions:
    """A question for each target word."""
    sources = pieces.encode([one.source for one in forced], max_tokens)
    targets = pieces.encode([one.target for one in forced], max_tokens, target=True)
    rows: list[dict[str, Any]] = []
    names, sure, possible = list[tuple[list[str], list[str]]](), list[Links](), list[Links]()
    for number, (one, source, target) in enumerate(zip(forced, sources, targets, strict=True)):
        here, there = (word_bounds(side.spans, word_numbers(text, side.spans)) for text, side in
                       ((one.source, source), (one.target, target)))  # fmt: skip
        names.append(([one.source[slice(*span)] for span in here], [one.target[slice(*span)] for span in there]))
        for links, found in zip((sure, possible), links_of(one.units or [], one.target, here, there), strict=True):
            links.append(found)
        of_word, shift = words_of_pieces(one.target, target.spans), len(one.source) + len(ARROW)
        written = [(start + shift, end + shift) if start < end else NOWHERE for start, end in target.spans]
        for word in range(len(there)):
            first = of_word.index(word)
            rows.append({
                "sentence": number,
                "word": word,
                "num_source": len(here),
                "text": one.source + ARROW + one.target[: there[word - 1][1] if word else 0],
                "tokens": [*source.ids, pieces.marks.begin, *target.ids[:first]],
                "spans": [*source.spans, NOWHERE, *written[:first]],
                "source_length": len(source.ids),
                "pieces": target.ids[first : first + of_word.count(word)],
            })  # fmt: skip
    all_rows = torch.arange(len(rows))
    tokens, mask = Padded(Ragged.of([row["tokens"] for row in rows], np.int64))(all_rows)
    fields = {
        "source_length": torch.tensor([row["source_length"] for row in rows]),
        "word": Padded(Ragged.of([row["pieces"] for row in rows], np.int64))(all_rows)[0],
    }
    texts, spans = [row["text"] for row in rows], [row["spans"] for row in rows]
    scene = TextScene.of(texts, spans, tokens, mask, blanked(tokens, mask, pieces.marks), fields)
    if any(one.units is not None for one in forced):
        evidence = torch.zeros(len(rows), max(map(len, scene.bounds)), dtype=torch.bool)
        for row, asked in zip(evidence, rows, strict=True):
            row[[first for first, second in possible[asked["sentence"]] if second == asked["word"]]] = True
        scene = replace(scene, evidence=evidence)
    sentences, which, counts = ([row[key] for row in rows] for key in ("sentence", "word", "num_source"))
    return Questions(scene, sentences, which, torch.tensor(counts), names, sure, possible)


def words_of_pieces(text: str, spans: Sequence[Span]) -> list[int]:
    """The number of the word that each piece of a target belongs to; a piece that is but a space belongs to the word
    behind it; what is behind the last word, the end, to none (-1)."""
    numbers = word_numbers(text, spans)
    for place in range(len(numbers) - 2, -1, -1):
        if numbers[place] < 0:
            numbers[place] = numbers[place + 1]
    return numbers


def links_of(
    units: Sequence[Sequence[int]], text: str, source: Sequence[Span], target: Sequence[Span]
) -> tuple[Links, Links]:
    """Sure and possible links of words from units of characters. Punctuation of the target text has none."""
    sure, possible = Links(), Links()
    for first, last, start, end in units:
        ones = [number for number, (low, high) in enumerate(source) if first <= low and high <= last]
        others = [number for number, (low, high) in enumerate(target) if start <= low and high <= end]
        others = [number for number in others if any(category(one)[0] in "LNS" for one in text[slice(*target[number])])]
        found = {(one, other) for one in ones for other in others}
        possible |= found
        sure |= found if len(found) == 1 else set()
    return sure, possible


# --- the score ------------------------------------------------------------------------------------------------------


def _run(model: nn.Module, batch: Batch, attention: list[Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """States (M, T, D) of the prefix and the word; the place where the prefix ends (M,); which pieces of the word there
    are (M, W)."""
    translator: Any = model
    vectors, word, source = translator.embedding(batch["tokens"]), batch["word"], batch["source_length"]
    ends = batch["tokens_mask"].sum(1) - source
    # The module's own call would be replaced where attributions are computed: see shared/text/parts.py
    following = nn.functional.embedding(word, translator.embedding.weight)
    place = torch.arange(int(ends.max()) + word.shape[1], device=vectors.device)
    behind = (place - ends[:, None]).clamp(0, word.shape[1] - 1) + vectors.shape[1]
    index = torch.where(place < ends[:, None], source[:, None] + place, behind)
    both = torch.cat([vectors, following.to(vectors)], 1)
    inputs = both.gather(1, index[..., None].expand(-1, -1, both.shape[2]))
    longest = int(source.max())
    mask = torch.arange(longest, device=vectors.device) < source[:, None]
    states: Tensor = translator.states(vectors[:, :longest], mask, inputs, attention)
    return states, ends, word > 0


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): the log-odds of the target word, all its pieces, after what was written before it."""
    translator: Any = model
    states, ends, there = _run(model, batch)
    place = (ends - 1)[:, None] + torch.arange(there.shape[1], device=states.device)
    of_word = states.gather(1, place[..., None].expand(-1, -1, states.shape[2]))
    scores = translator.score(of_word).log_softmax(2).gather(2, batch["word"][..., None])[..., 0]
    total = (scores * there).sum(1).clamp(max=-1e-6)
    odds: Tensor = total - torch.log(-torch.expm1(total))
    return odds


# --- attributions ---------------------------------------------------------------------------------------------------


def gradient_times_activation(subject: Subject, seed: int) -> Tensor:
    """Layer Gradient x Activation (Shrikumar et al. 2016, arXiv:1605.01713) at the embeddings, from the baseline's."""
    maps = torch.zeros(len(subject), subject.num_parts)
    with torch.backends.cudnn.flags(enabled=False):
        for some in subject.scene.chunks(subject.rows):
            path = Path(subject, some)
            vectors = path.last.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(path.value(vectors, *path.batch.values()).sum(), vectors)
            found = (gradient * (path.last - path.first)).sum(2)
            maps[some] = by_word(found.detach(), path.words, subject.num_parts).to(maps)
    return maps


@torch.no_grad()
def attention_maps(subject: Subject) -> tuple[Tensor, Tensor]:
    """(Y, 2, N, P) cross-attention of every layer on the source's words, at the step that produces the target word and
    at the one that consumes it, mean over its pieces; and (Y, 2, N) what falls on END and spaces."""
    maps: list[Tensor] = []
    rest: list[Tensor] = []
    scene = subject.scene
    assert isinstance(scene, TextScene)
    order = []
    for some in scene.chunks(subject.rows):
        batch = subject.on_device(scene.present(some, torch.ones(len(some), subject.num_parts, dtype=torch.bool)))
        layers: list[Tensor] = []
        _, ends, there = _run(subject.model, batch, layers)
        words = scene.words[some.to(scene.words.device)][:, : layers[0].shape[2]].to(subject.device)
        found = []
        for layer in layers:
            for late in (0, 1):
                place = ends[:, None] - 1 + late + torch.arange(there.shape[1], device=ends.device)
                of_word = layer.gather(1, place[..., None].expand(-1, -1, layer.shape[2])) * there[..., None]
                found.append(of_word.sum(1) / there.sum(1, keepdim=True))
        shares = torch.stack(found)
        of_source = torch.where(
            torch.arange(words.shape[1], device=words.device) < batch["source_length"][:, None], words, -1
        )
        by = torch.stack([by_word(share, of_source, subject.num_parts) for share in shares])
        maps.append(by.cpu())
        rest.append((shares.sum(2) - by.sum(2)).cpu())
        order.append(some)
    back = torch.cat(order).argsort()
    by_source, by_rest = torch.cat(maps, 1)[:, back], torch.cat(rest, 1)[:, back]
    return by_source.view(-1, 2, *by_source.shape[1:]), by_rest.view(-1, 2, *by_rest.shape[1:])


def attention_of(layer: int, late: int, subject: Subject, seed: int) -> Tensor:
    """(N, P): one layer's cross-attention, at one of the two steps."""
    return attention_maps(subject)[0][layer, late]


def methods_with(layer: int, late: int) -> dict[str, Method]:
    """What explain.methods may name; cross-attention as it was chosen."""
    reading = f"Where layer {layer + 1} of the decoder looks in the source at the step that {STEPS[late]} the word."
    return {
        "gradient_times_activation": Method(
            "Gradient x activation",
            "The gradient at the embeddings times how far they are from those of unknown words: cheap, and right where "
            "the score is nearly linear.",
            gradient_times_activation,
        ),
        "layer_integrated_gradients": TEXT_METHODS["layer_integrated_gradients"],
        "word_occlusion": TEXT_METHODS["word_occlusion"],
        "cross_attention": Method(
            "Cross-attention",
            f"{reading} It says nothing of the words written before, and is no effect on the score.",
            partial(attention_of, layer, late),
        ),
    }


# --- alignments -----------------------------------------------------------------------------------------------------


def aligned(maps: Tensor, asked: Questions) -> list[Links]:
    """The source word of the highest value for each target word; none where no value is above 0."""
    found: list[Links] = [set() for _ in asked.names]
    for row, (sentence, word, count) in enumerate(
        zip(asked.sentence, asked.word, asked.num_source.tolist(), strict=True)
    ):
        best = maps[row, :count].max(0) if count else None
        if best is not None and best.values > 0:
            found[sentence].add((int(best.indices), word))
    return found


def alignment_error_rate(found: Sequence[Links], sure: Sequence[Links], possible: Sequence[Links]) -> float:
    """Och & Ney 2003: 1 - (|A and S| + |A and P|) / (|A| + |S|), over the target words that have a possible link.

    >>> alignment_error_rate([{(0, 0), (1, 1)}], [{(0, 0)}], [{(0, 0), (2, 1)}])
    0.33333333333333337
    """
    right = total = 0
    for links, certain, allowed in zip(found, sure, possible, strict=True):
        known = {target for _, target in allowed}
        counted = {(source, target) for source, target in links if target in known}
        right += len(counted & certain) + len(counted & allowed)
        total += len(counted) + len(certain)
    return 1 - right / total if total else 0.0


def choose_attention(subject: Subject, asked: Questions) -> tuple[int, int, list[list[float]]]:
    """The layer and step whose alignment is best, and the error rate of each, on validation sentences. Without a known
    alignment, that of gradient x activation takes its place."""
    sure, possible = asked.sure, asked.possible
    if not any(possible):
        sure = possible = aligned(gradient_times_activation(subject, 0), asked)
    maps = attention_maps(subject)[0]
    rates = [[alignment_error_rate(aligned(one, asked), sure, possible) for one in layer] for layer in maps]
    best = min((rate, layer, late) for layer, pair in enumerate(rates) for late, rate in enumerate(pair))
    return best[1], best[2], rates


def source_share(maps: Tensor, asked: Questions) -> Tensor:
    """(N,): the share of a map's mass that is on the source; the rest is on what was written before. A translation that
    hangs on its own beginning is likely made up."""
    of_source = torch.arange(maps.shape[1]) < asked.num_source[:, None]
    mass = maps.abs()
    return (mass * of_source).sum(1) / mass.sum(1).clamp_min(1e-12)
