"""Figures of translations: sacrebleu's, and what it does not give: paired intervals, values, rates, baselines.

N sentences.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from shared.evaluation.comparison import corpus_metric
from shared.evaluation.intervals import DIGITS

ORDER = 4  # longest n-gram of BLEU
WORD = re.compile(r"\w+|[^\w\s]")
KEPT = re.compile(r"https?://\S+|\{\w*\}|%\w\b|<\w+/?>|\d+(?:[.,:]\d+)*")  # URLs, placeholders, tags, numbers


def statistics(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 10) counts from which BLEU of any set of sentences follows: n-grams right and in all, both lengths."""
    metric, rows = BLEU(effective_order=True), []
    for output, reference in zip(outputs, references, strict=True):
        found = metric.sentence_score(output, [reference])
        rows.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
    return np.array(rows, np.float64).reshape(-1, 2 * ORDER + 2)


def bleu_of(sums: np.ndarray) -> np.ndarray:
    """(..., 10) summed statistics -> (...) BLEU in percent, as sacrebleu computes it of a corpus."""

    def of_one(sums: np.ndarray) -> float:
        counts, totals = sums[:ORDER].astype(int).tolist(), sums[ORDER : 2 * ORDER].astype(int).tolist()
        return float(BLEU.compute_bleu(counts, totals, int(sums[-2]), int(sums[-1]), smooth_method="exp").score)

    found: np.ndarray = np.apply_along_axis(of_one, -1, sums)
    return found


def measure(
    outputs: Sequence[str], references: Sequence[str], others: Mapping[str, Sequence[str]], seed: int
) -> dict[str, Any]:
    """BLEU and its signature, with intervals of a bootstrap over sentences (Koehn 2004) and beside that of the
    baselines; chrF, TER, BLEU in lower case, and exact match."""
    bleu, pair = BLEU(), (list(outputs), [list(references)])
    bleu.corpus_score(*pair)  # the signature counts the references
    stats = {name: statistics(texts, references) for name, texts in others.items()}
    return corpus_metric("bleu_score", statistics(outputs, references), stats, bleu_of, seed) | {
        "chrf_score": round(CHRF().corpus_score(*pair).score, DIGITS),
        "translation_edit_error_rate": round(TER().corpus_score(*pair).score, DIGITS),
        "lowercased_bleu_score": round(BLEU(lowercase=True).corpus_score(*pair).score, DIGITS),
        "exact_match_accuracy": float(np.mean([one == two for one, two in zip(outputs, references, strict=True)])),
        "signature": str(bleu.get_signature()),
    }


def kept_share(wanted: Sequence[Sequence[str]], outputs: Sequence[str]) -> tuple[int, int]:
    """How many of the strings wanted of each output are in it, and how many there are; each counts as often as it is
    wanted.

    >>> kept_share([["12", "12"], ["7"]], ["12 or 12", "8"])
    (2, 3)
    """
    right = total = 0
    for strings, output in zip(wanted, outputs, strict=True):
        for string, count in Counter(strings).items():
            found = len(re.findall(rf"(?<![\w]){re.escape(string)}(?![\w])", output))
            right, total = right + min(found, count), total + count
    return right, total


def verbatim(sources: Sequence[str], references: Sequence[str]) -> list[list[str]]:
    """Numbers, URLs and placeholders that stand in a source and in its reference alike."""
    pairs = zip(sources, references, strict=True)
    return [list((Counter(KEPT.findall(one)) & Counter(KEPT.findall(two))).elements()) for one, two in pairs]


def rates(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Shares of outputs that repeat themselves (more than the reference does), copy the source, or are empty."""
    repeated = [repeats(one) > repeats(two) for one, two in zip(outputs, references, strict=True)]
    copied = [one == two != ref for one, two, ref in zip(outputs, sources, references, strict=True)]
    shares = {"repetition": repeated, "copy": copied, "empty": [not one.strip() for one in outputs]}
    return {f"{name}_error_rate": float(np.mean(flags)) for name, flags in shares.items()}


def repeats(text: str) -> int:
    """How many words stand in a run of one to four words that comes again at once.

    >>> repeats("a dog a dog runs"), repeats("a dog runs")
    (2, 0)
    """
    words = WORD.findall(text.lower())
    return max(
        sum(words[at : at + size] == words[at + size : at + 2 * size] for at in range(len(words) - 2 * size + 1)) * size
        for size in range(1, 5)
    )


def dictionary(sources: Sequence[str], targets: Sequence[str], tests: Sequence[str]) -> list[str]:
    """Translates word by word: each source word becomes the target word that it stands beside most (Dice 1945);
    unknown words are copied."""
    together: dict[str, Counter[str]] = {}
    ones, others = Counter[str](), Counter[str]()
    for source, target in zip(sources, targets, strict=True):
        here, there = set(source.split()), set(target.split())
        ones.update(here)
        others.update(there)
        for word in here:
            together.setdefault(word, Counter()).update(there)
    best = {
        word: max(counts, key=lambda other: (2 * counts[other] / (ones[word] + others[other]), other))
        for word, counts in together.items()
        if counts
    }
    return [" ".join(best.get(word, word) for word in text.split()) for text in tests]
