"""Errors of transcripts, by jiwer: over the whole corpus, not the mean of utterances.

N utterances.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np

from shared.evaluation.comparison import corpus_metric
from shared.evaluation.intervals import DIGITS


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
    def counts(self) -> np.ndarray:
        """(N, 2): errors and words, whose sums give the rate."""
        return np.stack([self.wrong, self.words], axis=1)

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


def error_rate(counts: np.ndarray) -> np.ndarray:
    """(..., 2) sums of wrong and of all words -> (...) errors per word."""
    rate: np.ndarray = counts[..., 0] / counts[..., 1]
    return rate


def measure(
    references: Sequence[str], hypotheses: Sequence[str], others: Mapping[str, Sequence[str]], seed: int
) -> dict[str, Any]:
    """The word error rate with its interval over utterances, beside that of baselines; its three kinds, and further
    figures."""
    errors = count_errors(references, hypotheses)
    counts = {name: count_errors(references, texts).counts for name, texts in others.items()}
    total = errors.words.sum()
    kinds = {
        "substitution": errors.substitutions, "deletion": errors.deletions, "insertion": errors.insertions,
    }  # fmt: skip
    exact = np.mean([one == other for one, other in zip(references, hypotheses, strict=True)])
    return corpus_metric("word_error_rate", errors.counts, counts, error_rate, seed) | {
        "character_error_rate": character_error_rate(references, hypotheses),
        **{f"{name}_error_rate": round(float(of.sum() / total), DIGITS) for name, of in kinds.items()},
        "exact_match_accuracy": round(float(exact), DIGITS),
        "num_words": int(total),
    }
