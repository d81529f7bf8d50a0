"""What a model of texts reads: the files of the explain stage, for every such project.

metrics.json     unit, num_samples questions of the pool, num_probed of them for infidelity (*_score: higher is better,
                 *_error: lower), and for each method
    evidence_score          share of |attribution| on the words of the evidence; left out where the data has none
    deletion_score          1 - area under the target's probability while words are removed, the highest first
    insertion_score         area under the target's probability while words are shown, the highest first
    infidelity_error        of the change of the score when random words are removed, what the values leave unexplained
    completeness_error      what the sum of the values misses of the change of the score, for methods that promise it
    completeness_share      share of the texts where it misses at most 5 % of that change, or of a tenth of the standard
                            deviation of the score over the pool where that is more
    randomised_similarity   rank correlation with the values of weight-randomised models: a sane method changes
  *_random is the same figure of a random attribution, *_randomised that of the method on weight-randomised models,
  mean of num_randomised. There is no sensitivity_error: no change of a word is too small to be seen.
curves.tsv       method, curve (deletion, insertion), fraction of words, probability of the target, order
highlights.json  what the page draws of each shown text, see `highlight`

A word is what stands between spaces and punctuation: several tokens where a tokenizer cuts words into pieces. To remove
it is to put the baseline's tokens in its place.

N questions, L tokens, F numbers a token, K outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.explain.params import ExplainTexts

Span = tuple[int, int]
Fact = dict[str, Any]
Score = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # (model, tokens, mask, places) -> (N, K)


@dataclass(frozen=True)
class TextScene:
    """Questions to a model of texts: why this output? One text may be asked about more than once.

    All tensors on one device, any.

    Args:
        texts: N normalised texts.
        spans: of each text, where its tokens lie in it, as (start, end); an empty span for a token that is not of the
            text, such as [CLS]. One for each True of the mask; what lies behind the last was cut off.
        tokens: (N, L) or (N, L, F) int64, padded on the right.
        mask: (N, L) bool, True on tokens.
        baselines: like tokens: the same with each word replaced by what says nothing, from `model.baseline`.
        targets: (N,) int64, the output to explain of each question.
        places: (N,) int64, the token that a question is about; None where it is about the whole text.
        evidence: (N, L) bool, the tokens that truly decide; None where the data does not say.
    """

    texts: list[str]
    spans: list[list[Span]]
    tokens: Tensor
    mask: Tensor
    baselines: Tensor
    targets: Tensor
    places: Tensor | None = None
    evidence: Tensor | None = None

    def __len__(self) -> int:
        return len(self.texts)


def draw(size: int, seed: int) -> Tensor:
    """(P,) int64: which samples of the test split to ask about, in random order; at most 2000 of them."""
    raise NotImplementedError


def explain_texts(
    model: nn.Module,
    scene: TextScene,
    facts: Sequence[Fact],
    *,
    score: Score,
    unit: str,
    params: ExplainTexts,
    results: Path,
) -> None:
    """Attributes scores to words, tests the attributions, writes all files of the stage.

        explain_texts(model, scene, facts, score=lambda model, tokens, mask, places: model(tokens, mask), ...)

    and where the model has an output a token, (N, L, K):

        def score(model, tokens, mask, places):
            return model(tokens, mask)[torch.arange(len(places)), places]

    Args:
        model: in eval mode, on the device that computes. `model.embedding_layer` names the submodule, called once in a
            forward pass, that turns tokens into (N, L, D).
        scene: questions in random order (see `draw`): the first num_scored are scored, and the shown are chosen among
            all. Its tensors are moved to the model's device.
        facts: of each question id, true, predicted (names), probability, correct; JSON values, more keys are kept.
            An optional "question" is shown above the text.
        score: the function of the model that is explained, N >= 1 texts of any length to (N, K) logits: their softmax
            is the probability that the curves show. It is also called with weight-randomised copies of the model.
        unit: plural of what is asked about, such as "reviews" or "entities".
        results: folder to write to.

    Raises:
        UserError: params name an unknown method; the scene is empty.
    """
    raise NotImplementedError
