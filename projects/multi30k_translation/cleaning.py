"""What is wrong with pairs that can be read: left out of training, counted, never silently.

N pairs.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from shared.core.errors import Problems
from shared.text.tokens import normalise

from .pairs import Languages, Pair

SPACES = re.compile("[ \t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")  # not those that do not break: they belong to the text
WORD = re.compile(r"\w+")
MARK = re.compile(r"\d+|\w{4,}")  # what may stand on both sides: numbers, names
LEAST_PAIRS = 10  # of a file, before it is said that its lines are off by one
CLEARLY, ON_AVERAGE = 5.0, 0.1  # by how many standard errors, and by how much, the neighbouring lines must fit better
SWAPPED_NATS = 4.0  # log-likelihood ratio of each side
FEW_CHARACTERS = 20  # shorter sides have any ratio
FUNCTION_WORDS = {
    "en": "the a an is are of and in to with on for that this his her he she it by at from while",
    "de": "der die das ein eine einen einem und ist sind in mit auf für dass sie er es von zu im am bei",
    "fr": "le la les un une des et est sont dans avec sur pour que elle il au aux du de en sa son",
    "cs": "a na se je v do s z pro ve jsou že to k od za po u si jeho její",
}
TOO_LONG = "cut"
REASONS = {
    "empty": "a side is empty",
    "ratio": "the sides' lengths differ too much",
    "swapped": "the sides look swapped",
    "duplicate": "the same pair again",
    "tested": "its source is in valid or test as well",
    TOO_LONG: "a side has too many pieces",
}


def plain(text: str) -> str:
    """A text as the model reads it: on one line, composed (NFC), without control characters.

    >>> plain("a\\u2028 b\\x0b"), plain("12\\xa0cm"), plain("\\x00 a \\x00 b")
    ('a b', '12\\xa0cm', 'a b')
    """
    return " ".join(filter(None, normalise(SPACES.sub(" ", text)).split(" ")))  # a control character may part spaces


def clean(splits: dict[str, list[Pair]], max_ratio: float) -> tuple[dict[str, list[Pair]], dict[str, Counter[str]]]:
    """The plain pairs to keep, and why and how many of each split are left out.

    An empty side is left out of every split; all else only of train: test data stay as they are.
    """
    kept = {name: [one for one in pairs if one.source.strip() and one.target.strip()] for name, pairs in splits.items()}
    held_out = {pair.source for name, pairs in kept.items() if name != "train" for pair in pairs}
    left = {name: Counter({"empty": len(pairs) - len(kept[name])}) for name, pairs in splits.items()}
    swapped = swapped_pairs(kept["train"])
    seen, train = set[tuple[str, str]](), list[Pair]()
    for number, pair in enumerate(kept["train"]):
        short, long = sorted((len(pair.source), len(pair.target)))
        both = pair.source, pair.target
        reasons = {
            "ratio": long > FEW_CHARACTERS and long > max_ratio * short,
            "swapped": number in swapped,
            "duplicate": both in seen,
            "tested": pair.source in held_out,
        }
        seen.add(both)
        if found := [reason for reason, holds in reasons.items() if holds]:
            left["train"][found[0]] += 1
        else:
            train.append(pair)
    return kept | {"train": train}, left


def check_sides(name: str, pairs: Sequence[Pair], languages: Languages, problems: Problems) -> None:
    """Notes files whose sides look swapped as a whole, or off by a line from some line on."""
    known = [FUNCTION_WORDS.get(language.split("-")[0].lower(), "").split() for language in languages]
    if all(known):
        counts = word_counts(pairs)
        own, other = (sum(counts[side][word] for side in (0, 1) for word in known[side ^ turned]) for turned in (0, 1))
        if other > 2 * own + 10:
            one, two = languages
            problems.add(name, f"the sides look swapped: {two} where {one} should be; exchange the files or columns")
            return
    if found := off_by_a_line(pairs):
        line, side = found
        problems.add(f"{name}, from about line {line} on", f"the lines fit better if the {side} moves up by one line")


def off_by_a_line(pairs: Sequence[Pair]) -> tuple[int, str] | None:
    """From which line on the neighbouring line of a side fits clearly better, and of which, source or target; None
    where the pairs fit as they are.

    Fit is the share of numbers and words that both sides have, and how close the lengths are: it needs no knowledge of
    languages.
    """
    if len(pairs) < LEAST_PAIRS:
        return None
    marks = [[set(MARK.findall(text.lower())) for text in side] for side in _sides(pairs)]
    lengths = [np.log(1.0 + np.array([len(text) for text in side])) for side in _sides(pairs)]
    lengths[1] += np.median(lengths[0] - lengths[1])
    source, target = list(zip(marks[0], lengths[0], strict=True)), list(zip(marks[1], lengths[1], strict=True))
    here = np.array([_fit(*both) for both in zip(source, target, strict=True)])
    found: list[tuple[float, int, str]] = []
    for side, moved in (("target", zip(source, target[1:])), ("source", zip(source[1:], target))):  # noqa: B905
        gain = (np.array([_fit(*both) for both in moved]) - here[:-1])[::-1]
        strength = gain.cumsum() / np.sqrt(np.maximum(np.square(gain).cumsum(), 1e-9))  # from each line to the last
        place = int(strength.argmax())
        if strength[place] > CLEARLY and gain[: place + 1].mean() > ON_AVERAGE:
            found.append((float(strength[place]), len(gain) - place, side))
    return max(found)[1:] if found else None


def _fit(one: tuple[set[str], float], other: tuple[set[str], float]) -> float:
    shared = len(one[0] & other[0]) / max(1, min(len(one[0]), len(other[0])))
    return shared - min(abs(one[1] - other[1]), 1.0)


def swapped_pairs(pairs: Sequence[Pair]) -> set[int]:
    """Numbers of pairs each of whose sides is much likelier by the words of the other side."""
    counts = word_counts(pairs)
    totals = [count.total() + len(counts[0] | counts[1]) for count in counts]

    def lean(text: str, own: int) -> float:
        """How much likelier, in nats, the text is by the other side's words."""
        shares = [[(counts[side][word.lower()] + 1) / totals[side] for word in WORD.findall(text)] for side in (0, 1)]
        return float(np.log(shares[1 - own]).sum() - np.log(shares[own]).sum())

    return {
        number
        for number, pair in enumerate(pairs)
        if lean(pair.source, 0) > SWAPPED_NATS and lean(pair.target, 1) > SWAPPED_NATS
    }


def word_counts(pairs: Sequence[Pair]) -> list[Counter[str]]:
    """How often each word stands on each side."""
    return [Counter(word.lower() for text in side for word in WORD.findall(text)) for side in _sides(pairs)]


def _sides(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [pair.source for pair in pairs], [pair.target for pair in pairs]
