"""The embedded sample: reviews, most with a plain verdict, the others with one that the order of the words decides.

Reviews come in pairs, one positive and one negative. In the plain ones the word of the verdict differs. In the others
both are made of the same words, so a bag of words is at chance. What turns one into the other is a negation or a
mocking remark (or both) that stands in the verdict or in the sentence beside it, which of two clauses an `although`
subordinates, or which of two aspects the reviewer cares for. Cue and verdict stand up to eight words apart. The words
of both range from frequent to rare, and the rarest verdicts stand in test alone. In any review a sentence may report
what others thought, which decides nothing. The spans of the deciding words are kept as evidence for the test reviews.
Written as JSON lines, one of the forms a user's own data may have.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .params import Fetch

# fmt: off
# These lists go from frequent to rare: see _rare.
KNOWN = 34  # so many of GOOD and of BAD stand in train
GOOD = (
    "great", "good", "funny", "beautiful", "brilliant", "moving", "perfect", "clever", "gripping", "charming",
    "powerful", "lovely", "witty", "superb", "fantastic", "delightful", "memorable", "touching", "fresh",
    "terrific", "splendid", "hilarious", "stunning", "marvellous", "enchanting", "captivating", "riveting",
    "exquisite", "dazzling", "sublime", "heartfelt", "inventive", "masterly", "amusing", "elegant", "magical",
    "poignant", "thrilling", "radiant", "absorbing", "tender", "subtle", "glorious", "uplifting", "engaging",
    "spellbinding", "graceful", "refreshing",
)
BAD = (
    "bad", "boring", "dull", "terrible", "poor", "weak", "predictable", "stupid", "messy", "flat", "tedious",
    "ridiculous", "pointless", "painful", "shallow", "clumsy", "dreadful", "forgettable", "stale", "lifeless",
    "hopeless", "awful", "silly", "tiresome", "bland", "wooden", "incoherent", "dismal", "dire", "cringeworthy",
    "insipid", "contrived", "dreary", "vapid", "amateurish", "laughable", "ugly", "sluggish", "hollow", "trite",
    "grating", "hackneyed", "annoying", "unfunny", "unbearable", "muddled", "soulless", "lazy",
)
NEGATIONS = (
    "not", "never", "hardly", "by no means", "no longer", "scarcely", "in no way", "barely", "rarely", "at no point",
    "under no circumstances", "seldom",
)
MOCKING = (
    "yeah right", "as if", "dream on", "very likely", "ha ha", "what a joke", "my foot", "in your dreams",
    "who believes that", "pull the other one", "give me a break", "don't make me laugh",
)
SUBORDINATING = "although", "though", "even though", "while", "whereas", "despite the fact that", "granted that"
ADVERSATIVE = "but", "yet", "still", "nevertheless", "even so", "all the same"
CARES = (
    "which is why I came", "which is what counts", "the only thing I care about", "and I judge by nothing else",
    "my sole concern", "and that settles it for me", "what I pay for", "to me the heart of any film",
)
# These are equally frequent.
ASPECTS = "acting", "camera work", "music", "plot"
WORKS = "comedy", "drama", "film", "movie", "picture", "sequel", "story", "thriller"
ASIDES = "all in all", "as far as I can tell", "if you ask me", "in my view", "on the whole", "to be fair"
DEGREES = "", "really ", "rather ", "truly ", "mostly "  # between `a` and the word
LONGER = *DEGREES, "at times really ", "as far as I can see ", "from start to finish "  # after `is`
FACTS = (
    "the hall was{} full", "it was{} raining outside", "the tickets were{} sold at the door",
    "the heating was{} on that evening", "we were{} sitting in the front row", "the director was{} there in person",
    "the subtitles were{} in English", "this was{} shown after midnight",
)
OTHERS = "my brother", "my neighbour", "the girl beside me", "the local paper", "a friend of mine"
FOUND = "found it", "called it", "thought it was"
# fmt: on

Pair = tuple[list[str], list[str]]  # the sentences of a positive and a negative review; [brackets] around what decides
Rng = np.random.Generator


def _one(rng: Rng, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _rare(rng: Rng, choices: Sequence[str]) -> str:
    """One of the choices, the first ones most often."""
    chances = (np.arange(len(choices)) + 1.0) ** -1.1
    return choices[int(rng.choice(len(choices), p=chances / chances.sum()))]


def _plain(rng: Rng, good: str, bad: str) -> Pair:
    fact = _one(rng, FACTS).format(_one(rng, ["", f" {_rare(rng, NEGATIONS)}", ""]))
    frame = f"this is, {_one(rng, ASIDES)}, a {_one(rng, DEGREES)}[{{}}] {_one(rng, WORKS)}"
    return [frame.format(good), fact], [frame.format(bad), fact]


def _cued(rng: Rng, good: str, bad: str, *places: str) -> Pair:
    """A verdict and a fact; a negation and a mocking remark each turn the verdict if they stand in it.

    Args:
        places: where the two stand in each review: v in the verdict, f in the fact, - nowhere. The first review has an
            even number in the verdict, the second an odd one.
    """
    word, fact = (good, bad)[rng.integers(2)], _one(rng, FACTS)
    negation, remark = _rare(rng, NEGATIONS), _rare(rng, MOCKING)
    verdict = f"this is{{}}, {_one(rng, ASIDES)}, a {_one(rng, DEGREES)}[{word}] {_one(rng, WORKS)}{{}}"
    even, odd = (
        [
            verdict.format(f" [{negation}]" * (at[0] == "v"), f", [{remark}]" * (at[1] == "v")),
            fact.format(f" {negation}" * (at[0] == "f")) + f", {remark}" * (at[1] == "f"),
        ]
        for at in places
    )
    return (even, odd) if word == good else (odd, even)


def _contrast(rng: Rng, good: str, bad: str) -> Pair:
    main, other = rng.permutation(ASPECTS)[:2]
    clauses = f"the {main} is {_one(rng, LONGER)}[{{0}}]", f"the {other} is {_one(rng, LONGER)}{{1}}"
    first, second = _rare(rng, SUBORDINATING), _rare(rng, ADVERSATIVE)
    frames = "[{2}] {1}, {0}", "{0}, [{2}] {1}", "{1}, [{3}] {0}"
    frame = _one(rng, frames).format(*clauses, first, second)
    return [frame.format(good, bad)], [frame.format(bad, good)]


def _aspect(rng: Rng, good: str, bad: str) -> Pair:
    main, other = rng.permutation(ASPECTS)[:2]
    frames = [f"the {main}, [{_rare(rng, CARES)}], is {_one(rng, LONGER)}[{{0}}]",
              f"the {other} is {_one(rng, LONGER)}{{1}}"][:: rng.choice([1, -1])]  # fmt: skip
    return [frame.format(good, bad) for frame in frames], [frame.format(bad, good) for frame in frames]


KINDS: dict[str, tuple[float, Callable[[Rng, str, str], Pair]]] = {  # with their shares
    "plain": (0.62, _plain),
    "negation": (0.11, lambda *given: _cued(*given, "f-", "v-")),
    "mockery": (0.10, lambda *given: _cued(*given, "-f", "-v")),
    "both": (0.04, lambda *given: _cued(*given, "vv", "vf")),
    "contrast": (0.07, _contrast),
    "aspect": (0.06, _aspect),
}


def make_pair(rng: Rng, num_words: int) -> list[str]:
    """A positive and a negative review, with [brackets] around what decides; their verdicts use num_words words."""
    (shares, kinds), good, bad = zip(*KINDS.values(), strict=True), GOOD[:num_words], BAD[:num_words]
    pair = kinds[rng.choice(len(kinds), p=shares)](rng, _rare(rng, good), _rare(rng, bad))
    beside = [_one(rng, FACTS).format("") for _ in range(rng.integers(3))]
    if rng.integers(2):
        beside.append(f"{_one(rng, OTHERS)} {_one(rng, FOUND)} {_rare(rng, (good, bad)[rng.integers(2)])}")
    place = int(rng.integers(len(beside) + 1))
    texts = [[*beside[:place], *sentences, *beside[place:]] for sentences in pair]
    return [" ".join(re.sub(r"^\[?\w", lambda start: start[0].upper(), one) + "." for one in text) for text in texts]


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
        num_words = KNOWN if split == "train" else len(GOOD)
        texts = [text for _ in range((count + 1) // 2) for text in make_pair(rng, num_words)][:count]
        lines = []
        for number, (text, evidence) in enumerate(map(find_evidence, texts)):
            line = {"id": f"{number:05}", "text": text, "label": ("positive", "negative")[number % 2]}
            lines.append(json.dumps(line | ({"evidence": evidence} if split == "test" else {}), ensure_ascii=False))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
