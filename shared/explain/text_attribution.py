"""Captum's attribution methods for models of texts: what each word adds to a score.

Each method is a row of TEXT_METHODS. Texts of the same numbers of tokens and words go through together, so nothing is
padded, and the attribution of a text is a function of (model, text, target, baseline) alone, whatever else is in the
scene. Memory stays flat: at most TOKENS tokens are in the network at once, or one text that is longer.

N texts, L tokens, F numbers a token, W words (of a whole scene: as many columns as tokens), D numbers of an embedding,
K outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from captum.attr import FeatureAblation, LayerIntegratedGradients, Occlusion
from torch import Tensor, nn

from shared.explain.attribution import Attribution, Method

TOKENS = 16_384  # in the network at once, padding included
STEPS = 16  # of the integral over a piece of the way, by Gauss-Legendre
PARTS = 4  # that a piece which misses too much is cut into
CUTS = 8  # one within another at most: a jump is then followed down to a 65,000th of the way
MANY = 32  # pieces of a way: with more nothing is cut any further, or a score that hardly changes would take for ever
TOLERANCE = 0.05  # of the change of the score, which the values may miss
LEAST_CHANGE = 0.1  # the change that TOLERANCE speaks of is at least this share of the scores' standard deviation
PHRASE_WORDS = 3

Score = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # (model, tokens, mask, places) -> (N, K)


class Scorer(nn.Module):
    """A model with the score that is explained: (tokens, mask, places) -> (N, K)."""

    def __init__(self, model: nn.Module, score: Score) -> None:
        super().__init__()
        self.model, self.score = model, score
        self.train(model.training)  # a copy takes its mode from the outermost module

    def forward(self, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        return self.score(self.model, tokens, mask, places)

    @property
    def embedding(self) -> nn.Module:
        """The layer that turns tokens into vectors."""
        name: str = self.model.embedding_layer  # type: ignore[assignment]
        return self.model.get_submodule(name)

    @torch.no_grad()
    def in_parts(self, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """The same for any number of texts: TOKENS at once, those of similar lengths together and cut to the longest.

        (N, L) or (N, L, F), (N, L), (N,) -> (N, K).
        """
        lengths = mask.sum(1).clamp_min(1).cpu()
        order = lengths.argsort(stable=True)
        parts = []
        for rows in _within(order, lengths):
            longest = int(lengths[rows].max())
            rows = rows.to(tokens.device)
            parts.append(self(tokens[rows, :longest], mask[rows, :longest], places[rows]))
        return torch.cat(parts)[order.argsort().to(tokens.device)]


def _within(order: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """Cuts rows, shortest first, into parts of at most TOKENS tokens, padding included."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * int(lengths[order[end]]) > TOKENS:
            yield order[start:end]
            start = end


