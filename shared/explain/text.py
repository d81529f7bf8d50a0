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

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.core.files import write_atomic, write_json
from shared.core.sections import Explain
from shared.explain.attribution import find_method
from shared.explain.choose import choose, draw
from shared.explain.render import robust_scale
from shared.explain.score import DIGITS, curve_lines, score_all, table
from shared.explain.text_attribution import TEXT_METHODS, Questions, Score, Scorer, gathered
from shared.explain.text_score import TextExplainer, WordScene

__all__ = ["Fact", "Score", "Span", "TextScene", "draw", "explain_texts"]

Span = tuple[int, int]
Fact = dict[str, Any]


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


def explain_texts(
    model: nn.Module,
    scene: TextScene,
    facts: Sequence[Fact],
    *,
    score: Score,
    unit: str,
    params: Explain,
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
            all. Its tensors are moved to the model's device. A text without any word is left out.
        facts: of each question id, true, predicted (names), probability, correct; JSON values, more keys are kept.
            An optional "question" is shown above the text.
        score: the function of the model that is explained, N >= 1 texts of any length to (N, K) logits: their softmax
            is the probability that the curves show. It is also called with weight-randomised copies of the model.
        unit: plural of what is asked about, such as "reviews" or "entities".
        results: folder to write to.

    Raises:
        UserError: params name an unknown method; no text has a word.
    """
    methods = {name: find_method(name, TEXT_METHODS) for name in params.methods}
    device = next(model.parameters()).device
    words = [word_numbers(text, spans) for text, spans in zip(scene.texts, scene.spans, strict=True)]
    kept = [row for row, numbers in enumerate(words) if max(numbers, default=-1) >= 0]
    if not kept:
        raise UserError(f"explain: no word in any of {len(words)} texts", fix="see what prepare made of the data")
    asked, evidence = questions(scene, words, torch.tensor(kept), device)
    explainer = TextExplainer.of(Scorer(model, score), params.seed, asked)
    pool = WordScene(asked, evidence, explainer.deviation)
    scored, shown = choose(torch.tensor([bool(facts[row]["correct"]) for row in kept]), params)

    metrics, measured = score_all(explainer, pool[scored.to(device)], list(methods), params.num_randomised)
    maps = {name: explainer(name, pool[shown.to(device)]).maps.cpu() for name in methods}
    rows = [kept[row] for row in shown.tolist()]
    drawn = [
        facts[row] | highlight(scene, row, words[row], {name: of_all[place] for name, of_all in maps.items()})
        for place, row in enumerate(rows)
    ]
    write_json(results / "highlights.json", drawn)
    write_atomic(results / "curves.tsv", ("\n".join(curve_lines(measured)) + "\n").encode())
    write_json(results / "metrics.json", metrics | {"unit": unit, "part": "word"})
    print(table(metrics, methods))
    wrong = sum(not fact["correct"] for fact in drawn)
    print(f"{len(scored)} {unit} scored; shown: {len(drawn)}, {wrong} of them wrong")


def questions(
    scene: TextScene, words: list[list[int]], rows: Tensor, device: torch.device
) -> tuple[Questions, Tensor | None]:
    """Some of the questions with the words that their tokens make, and evidence (N, W) bool if there is any."""
    places = torch.zeros_like(scene.targets) if scene.places is None else scene.places
    numbers = torch.full(scene.mask.shape, -1)
    for row, of_text in enumerate(words):
        numbers[row, : len(of_text)] = torch.tensor(of_text, dtype=torch.long)
    parts = (scene.tokens, scene.baselines, scene.mask, places, scene.targets, numbers)
    asked = Questions(*(part[rows.to(part.device)].to(device) for part in parts))
    if scene.evidence is None or not scene.evidence.any():
        return asked, None
    of_tokens = scene.evidence[rows.to(scene.evidence.device)].to(device).float()
    return asked, gathered(of_tokens, asked.words, asked.words.shape[1]) > 0


def word_numbers(text: str, spans: Sequence[Span]) -> list[int]:
    """For each token the number of its word, -1 for a token that is not of the text.

    A word is what stands between spaces and punctuation, and each sign of a script without spaces: a token goes on with
    the word before it where no one would cut.

    >>> word_numbers("unbelievable!", [(0, 0), (0, 2), (2, 12), (12, 13)])
    [-1, 0, 0, 1]
    """
    numbers: list[int] = []
    last, end = -1, -1
    for start, stop in spans:
        if start < stop:
            goes_on = start < end or (start == end and _together(text[start - 1], text[start]))
            last += not goes_on
            end = max(end, stop)
        numbers.append(last if start < stop else -1)
    return numbers


def _together(before: str, after: str) -> bool:
    """Whether two neighbouring signs are of one word."""
    kinds = [unicodedata.category(sign) for sign in (before, after)]
    if kinds[1][0] == "M" or "Cf" in kinds:  # accents and vowel signs, joiners
        return True
    letters = all(kind[0] in "LMN" for kind in kinds)
    return letters and not any(unicodedata.east_asian_width(sign) in "WF" for sign in (before, after))


def word_bounds(spans: Sequence[Span], words: Sequence[int]) -> list[Span]:
    """(start, end) of each word in its text."""
    bounds: dict[int, Span] = {}
    for (start, end), number in zip(spans, words, strict=True):
        if number >= 0:
            first, last = bounds.get(number, (start, end))
            bounds[number] = first, max(last, end)
    return list(bounds.values())


def highlight(scene: TextScene, row: int, words: list[int], maps: dict[str, Tensor]) -> Fact:
    """What the page draws of one text.

    Args:
        words: of each token, from `word_numbers`.
        maps: method -> (W,) values.

    Returns:
        pieces: the text in order, cut into words and what is between them; evidence, asked: of each piece, whether it
        decides and whether the question is about it; values: method -> of each piece in [-1, 1], scaled by the method's
        99th percentile in this text, 0 between words; unread: the end of the text that was cut off before the model.
    """
    text, bounds = scene.texts[row], word_bounds(scene.spans[row], words)
    place = -1 if scene.places is None else int(scene.places[row])
    asked = words[place] if place >= 0 else -1
    marked = set() if scene.evidence is None else {words[t] for t in torch.nonzero(scene.evidence[row])[:, 0].tolist()}
    pieces, unread = cut(text, bounds)
    scaled = {name: robust_scale(values[: len(bounds)].double().numpy()) for name, values in maps.items()}
    return {
        "pieces": [piece for piece, _ in pieces],
        "evidence": [number in marked - {-1} for _, number in pieces],
        "asked": [number == asked >= 0 for _, number in pieces],
        "values": {name: [_value(values, number) for _, number in pieces] for name, values in scaled.items()},
        "unread": unread,
    }


def cut(text: str, bounds: Sequence[Span]) -> tuple[list[tuple[str, int]], str]:
    """A text as its words, by number, and what is between them, as -1; and its end, if there are words in it.

    >>> cut("So bad. And", [(0, 2), (3, 6)])
    ([('So', 0), (' ', -1), ('bad', 1)], '. And')
    """
    pieces: list[tuple[str, int]] = []
    at = 0
    for number, (start, end) in enumerate(bounds):
        pieces += [(text[at:start], -1)] * (at < start) + [(text[max(at, start) : end], number)]
        at = end
    rest = text[at:]
    if any(map(str.isalnum, rest)):
        return pieces, rest
    return pieces + [(rest, -1)] * bool(rest), ""


def _value(scaled: np.ndarray, number: int) -> float:
    return round(float(scaled[number]), DIGITS) if number >= 0 else 0.0
