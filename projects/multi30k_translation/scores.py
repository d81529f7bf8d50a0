"""Figures of translations: sacrebleu's, and what it does not give: paired intervals, values, rates, baselines.

N sentences, W resamples.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from shared.core.seed import derive
from shared.evaluation.intervals import DIGITS, LEVEL

RESAMPLES = 1000
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


def bleu_of(sums: np.ndarray) -> float:
    """BLEU in percent of summed statistics (10,), as sacrebleu computes it of a corpus."""
    counts, totals = sums[:ORDER].astype(int).tolist(), sums[ORDER : 2 * ORDER].astype(int).tolist()
    return float(BLEU.compute_bleu(counts, totals, int(sums[-2]), int(sums[-1]), smooth_method="exp").score)


def resampled(stats: np.ndarray, seed: int) -> np.ndarray:
    """(W,) BLEU of sentences drawn with replacement (Koehn 2004); the same draws for every system of one seed."""
    rng, size = np.random.default_rng(derive(seed, "bootstrap")), len(stats)
    draws = rng.multinomial(size, np.full(size, 1 / size), RESAMPLES)
    return np.array([bleu_of(sums) for sums in draws @ stats])


def interval(values: np.ndarray) -> tuple[float, float]:
    """The percentiles between which 95 % of (W,) values lie."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def measure(outputs: Sequence[str], references: Sequence[str], seed: int) -> dict[str, object]:
    """BLEU with its interval and signature; chrF, TER, BLEU in lower case, and exact match."""
    bleu = BLEU()
    found = bleu.corpus_score(list(outputs), [list(references)])
    low, high = interval(resampled(statistics(outputs, references), seed))
    pair = list(outputs), [list(references)]
    return {
        "bleu_score": round(found.score, DIGITS),
        "bleu_score_low": low,
        "bleu_score_high": high,
        "chrf_score": round(CHRF().corpus_score(*pair).score, DIGITS),
        "translation_edit_error_rate": round(TER().corpus_score(*pair).score, DIGITS),
        "lowercased_bleu_score": round(BLEU(lowercase=True).corpus_score(*pair).score, DIGITS),
        "exact_match_accuracy": float(np.mean([one == two for one, two in zip(outputs, references, strict=True)])),
        "signature": str(bleu.get_signature()),
    }


def against(
    outputs: Sequence[str], others: dict[str, list[str]], references: Sequence[str], seed: int
) -> dict[str, object]:
    """`baseline`: BLEU of each; `difference`: by how much this model is better, with a paired bootstrap's interval."""
    own = statistics(outputs, references)
    baseline: dict[str, float] = {}
    difference: dict[str, float] = {}
    for name, other in others.items():
        stats = statistics(other, references)
        low, high = interval(resampled(own, seed) - resampled(stats, seed))
        baseline[f"{name}_bleu_score"] = round(bleu_of(stats.sum(0)), DIGITS)
        gain = bleu_of(own.sum(0)) - bleu_of(stats.sum(0))
        difference |= {name: round(gain, DIGITS), f"{name}_low": low, f"{name}_high": high}
    return {"baseline": baseline, "difference": difference}


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