@dataclass(frozen=True)
class Questions:
    """Texts of which scores are explained.

    Args:
        tokens, baselines: (N, L) or (N, L, F) int64, padded on the right.
        mask: (N, L) bool.
        places: (N,) int64, the token that a question is about, for the score.
        targets: (N,) int64, of the outputs.
        words: (N, L) int64, the number of the word that a token belongs to, -1 where it is of none.
    """

    tokens: Tensor
    baselines: Tensor
    mask: Tensor
    places: Tensor
    targets: Tensor
    words: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice | Tensor) -> "Questions":
        return Questions(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def sizes(self) -> Tensor:
        """(N,) int64: words of each text."""
        return self.words.amax(1) + 1

    @property
    def extra(self) -> tuple[Tensor, Tensor]:
        """What the score takes beside tokens."""
        return self.mask, self.places

    def trimmed(self) -> "Questions":
        """Without the columns that are padding in all rows."""
        longest = int(self.mask.sum(1).max())
        parts = {name: getattr(self, name)[:, :longest] for name in ("tokens", "baselines", "mask", "words")}
        return replace(self, **parts)

    def groups(self) -> Iterator[Tensor]:
        """Rows of the same numbers of tokens and of words, as many as fit into TOKENS."""
        kinds = torch.stack([self.mask.sum(1), self.sizes], 1).cpu()
        for kind in torch.unique(kinds, dim=0):
            rows = torch.nonzero((kinds == kind).all(1))[:, 0].to(self.tokens.device)
            yield from torch.split(rows, max(1, TOKENS // int(kind[0])))


def spread(of_words: Tensor, words: Tensor, rest: float) -> Tensor:
    """(N, W) values of words -> (N, L) values of their tokens; `rest` for tokens of no word."""
    return of_words.gather(1, words.clamp_min(0)).masked_fill(words < 0, rest)


def gathered(of_tokens: Tensor, words: Tensor, count: int) -> Tensor:
    """(N, L) values of tokens -> (N, W) sums over the tokens of each word."""
    sums = of_tokens.new_zeros(len(of_tokens), count + 1)
    return sums.scatter_add_(1, words.clamp(max=count).where(words >= 0, count), of_tokens)[:, :count]


def keep(kept: Tensor, tokens: Tensor, baselines: Tensor, words: Tensor) -> Tensor:
    """The tokens of the words that are kept, the baseline's of the others.

    Args:
        kept: (N, W), 1 where a word is kept and 0 where it is removed.
        tokens, baselines: (N, L) or (N, L, F).
        words: (N, L).
    """
    shown = spread(kept, words, 1) > 0.5
    return torch.where(shown[..., None] if tokens.ndim == 3 else shown, tokens, baselines)


@dataclass(frozen=True)
class Call:
    """What a method is run on: texts of the same numbers of tokens and of words, at most TOKENS of them.

    Args:
        deviation: standard deviation of the score over many texts: a change far below is none.
    """

    scorer: Scorer
    questions: Questions
    deviation: float

    def kept(self) -> Tensor:
        """(N, W) float: all words."""
        asked = self.questions
        return torch.ones(len(asked), int(asked.sizes[0]), device=asked.tokens.device)

    def score_of(self, kept: Tensor, *parts: Tensor) -> Tensor:
        """(M, K): scores where words are removed."""
        tokens, baselines, words, mask, places = parts
        scores: Tensor = self.scorer(keep(kept, tokens, baselines, words), mask, places)
        return scores

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """What `score_of` takes beside the words that are kept."""
        asked = self.questions
        return asked.tokens, asked.baselines, asked.words, asked.mask, asked.places

    @property
    def repeats(self) -> int:
        """How many variants of the texts fit into the network at once."""
        return max(1, TOKENS // self.questions.mask.numel())

    @torch.no_grad()
    def change(self) -> Tensor:
        """(N,): the target's score of the text minus that of its baseline."""
        asked = self.questions
        scores = (self.scorer(tokens, *asked.extra) for tokens in (asked.tokens, asked.baselines))
        text, baseline = (score.gather(1, asked.targets[:, None])[:, 0] for score in scores)
        change: Tensor = text - baseline
        return change


def layer_integrated_gradients(call: Call) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) at the embeddings, from those of the baseline.

    Never at the numbers of the tokens, between which there is nothing. The way is cut where the sum misses the change
    of the score: recurrent networks jump somewhere on it, which evenly spaced steps find only by the thousand. Without
    cuDNN, which has no backward pass of recurrent layers in eval mode.
    """
    asked, way = call.questions, Way(call.scorer)
    with torch.backends.cudnn.flags(enabled=False):
        change = call.change()
        allowed = TOLERANCE / 2 * least_change(change, call.deviation)
        low = torch.zeros_like(change)
        pieces = _integrated(call, way, torch.arange(len(asked), device=low.device), low, low + 1)
        for _ in range(CUTS):
            bad = pieces.bad(allowed)
            if not bad.any():
                break
            pieces = Pieces.joined([pieces[~bad], _integrated(call, way, *pieces[bad].cut())])
    values = torch.zeros_like(call.kept()).index_add_(0, pieces.rows, pieces.values)
    return Attribution(values, values.sum(1) - change)


class Way(nn.Module):
    """The straight way from the baseline's vectors to the text's: (at, tokens, baselines, mask, places) -> (M, K).

    `at` (M,) says how far along; `vectors` passes on (M, L, D), which is where Captum looks.
    """

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer, self.vectors = scorer, nn.Identity()

    def forward(self, at: Tensor, tokens: Tensor, baselines: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        embedding = self.scorer.embedding
        start, end = embedding(baselines), embedding(tokens)
        here = self.vectors(start + at[:, None, None].to(end) * (end - start))
        hook = embedding.register_forward_hook(lambda module, inputs, output: here)
        try:
            scores: Tensor = self.scorer(tokens, mask, places)
        finally:
            hook.remove()
        return scores


@dataclass(frozen=True)
class Pieces:
    """Parts of the ways of texts: rows (P,) of the texts, from low to high (P,), with the values of words (P, W) and by
    how much these miss the change of the score (P,).
    """

    rows: Tensor
    low: Tensor
    high: Tensor
    values: Tensor
    missed: Tensor

    @classmethod
    def joined(cls, parts: "Sequence[Pieces]") -> "Pieces":
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def __getitem__(self, chosen: Tensor) -> "Pieces":
        return Pieces(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def bad(self, allowed: Tensor) -> Tensor:
        """(P,) bool: pieces that miss more than their share, of texts that miss more than is allowed (N,)."""
        size = self.missed.abs()
        total = torch.zeros_like(allowed).index_add_(0, self.rows, size)
        count = torch.zeros_like(allowed).index_add_(0, self.rows, torch.ones_like(size))
        again = (total > allowed) & (count < MANY)
        return again[self.rows] & (size > (allowed / count)[self.rows] / 2)

    def cut(self) -> tuple[Tensor, Tensor, Tensor]:
        """Each piece in PARTS: rows, low, high."""
        edges = torch.linspace(0, 1, PARTS + 1, device=self.low.device)
        places = self.low[:, None] + (self.high - self.low)[:, None] * edges
        return self.rows.repeat_interleave(PARTS), places[:, :-1].flatten(), places[:, 1:].flatten()


def _integrated(call: Call, way: Way, rows: Tensor, low: Tensor, high: Tensor) -> Pieces:
    parts = (torch.split(part, max(1, TOKENS // call.questions.mask.shape[1])) for part in (rows, low, high))
    return Pieces.joined([_integrated_at_once(call, way, *part) for part in zip(*parts, strict=True)])


def _integrated_at_once(call: Call, way: Way, rows: Tensor, low: Tensor, high: Tensor) -> Pieces:
    asked = call.questions[rows]
    inputs = (asked.tokens, asked.baselines, *asked.extra)
    of_vectors = LayerIntegratedGradients(way, way.vectors).attribute(
        high,
        baselines=low,
        target=asked.targets,
        additional_forward_args=inputs,
        n_steps=STEPS,
        internal_batch_size=max(len(rows), TOKENS // asked.mask.shape[1]),
    )
    values = gathered(of_vectors.sum(2).detach(), asked.words, int(asked.sizes[0]))
    with torch.no_grad():
        end, start = (way(at, *inputs).gather(1, asked.targets[:, None])[:, 0] for at in (high, low))
    return Pieces(rows, low, high, values, values.sum(1) - (end - start))


def beyond_tolerance(delta: Tensor, change: Tensor, deviation: float) -> Tensor:
    """(N,) bool: where |delta| is more than 5 % of the change of the score, or of a tenth of its standard deviation."""
    return delta.abs() > TOLERANCE * least_change(change, deviation)


def least_change(change: Tensor, deviation: float) -> Tensor:
    """(N,): what a miss is compared with."""
    return change.abs().clamp_min(LEAST_CHANGE * deviation)


@torch.no_grad()
def word_occlusion(call: Call) -> Attribution:
    """Zeiler & Fergus 2014 (arXiv:1311.2901), of words: what the score loses when a word shows the baseline."""
    values = FeatureAblation(call.score_of).attribute(
        call.kept(),
        baselines=0,
        target=call.questions.targets,
        additional_forward_args=call.parts,
        perturbations_per_eval=call.repeats,
    )
    return Attribution(values, None)


@torch.no_grad()
def phrase_occlusion(call: Call) -> Attribution:
    """The same of three words in a row: for a word, the mean over the phrases that it is in."""
    kept = call.kept()
    values = Occlusion(call.score_of).attribute(
        kept,
        sliding_window_shapes=(min(PHRASE_WORDS, kept.shape[1]),),
        baselines=0,
        target=call.questions.targets,
        additional_forward_args=call.parts,
        perturbations_per_eval=call.repeats,
    )
    return Attribution(values, None)


TEXT_METHODS = {
    "layer_integrated_gradients": Method(layer_integrated_gradients, "Integrated Gradients", complete=True),
    "word_occlusion": Method(word_occlusion, "Word occlusion", complete=False),
    "phrase_occlusion": Method(phrase_occlusion, "Phrase occlusion", complete=False),
}


def attribute_texts(method: str, scorer: Scorer, questions: Questions, deviation: float) -> Attribution:
    """Attributes a score to words.

    Args:
        method: a name in TEXT_METHODS.
        scorer: in eval mode; it is left as it was found.
        questions: N >= 1.
        deviation: standard deviation of the score over many texts.

    Returns:
        Values (N, W) with W = L, 0 where a text has fewer words; the completeness delta (N,) where the method has one.
    """
    row = TEXT_METHODS[method]
    values = torch.zeros(questions.words.shape, device=questions.tokens.device)
    delta = torch.zeros(len(questions), device=questions.tokens.device)
    for rows in questions.groups():
        part = questions[rows].trimmed()
        count = int(part.sizes[0])
        if count:
            found = row.run(Call(scorer, part, deviation))
            values[rows, :count] = found.values.to(values)
            delta[rows] = 0 if found.delta is None else found.delta.to(delta)
    return Attribution(values, delta if row.complete else None)
