"""Errors of transcripts, by jiwer: over the whole corpus, not the mean of utterances.

N utterances, W resamples.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np

from shared.core.seed import derive
from shared.evaluation.intervals import DIGITS, LEVEL

RESAMPLES = 2000


@dataclass(frozen=True)
class Errors:
    """Counts of each utterance, (N,) int64.

    Args:
        words: of the references.
        substitutions, deletions, insertions: the fewest that lead from the reference to the hypothesis.
        pairs: reference word, what was heard instead -> how often; "" for nothing.
    """

    words: np.ndarray
    substitutions: np.ndarray
    deletions: np.ndarray
    insertions: np.ndarray
    pairs: Counter[tuple[str, str]]

    @property
    def wrong(self) -> np.ndarray:
        """All errors of each utterance."""
        made: np.ndarray = self.substitutions + self.deletions + self.insertions
        return made

    @property
    def rate(self) -> float:
        """Errors per word of the references. May be above 1."""
        return float(self.wrong.sum() / self.words.sum())


def count_errors(references: Sequence[str], hypotheses: Sequence[str]) -> Errors:
    """Compares normalised texts word by word; no reference is empty.

    >>> count_errors(["one two two", "six"], ["one two", "five six"]).rate
    0.5
    """
    found = jiwer.process_words(list(references), list(hypotheses))
    kinds = {kind: np.zeros(len(references), np.int64) for kind in ("substitute", "delete", "insert")}
    pairs = Counter[tuple[str, str]]()
    for row, chunks in enumerate(found.alignments):
        said, heard = found.references[row], found.hypotheses[row]
        for chunk in chunks:
            ours = said[chunk.ref_start_idx : chunk.ref_end_idx]
            theirs = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type != "equal":
                size = max(len(ours), len(theirs))
                kinds[chunk.type][row] += size
                pairs.update(zip(ours or [""] * size, theirs or [""] * size, strict=True))
    words = np.array([len(words) for words in found.references], np.int64)
    return Errors(words, kinds["substitute"], kinds["delete"], kinds["insert"], pairs)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Wrong characters, spaces among them, per character of the references."""
    return round(float(jiwer.cer(list(references), list(hypotheses))), DIGITS)


def resampled(errors: Errors, seed: int) -> np.ndarray:
    """(W,) word error rates of utterances drawn with replacement; the same draws for every system of one seed."""
    rng, size = np.random.default_rng(derive(seed, "bootstrap")), len(errors.words)
    draws = rng.multinomial(size, np.full(size, 1 / size), RESAMPLES)
    rates: np.ndarray = (draws @ errors.wrong) / (draws @ errors.words)
    return rates


def interval(values: np.ndarray) -> tuple[float, float]:
    """The percentiles between which 95 % of (W,) values lie."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def measure(references: Sequence[str], hypotheses: Sequence[str], seed: int) -> dict[str, Any]:
    """The word error rate with its interval, its three kinds, and further figures."""
    errors = count_errors(references, hypotheses)
    low, high = interval(resampled(errors, seed))
    total = errors.words.sum()
    kinds = {
        "substitution": errors.substitutions, "deletion": errors.deletions, "insertion": errors.insertions,
    }  # fmt: skip
    exact = np.mean([one == other for one, other in zip(references, hypotheses, strict=True)])
    return {
        "word_error_rate": round(errors.rate, DIGITS),
        "word_error_rate_low": low,
        "word_error_rate_high": high,
        "character_error_rate": character_error_rate(references, hypotheses),
        **{f"{name}_error_rate": round(float(of.sum() / total), DIGITS) for name, of in kinds.items()},
        "exact_match_accuracy": round(float(exact), DIGITS),
        "num_words": int(total),
    }


def against(
    references: Sequence[str], hypotheses: Sequence[str], others: dict[str, list[str]], seed: int
) -> dict[str, Any]:
    """`baseline`: the rate of each; `difference`: by how much this model is better, with an interval (paired)."""
    own = count_errors(references, hypotheses)
    baseline: dict[str, float] = {}
    difference: dict[str, float] = {}
    for name, texts in others.items():
        other = count_errors(references, texts)
        low, high = interval(resampled(other, seed) - resampled(own, seed))
        baseline[f"{name}_word_error_rate"] = round(other.rate, DIGITS)
        difference |= {name: round(other.rate - own.rate, DIGITS), f"{name}_low": low, f"{name}_high": high}
    return {"baseline": baseline, "difference": difference}
