"""The embedded sample: reviews in which the order of the words decides, and their bag says nothing.

Reviews come in pairs, one positive and one negative. In three of four pairs both are made of the same words. What
turns one into the other is a negation that stands in the verdict or in a sentence beside it, a remark that mocks the
one or the other, which of two clauses an `although` subordinates, or which of two aspects the reviewer cares for. There
a model of single words is at chance, and one of word pairs nearly, for cue and verdict stand up to eight words apart.
In the other pairs a plain verdict says it: without any, no network would learn where to begin. A sentence may report
what others thought, which decides nothing. The spans of the deciding words are kept as evidence for the test reviews.
Written as JSON lines, one of the forms a user's own data may have.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .params import Fetch

# fmt: off
GOOD = (
    "beautiful", "brilliant", "charming", "clever", "delightful", "fantastic", "fresh", "funny", "great", "gripping",
    "lovely", "memorable", "moving", "perfect", "powerful", "splendid", "superb", "terrific", "touching", "witty",
)
BAD = (
    "bad", "boring", "clumsy", "dreadful", "dull", "flat", "forgettable", "hopeless", "lifeless", "messy",
    "painful", "pointless", "poor", "predictable", "ridiculous", "shallow", "stale", "tedious", "terrible", "weak",
)
# fmt: on
NEGATIONS = "not", "never", "hardly", "by no means"
MOCKING = "yeah right", "as if", "dream on", "very likely"
SUBORDINATING = "although", "though", "even though"
ADVERSATIVE = "but", "yet"
ASPECTS = "acting", "camera work", "music", "plot"
CARES = "which is why I came", "which is what counts", "the only thing I care about", "and I judge by nothing else"
WORKS = "comedy", "drama", "film", "movie", "picture", "sequel", "story", "thriller"
ASIDES = (
    "all in all",
    "as far as I can tell",
    "if you ask me",
    "in my view",
    "on the whole",
    "to be fair",
    "when all is said",
)
DEGREES = "", "really ", "rather ", "truly ", "mostly "  # between `a` and the word
LONGER = *DEGREES, "at times really ", "as far as I can see ", "from start to finish "  # after `is`
FACTS = (
    "the hall was{} full",
    "it was{} raining outside",
    "the tickets were{} sold at the door",
    "the heating was{} on that evening",
    "we were{} sitting in the front row",
    "the director was{} there in person",
    "the subtitles were{} in English",
    "this was{} shown after midnight",
)
OTHERS = "my brother", "my neighbour", "the girl beside me", "the local paper", "a friend of mine"
FOUND = "found it", "called it", "thought it was"

Pair = tuple[list[str], list[str]]  # the sentences of two reviews of the same words; [brackets] around what decides
Rng = np.random.Generator


def _one(rng: Rng, choices: Any) -> str:
    return str(choices[rng.integers(len(choices))])


def _two(rng: Rng, choices: Any) -> list[str]:
    return [str(choices[index]) for index in rng.permutation(len(choices))[:2]]


def _negation(rng: Rng, good: str, bad: str) -> tuple[Pair, bool]:
    word, cue, fact = (good, bad)[rng.integers(2)], _one(rng, NEGATIONS), _one(rng, FACTS)
    frame = f"this is{{}}, {_one(rng, ASIDES)}, a {_one(rng, DEGREES)}[{word}] {_one(rng, WORKS)}"
    negated, plain = [frame.format(f" [{cue}]"), fact.format("")], [frame.format(""), fact.format(f" {cue}")]
    return (plain, negated), word == good


def _mockery(rng: Rng, good: str, bad: str) -> tuple[Pair, bool]:
    word, cue, fact = (good, bad)[rng.integers(2)], _one(rng, MOCKING), _one(rng, FACTS).format("")
    frame = f"this is a {_one(rng, DEGREES)}[{word}] {_one(rng, WORKS)}, {_one(rng, ASIDES)}"
    return ([frame, f"{fact}, {cue}"], [f"{frame}, [{cue}]", fact]), word == good


def _contrast(rng: Rng, good: str, bad: str) -> tuple[Pair, bool]:
    (main, other), degrees = _two(rng, ASPECTS), [_one(rng, LONGER) for _ in range(2)]
    clauses = f"the {main} is {degrees[0]}[{{}}]", f"the {other} is {degrees[1]}{{}}"
    first, second = _one(rng, SUBORDINATING), _one(rng, ADVERSATIVE)
    frame = (
        f"[{first}] {clauses[1]}, {clauses[0]}",
        f"{clauses[0]}, [{first}] {clauses[1]}",
        f"{clauses[1]}, [{second}] {clauses[0]}",
    )[which := int(rng.integers(3))]
    words = [(good, bad), (bad, good)]
    positive, negative = ([frame.format(*(pair if which == 1 else pair[::-1]))] for pair in words)
    return (positive, negative), True


def _aspect(rng: Rng, good: str, bad: str) -> tuple[Pair, bool]:
    (main, other), degrees, swapped = _two(rng, ASPECTS), [_one(rng, LONGER) for _ in range(2)], rng.integers(2)
    frames = f"the {main}, [{_one(rng, CARES)}], is {degrees[0]}[{{}}]", f"the {other} is {degrees[1]}{{}}"
    pairs = (
        [frame.format(word) for frame, word in zip(frames, pair, strict=True)] for pair in ((good, bad), (bad, good))
    )
    positive, negative = (pair[::-1] if swapped else pair for pair in pairs)
    return (positive, negative), True


def _plain(rng: Rng, good: str, bad: str) -> tuple[Pair, bool]:
    fact = _one(rng, FACTS).format(_one(rng, ["", f" {_one(rng, NEGATIONS)}", ""]))
    frame = f"this is, {_one(rng, ASIDES)}, a {_one(rng, DEGREES)}[{{}}] {_one(rng, WORKS)}"
    positive, negative = ([frame.format(word), fact] for word in (good, bad))
    return (positive, negative), True


KINDS: dict[str, Callable[[Rng, str, str], tuple[Pair, bool]]] = {
    "plain": _plain,
    "negation": _negation,
    "mockery": _mockery,
    "contrast": _contrast,
    "aspect": _aspect,
}


SHARES = 0.24, 0.19, 0.19, 0.19, 0.19  # of each kind


def make_pair(rng: Rng) -> tuple[str, str]:
    """A positive and a negative review of the same words, with [brackets] around what decides."""
    make = list(KINDS.values())[rng.choice(len(KINDS), p=SHARES)]
    pair, first_is_good = make(rng, _one(rng, GOOD), _one(rng, BAD))
    beside = [_one(rng, FACTS).format("") for _ in range(rng.integers(3))]
    if rng.integers(2):
        beside.append(f"{_one(rng, OTHERS)} {_one(rng, FOUND)} {_one(rng, [*GOOD, *BAD])}")
    places = [int(rng.integers(2)) for _ in beside]
    before, after = ([one for one, place in zip(beside, places, strict=True) if place == side] for side in (0, 1))
    first, second = (_text([*before, *sentences, *after]) for sentences in pair)
    return (first, second) if first_is_good else (second, first)


def _text(sentences: list[str]) -> str:
    return " ".join(_sentence(sentence) for sentence in sentences)


def _sentence(words: str) -> str:
    start = 1 if words.startswith("[") else 0
    words = words[:start] + words[start].upper() + words[start + 1 :]
    return words if words.endswith(".") else words + "."


def find_evidence(marked: str) -> tuple[str, list[list[int]]]:
    """A text without its [brackets], and the [start, end) of what they held.

    >>> find_evidence("It is [not] bad.")
    ('It is not bad.', [[6, 9]])
    """
    parts = re.split(r"[\[\]]", marked)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return "".join(parts), [[ends[index], ends[index + 1]] for index in range(1, len(parts), 2)]


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes train.jsonl and test.jsonl: id, text, label, and the evidence of the test reviews."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", params.num_train), ("test", params.num_test)):
        rng = np.random.default_rng([params.seed, count, split == "test"])
        lines = []
        for number in range(count):
            if number % 2 == 0:
                pair = make_pair(rng)
            text, evidence = find_evidence(pair[number % 2])
            line = {"id": f"{number:05}", "text": text, "label": ("positive", "negative")[number % 2]}
            lines.append(line | ({"evidence": evidence} if split == "test" else {}))
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
