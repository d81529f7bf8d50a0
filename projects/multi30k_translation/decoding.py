"""Greedy and beam search over a model that keeps what it has read. A sentence is translated alike in any batch.

B sentences, K beams, V pieces.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from shared.data.batches import Padded, cost_shares
from shared.data.table import Ragged
from shared.evaluation.records import collect
from shared.training.distributed import World

from .pieces import Marks

LONGER, MORE = 2.0, 20  # a translation has at most so many times the source's tokens, and so many more


class Translation(NamedTuple):
    """Ids with `end`, unless the limit of its length came first, and its log-probability, normalised by its length."""

    ids: list[int]
    score: float


class Search(NamedTuple):
    """The settings of a search.

    Args:
        beam: translations of a sentence that are followed at once; 1: greedy.
        length_penalty: exponent a of ((5 + length) / 6)^a, by which log-probabilities are divided (Wu et al. 2016,
            arXiv:1609.08144).
        marks: of the vocabulary.
    """

    beam: int
    length_penalty: float
    marks: Marks = Marks()

    def normal(self, length: int) -> float:
        """What a log-probability is divided by."""
        return float(((5 + length) / 6) ** self.length_penalty)


@torch.inference_mode()
def translate(model: Any, source: Tensor, mask: Tensor, search: Search) -> list[list[Translation]]:
    """The best translations of each sentence, best first: as many as there are beams, or fewer.

    A sentence ends when it has as many translations as beams and no running one is better than the worst of them; it
    then leaves the batch. Its longest translation depends on its own length.

    Args:
        model: see `model.Translator`.
        source: (B, S) int64.
        mask: (B, S) bool.
    """
    beams, marks, device = search.beam, search.marks, source.device
    longest = model.longest or int(mask.shape[1] * LONGER + MORE)
    limits = (mask.sum(1) * LONGER + MORE).clamp(max=longest).long().tolist()
    done: list[list[Translation]] = [[] for _ in source]
    open_ = list(range(len(source)))  # sentences by their place in the batch
    state, never = model.begin(source, mask), torch.tensor(marks.never, device=device)
    tokens = torch.full((len(source), 1), marks.begin, device=device)  # one beam at first: all would be alike
    scores, history = torch.zeros_like(tokens, dtype=torch.get_default_dtype()), tokens[:, :, None][:, :, :0]
    for length in range(1, longest + 1):
        shares = model.advance(state, tokens).index_fill_(2, never, -torch.inf).log_softmax(2)
        total = shares.add_(scores[:, :, None]).flatten(1)
        # Of twice as many candidates as beams at least as many as beams go on: each beam ends in one way
        top, place = total.topk(min(2 * beams, total.shape[1]), dim=1)
        beam, token = place // shares.shape[2], place % shares.shape[2]
        is_end = (token == marks.end) & top.isfinite()
        normal = search.normal(length)
        for row, place in is_end[:, :beams].nonzero().tolist():  # among the best K of their sentence
            ids = [*history[row, beam[row, place]].tolist(), marks.end]
            found = done[open_[row]]
            found.append(Translation(ids, float(top[row, place]) / normal))
            found.sort(key=lambda one: -one.score)
            del found[beams:]
        scores, order = torch.where(is_end, -torch.inf, top).topk(min(beams, top.shape[1]), dim=1)
        beam, tokens = beam.gather(1, order), token.gather(1, order)
        stay = []
        for row, (sentence, best) in enumerate(zip(open_, scores[:, 0].tolist(), strict=True)):
            found = done[sentence]
            if length < limits[sentence]:
                if len(found) < beams or best / normal > found[-1].score:
                    stay.append(row)
            elif not found:
                found.append(Translation([*history[row, beam[row, 0]].tolist(), int(tokens[row, 0])], best / normal))
        if not stay:
            break
        kept = torch.tensor(stay, device=device)
        if len(stay) < len(open_):
            beam, tokens, scores, open_ = beam[kept], tokens[kept], scores[kept], [open_[row] for row in stay]
        history = torch.cat([history[kept[:, None], beam], tokens[:, :, None]], 2)
        model.choose(state, beam, kept)
    return done


def translate_all(model: Any, sources: Ragged, search: Search, batch_size: int, world: World) -> list[list[int]]:
    """Ids of the best translation of every sentence, on the first rank; nothing on the others.

    Args:
        batch_size: source tokens with padding, times beams, at once.
    """
    pad = Padded(sources, world.device)

    def record(index: Tensor) -> dict[str, list[Tensor]]:
        source, mask = pad(index.to(world.device))
        return {"ids": [torch.tensor(best.ids) for best, *_ in translate(model, source.long(), mask, search)]}

    records = collect(record, cost_shares(sources.lengths, max(1, batch_size // search.beam), world), world)
    return [ids.tolist() for ids in records["ids"]] if records else []


class Uncached:
    """A model that reads everything again at every step: what the cache is compared with."""

    def __init__(self, model: Any) -> None:
        self.model, self.longest = model, model.longest

    def begin(self, source: Tensor, mask: Tensor) -> dict[str, Any]:
        return {"source": source, "mask": mask, "inputs": source.new_zeros(len(source), 1, 0)}

    def advance(self, state: dict[str, Any], tokens: Tensor) -> Tensor:
        inputs = state["inputs"] = torch.cat([state["inputs"], tokens[:, :, None]], 2)
        source, mask = (state[name].repeat_interleave(tokens.shape[1], 0) for name in ("source", "mask"))
        last = torch.zeros(inputs.shape, dtype=torch.bool, device=tokens.device).flatten(0, 1)
        last[:, -1] = True
        scores: Tensor = self.model.score(self.model(source, mask, inputs.flatten(0, 1), last))
        return scores.view(*tokens.shape, -1)

    def choose(self, state: dict[str, Any], beams: Tensor, sentences: Tensor) -> None:
        state["inputs"] = state["inputs"][sentences[:, None], beams]
        state |= {name: state[name][sentences] for name in ("source", "mask")}
