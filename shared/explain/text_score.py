"""The figures of score.py for texts.

N texts, L tokens, W words, P sets of words.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.core.seed import derive
from shared.data.draws import generator
from shared.explain import faithfulness
from shared.explain.score import Curves, Explained, Metrics
from shared.explain.text_attribution import Questions, Scorer, attribute_texts, beyond_tolerance, keep, spread

SETS = 10  # random sets of words removed to measure infidelity
SET_SHARES = (1 / 8, 1 / 4)  # of the words: with larger ones any map that is positive does well


@dataclass(frozen=True)
class WordScene:
    """Questions about texts, and evidence (N, W) bool: the words that truly decide, or None.

    Args:
        deviation: standard deviation of the score over many texts, such as all of the test split.
    """

    questions: Questions
    evidence: Tensor | None
    deviation: float

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, rows: slice | Tensor) -> "WordScene":
        evidence = None if self.evidence is None else self.evidence[rows]
        return WordScene(self.questions[rows], evidence, self.deviation)

    def random_maps(self, seed: int) -> Tensor:
        words = self.questions.words
        maps = faithfulness.random_maps(*words.shape, seed=seed).to(words.device)
        return maps * self._inside(maps)

    def curves(self, model: Scorer, maps: Tensor, seed: int) -> Curves:
        asked = self.questions
        ranks = self._by_text(lambda one: faithfulness.removal_ranks(one, seed), maps)
        of_tokens = spread(ranks, asked.words, maps.shape[1])
        of_tokens = of_tokens[..., None] if asked.tokens.ndim == 3 else of_tokens

        def curve(start: Tensor, end: Tensor) -> Tensor:
            return faithfulness.curve(
                model.in_parts, asked.targets, start, end, of_tokens, *asked.extra, sizes=asked.sizes
            )

        return Curves(curve(asked.tokens, asked.baselines), curve(asked.baselines, asked.tokens))

    def infidelity(self, model: Scorer, maps: Tensor, seed: int) -> float:
        def scores(kept: Tensor, tokens: Tensor, baselines: Tensor, words: Tensor, *extra: Tensor) -> Tensor:
            return model.in_parts(keep(kept, tokens, baselines, words), *extra)

        asked = self.questions
        parts = (asked.tokens, asked.baselines, asked.words, *asked.extra)
        removed = random_sets(self._inside(maps), seed)
        return faithfulness.removal_error(scores, asked.targets, maps, removed, *parts)

    def completeness(self, model: Scorer, delta: Tensor) -> Metrics:
        asked = self.questions
        text, baseline = (target_scores(model, asked, tokens) for tokens in (asked.tokens, asked.baselines))
        met = ~beyond_tolerance(delta, text - baseline, self.deviation)
        return {
            "completeness_error": faithfulness.completeness(delta, text - baseline),
            "completeness_share": met.double().mean().item(),
        }

    def similarity(self, maps: Tensor, others: Tensor) -> float:
        pairs = zip(maps, others, self.questions.sizes.tolist(), strict=True)
        return float(np.mean([faithfulness.similarity(one[None, :n], other[None, :n]) for one, other, n in pairs]))

    def _inside(self, maps: Tensor) -> Tensor:
        """(N, W) bool: where a text has words."""
        return torch.arange(maps.shape[1], device=maps.device) < self.questions.sizes[:, None]

    def _by_text(self, function: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
        """(1, n) -> (1, n) of the n words of each text, so that how many others have changes nothing; else 0."""
        made = torch.zeros(maps.shape, dtype=torch.long, device=maps.device)
        for row, size in enumerate(self.questions.sizes.tolist()):
            made[row, :size] = function(maps[row : row + 1, :size])[0]
        return made


def target_scores(model: Scorer, asked: Questions, tokens: Tensor) -> Tensor:
    """(N,): the score that is explained, of the texts or of their baselines."""
    return faithfulness.target_logits(model.in_parts, tokens, asked.targets, *asked.extra)


def random_sets(inside: Tensor, seed: int) -> Tensor:
    """(N, W) bool, where there are words -> (N, P, W) bool: random words, an eighth to a quarter of a text."""
    sizes = inside.sum(1)[:, None]
    drawn = torch.rand(2, *(len(inside), SETS), inside.shape[1], generator=generator(seed, "sets")).to(inside.device)
    low, high = SET_SHARES
    counts = ((low + drawn[1, ..., 0] * (high - low)) * sizes).round().clamp_min(1)
    order = drawn[0].masked_fill(~inside[:, None], 2).argsort(2).argsort(2)
    return (order < counts[..., None]) & inside[:, None]


class TextExplainer:
    """`explainer(method, scene)`: the attribution of one model's targets, by any method."""

    def __init__(self, model: Scorer, seed: int, deviation: float) -> None:
        self.model, self.seed, self.deviation = model, seed, deviation

    @classmethod
    def of(cls, model: Scorer, seed: int, asked: Questions) -> "TextExplainer":
        """With the standard deviation of its score over these texts."""
        return cls(model, seed, target_scores(model, asked, asked.tokens).std(correction=0).item())

    def __call__(self, method: str, scene: WordScene) -> Explained:
        return Explained(*attribute_texts(method, self.model, scene.questions, self.deviation))

    def of_randomised(self, scene: WordScene, count: int) -> "list[TextExplainer]":
        asked = scene.questions
        seeds = [derive(self.seed, "randomised", number) for number in range(count)]
        models = (faithfulness.randomise(self.model, asked.tokens, seed, *asked.extra) for seed in seeds)
        return [TextExplainer.of(model, self.seed, asked) for model in models]

    def sensitivity(self, method: str, scene: WordScene) -> Metrics:
        """Nothing: no change of a word is too small to be seen."""
        return {}
