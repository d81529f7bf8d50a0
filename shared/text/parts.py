"""Texts as parts: words that are removed by showing a baseline's tokens, and integrated gradients at the embeddings.

A word is what stands between spaces and punctuation: several tokens where a tokenizer cuts words into pieces.

N questions, L tokens, F numbers a token, P words, M presentations, D numbers of an embedding, Q pieces of paths.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.explain.methods import METHODS, Method, occlude_groups, occlude_parts
from shared.explain.parts import Subject, select_fields

TOKENS = 16_384  # in the network at once, padding included
_STEPS = 16  # of the integral over a piece of the path, by Gauss-Legendre
CUT_INTO = 4  # pieces, where the error of one is too large
CUTS = 8  # of nested cuts at most: a jump is then located to a 65,000th of the path
MANY = 32  # pieces of a path: with more nothing is cut further, or a score that hardly changes would take too long
TOLERANCE = 0.025  # tolerated error of the values' sum, as a share of the change of the score
LEAST_CHANGE = 0.1  # the change that TOLERANCE speaks of is at least this share of the score's standard deviation
PHRASE_WORDS = 3

Span = tuple[int, int]


@dataclass(frozen=True)
class TextScene:
    """Questions about texts: a batch has "tokens" (M, L) or (M, L, F) int64, "tokens_mask" (M, L) bool and the
    questions' own fields, such as the target, or the place of the token that a question is about. Made by `of`.

    Args:
        texts: N texts.
        bounds: of each text, where its words lie in it, as (start, end).
        tokens, baselines: (N, L) or (N, L, F), padded on the right.
        mask: (N, L) bool.
        words: (N, L) int64, the number of the word that a token belongs to, -1 for none.
        fields: name -> (N, ...), further inputs of the value.
        evidence: (N, P) bool, the words that decide, or None.
    """

    texts: Sequence[str]
    bounds: Sequence[Sequence[Span]]
    tokens: Tensor
    baselines: Tensor
    mask: Tensor
    words: Tensor
    fields: Mapping[str, Tensor] = field(default_factory=dict)
    evidence: Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        tokens: Tensor,
        mask: Tensor,
        baselines: Tensor,
        fields: Mapping[str, Tensor] | None = None,
        evidence: Tensor | None = None,
    ) -> "TextScene":
        """A scene whose parts are the words that the tokens make. Several questions may be about one text.

        Args:
            texts: N normalised texts.
            spans: of each text, where its tokens lie in it, as (start, end); an empty span for a token that is not of
                the text, such as [CLS]. One for each True of the mask; what lies behind the last was cut off.
            tokens: (N, L) or (N, L, F) int64, padded on the right.
            mask: (N, L) bool, True on tokens.
            baselines: like tokens: the same with each word replaced by a neutral token.
            fields: name -> (N, ...).
            evidence: (N, L) bool, the tokens that decide; None if the data has no evidence.
        """
        numbers = [word_numbers(text, of_text) for text, of_text in zip(texts, spans, strict=True)]
        bounds = [word_bounds(of_text, words) for of_text, words in zip(spans, numbers, strict=True)]
        words = torch.full(mask.shape, -1)
        for row, of_text in enumerate(numbers):
            words[row, : len(of_text)] = torch.tensor(of_text, dtype=torch.long)
        marked = None
        if evidence is not None:
            marked = by_word(evidence.cpu().float(), words, max(map(len, bounds), default=0)) > 0
        return cls(texts, bounds, tokens, baselines, mask, words.to(mask.device), fields or {}, marked)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: Tensor) -> "TextScene":
        there, listed = rows.to(self.mask.device), rows.tolist()
        return TextScene(
            texts=[self.texts[row] for row in listed],
            bounds=[self.bounds[row] for row in listed],
            tokens=self.tokens[there],
            baselines=self.baselines[there],
            mask=self.mask[there],
            words=self.words[there],
            fields=select_fields(self.fields, rows),
            evidence=None if self.evidence is None else self.evidence[rows],
        )

    @property
    def sizes(self) -> Tensor:
        return torch.tensor([len(bounds) for bounds in self.bounds])

    def chunks(self, rows: Tensor) -> Iterator[Tensor]:
        """Texts of similar lengths together: at most TOKENS tokens, or one text that is longer."""
        lengths = self.mask.sum(1).cpu()[rows]
        order = lengths.argsort(stable=True)
        start = 0
        for end, length in enumerate(lengths[order].tolist()):
            if end > start and (end + 1 - start) * length > TOKENS:
                yield order[start:end]
                start = end
        yield order[start:]

    def present(self, rows: Tensor, kept: Tensor) -> Batch:
        there = rows.to(self.mask.device)
        longest = max(1, int(self.mask[there].sum(1).max()))
        tokens, baselines, mask, words = (
            part[there, :longest] for part in (self.tokens, self.baselines, self.mask, self.words)
        )
        shown = kept.to(words.device).gather(1, words.clamp_min(0)) | (words < 0)
        shown = shown[..., None] if tokens.ndim == 3 else shown
        return select_fields(self.fields, rows) | {"tokens": torch.where(shown, tokens, baselines), "tokens_mask": mask}

    def groups(self, row: int) -> Tensor:
        """(G, sizes[row]) bool: phrases of three words in a row; all of a shorter text."""
        size = len(self.bounds[row])
        first, words = torch.arange(max(1, size - PHRASE_WORDS + 1))[:, None], torch.arange(size)
        return (words >= first) & (words < first + PHRASE_WORDS)


def by_word(of_tokens: Tensor, words: Tensor, count: int) -> Tensor:
    """(N, L) values of tokens, (N, L) numbers of words -> (N, count) sums over the tokens of each word."""
    sums = of_tokens.new_zeros(len(of_tokens), count + 1)
    return sums.scatter_add_(1, words.clamp(max=count).where(words >= 0, count), of_tokens)[:, :count]


def word_numbers(text: str, spans: Sequence[Span]) -> list[int]:
    """For each token the number of its word, -1 for a token that is not of the text.

    A word is what stands between spaces and punctuation, and each character of a script without spaces: a token
    continues the word before it unless there is a boundary between them.

    >>> word_numbers("unbelievable!", [(0, 0), (0, 2), (2, 12), (12, 13)])
    [-1, 0, 0, 1]
    """
    numbers: list[int] = []
    last, end = -1, -1
    for start, stop in spans:
        if start < stop:
            continues = start < end or (start == end and _together(text[start - 1], text[start]))
            last += not continues
            end = max(end, stop)
        numbers.append(last if start < stop else -1)
    return numbers


def _together(before: str, after: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    kinds = [unicodedata.category(character) for character in (before, after)]
    if kinds[1][0] == "M" or "Cf" in kinds:  # accents and vowel signs, joiners
        return True
    letters = all(kind[0] in "LMN" for kind in kinds)
    return letters and not (_without_spaces(before) or _without_spaces(after))


def _without_spaces(character: str) -> bool:
    """Whether a letter is of a wide script, which writes words without spaces; Korean alone has them."""
    return unicodedata.east_asian_width(character) in "WF" and "HANGUL" not in unicodedata.name(character, "")


def word_bounds(spans: Sequence[Span], words: Sequence[int]) -> list[Span]:
    """(start, end) of each word in its text, from the spans and words of its tokens."""
    bounds: dict[int, Span] = {}
    for (start, end), number in zip(spans, words, strict=True):
        if number >= 0:
            first, last = bounds.get(number, (int(start), int(end)))
            bounds[number] = first, max(last, int(end))
    return list(bounds.values())


# --- integrated gradients -------------------------------------------------------------------------------------------


class Pieces(NamedTuple):
    """Parts of the paths of questions rows (Q,), from low to high (Q,): what the words of the piece add to the value
    (Q, P), and by how much their sum differs from the change of the value (Q,)."""

    rows: Tensor
    low: Tensor
    high: Tensor
    words: Tensor
    missed: Tensor

    def where(self, chosen: Tensor) -> "Pieces":
        return Pieces(*(part[chosen] for part in self))

    def bad(self, allowed: Tensor) -> Tensor:
        """(Q,) bool: pieces with more error than their share, of questions with more than is allowed (N,)."""
        total = torch.zeros_like(allowed).index_add_(0, self.rows, self.missed)
        count = torch.zeros_like(allowed).index_add_(0, self.rows, torch.ones_like(self.missed))
        again = (total > allowed) & (count < MANY)
        return again[self.rows] & (self.missed > (allowed / count)[self.rows] / 2)

    def cut(self) -> tuple[Tensor, Tensor, Tensor]:
        """rows, low and high of each piece in CUT_INTO."""
        at = self.low[:, None] + (self.high - self.low)[:, None] * torch.linspace(0, 1, CUT_INTO + 1)
        return self.rows.repeat_interleave(CUT_INTO), at[:, :-1].flatten(), at[:, 1:].flatten()


def layer_integrated_gradients(subject: Subject, seed: int) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) at the embeddings, from those of the baseline.

    Token ids cannot be interpolated. `model.embedding_layer` names the submodule, called once in a forward pass, that
    turns tokens into (M, L, D). The path is cut where the sum differs from the change of the score: recurrent networks
    have jumps on it, which would need thousands of evenly spaced steps.
    Without cuDNN, which has no backward pass of recurrent layers in eval mode.
    """
    low = torch.zeros(len(subject))
    allowed = TOLERANCE * subject.change.abs().clamp_min(LEAST_CHANGE * subject.full.std(correction=0))
    with torch.backends.cudnn.flags(enabled=False):
        pieces = _integrate(subject, subject.rows, low, low + 1)
        for _ in range(CUTS):
            bad = pieces.bad(allowed)
            if not bad.any():
                break
            finer = _integrate(subject, *pieces.where(bad).cut())
            pieces = Pieces(*map(torch.cat, zip(pieces.where(~bad), finer, strict=True)))
    return torch.zeros(len(subject), subject.num_parts).index_add_(0, pieces.rows, pieces.words)


def _integrate(subject: Subject, rows: Tensor, low: Tensor, high: Tensor) -> Pieces:
    words, missed = torch.zeros(len(rows), subject.num_parts), torch.zeros(len(rows))
    for some in subject.scene.chunks(rows):
        path = Path(subject, rows[some])
        first, last, fields = path.vectors(low[some]), path.vectors(high[some]), tuple(path.batch.values())
        found = IntegratedGradients(path.value).attribute(
            last.requires_grad_(),
            first,
            additional_forward_args=fields,
            n_steps=_STEPS,
            internal_batch_size=max(len(some), TOKENS // path.batch["tokens_mask"].shape[1]),
        )
        words[some] = by_word(found.detach().sum(2), path.words, subject.num_parts).to(words)
        with torch.no_grad():
            change = path.value(last, *fields) - path.value(first, *fields)
        missed[some] = (words[some].sum(1) - change.to(words)).abs()
    return Pieces(rows, low, high, words, missed)


class Path:
    """The straight path from the baseline's vectors to the text's, of questions rows (M,) at once, on the device."""

    @torch.no_grad()
    def __init__(self, subject: Subject, rows: Tensor) -> None:
        scene = subject.scene
        assert isinstance(scene, TextScene)
        self.subject = subject
        all_words = torch.ones(len(rows), subject.num_parts, dtype=torch.bool)
        self.batch = subject.on_device(scene.present(rows, all_words))
        length = self.batch["tokens_mask"].shape[1]
        self.words = scene.words[rows.to(scene.words.device), :length].to(subject.device)
        name: str = subject.model.embedding_layer  # type: ignore[assignment]
        self.embedding: nn.Module = subject.model.get_submodule(name)
        baselines = subject.on_device(scene.present(rows, ~all_words))["tokens"]
        self.first, self.last = self.embedding(baselines), self.embedding(self.batch["tokens"])

    def vectors(self, at: Tensor) -> Tensor:
        """(M, L, D): those at (M,) of the path."""
        vectors: Tensor = self.first + at.to(self.first)[:, None, None] * (self.last - self.first)
        return vectors

    def value(self, vectors: Tensor, *parts: Tensor) -> Tensor:
        """(M,): the value with these vectors in place of the embedding's output; parts are those of the batch."""
        handle = self.embedding.register_forward_hook(lambda module, inputs, output: vectors)
        try:
            return self.subject.score(dict(zip(self.batch, parts, strict=True)))
        finally:
            handle.remove()


TEXT_METHODS = {
    "layer_integrated_gradients": Method(
        "Integrated Gradients",
        "Adds up the gradient at the embeddings, on the path from a text of neutral words to this one. The "
        "values of all words add up to the change of the score.",
        layer_integrated_gradients,
        complete=True,
    ),
    "word_occlusion": Method(
        "Word occlusion",
        "Removes one word after another and records how far the score falls. Misses words that only matter "
        "together; needs no gradient, so it is a good second opinion.",
        occlude_parts,
    ),
    "phrase_occlusion": Method(
        "Phrase occlusion",
        "Removes three words in a row. A word shows the mean of its phrases: coarser, but it finds negations and "
        "other words that matter together.",
        occlude_groups,
    ),
    "shapley_value_sampling": METHODS["shapley_value_sampling"],
}
