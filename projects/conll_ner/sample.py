"""The embedded sample: news in which the same names are people, towns and companies, and the context alone decides.

Names are Faker's, of eight languages. Any of them may be a person, a town or a company ("Becker said", "in Becker",
"Becker was sold"), and so may forms of two words ("Anna Becker" the fashion house, "Becker and Vogel" the couple or
the firm). Names of train, valid and test are disjoint: what is looked up in a list helps nobody. The words that decide
stand before the name or behind it, some way off, and every second sentence has a second name with deciding words of
its own: a bag of words would not tell which are whose.

Written as JSONL, the form that a user's own data may have. The evidence of each span are the deciding words: those of
its phrase that no phrase of another type has.
"""

import json
import random
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from faker import Faker

from .params import Fetch

# Not Italian: its towns come in another order in every process (Faker 40.54).
LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES", "pt_PT", "sv_SE", "pl_PL", "nl_NL")
NUM_NAMES = 900  # surnames and towns, of all splits
NUM_FIRST = 300
SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}  # of the names
SECOND = 0.6  # share of sentences with a second name

# What follows a name and decides its type.
AFTER = {
    "PER": [
        "said that nothing was decided", "smiled and left the room", "was born in May", "died at the age of 81",
        "married for the third time", "caught a cold", "wrote a letter to the editor", "retired in June",
        "was seen in tears", "scored twice in the second half", "apologised to the family", "broke a leg on Friday",
        "studied law and music", "could not remember the evening", "has three daughters",
    ],
    "LOC": [
        "lies north of the river", "has 40,000 inhabitants", "was cut off by snow", "is famous for a cathedral",
        "was flooded on Sunday", "has no railway station", "elected a new mayor", "saw heavy rain all week",
        "borders on a lake", "lost its only bus line", "was bombed in the war", "is an hour from the coast",
        "counts six schools", "celebrated its harvest fair", "became a bishop's seat in 1190",
    ],
    "ORG": [
        "reported a loss of 3 million", "hired 200 workers", "was taken over in March", "issued new shares",
        "laid off half of the staff", "filed for bankruptcy", "raised its dividend", "opened two factories abroad",
        "merged with a rival", "recalled 900 cars", "was listed on the exchange", "cut its prices",
        "appointed a new board", "bought a chain of shops", "paid its creditors late",
    ],
}  # fmt: skip
# What stands before a name and decides its type.
BEFORE = {
    "PER": [
        "the judge asked", "doctors treated", "a neighbour recognised", "they met the widow of", "the coach praised",
        "reporters spoke to", "we wrote to the parents of", "police arrested",
    ],
    "LOC": [
        "the train stopped in", "they walked to", "thieves roamed the streets of", "it was raining in",
        "we met the mayor of", "the road leads to", "she grew up near", "they drove across the bridge of",
    ],
    "ORG": [
        "she bought shares of", "he joined the auditors of", "investors sold", "the union sued",
        "they moved the head office of", "analysts doubled the turnover of", "we wrote to customers of",
        "the court stopped the takeover of",
    ],
}  # fmt: skip
ENDINGS = ["again", "on Tuesday", "last year", "without a word", "in the end", "once more", "as expected", "in August"]
OPENINGS = ["", "", "", "On Monday", "Yesterday", "Last Thursday", "In December", "Meanwhile", "As we know now",
            "For Easter", "According to Sunday papers"]  # fmt: skip
ASIDES = ["", "", ", as everyone knows by now,", ", of whom much was said on Wednesday,", ", long forgotten,",
          ", so the report of October says,", ", much to our surprise,", ", if the rumours are true,"]  # fmt: skip
REMOTE = ["", "", "the old", "the much loved", "the somewhat forgotten", "the often mentioned", "a certain"]
LINKS = [", while", ", but", "; meanwhile", ", and", ", although"]


class Piece(NamedTuple):
    """A run of text: the name of an entity with its type, the phrase that decides it (of which type), or neither."""

    text: str
    label: str = ""
    decides: str = ""


class Names(NamedTuple):
    """Of one split."""

    first: list[str]
    last: list[str]


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes train.jsonl, valid.jsonl and test.jsonl."""
    names, deciding = draw_names(params.seed), deciding_words()
    for split, count in (("train", params.num_train), ("valid", params.num_valid), ("test", params.num_test)):
        draw = random.Random(f"{params.seed} {split}")
        lines = [json.dumps(_record(sentence(names[split], draw), deciding), ensure_ascii=False) for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_names(seed: int) -> dict[str, Names]:
    """Names of each split; no word is in two of them."""
    fake = Faker(list(LOCALES))
    fake.seed_instance(seed)
    # each access of an attribute draws a language: a bound method would keep to one
    first = _single(lambda: fake.first_name(), NUM_FIRST, set())
    last = _single(lambda: fake.last_name() if fake.boolean() else fake.city(), NUM_NAMES, set(first))
    splits, done = {}, 0.0
    for split, share in SHARES.items():
        parts = [part[round(done * len(part)) : round((done + share) * len(part))] for part in (first, last)]
        splits[split] = Names(*parts)
        done += share
    return splits


def _single(make: Callable[[], str], count: int, taken: set[str]) -> list[str]:
    """`count` different names of one word that are not taken."""
    drawn = (unicodedata.normalize("NFC", make()) for _ in range(10 * count))
    fit = dict.fromkeys(name for name in drawn if name.isalpha() and name.istitle() and len(name) > 2)
    found = [name for name in fit if name not in taken][:count]
    assert len(found) == count
    return found


def name_of(label: str, names: Names, draw: random.Random) -> str:
    """A name of one to three words; of each form, people, towns and companies have some."""
    last, first = draw.choice(names.last), draw.choice(names.first)
    kind = draw.random()
    if kind < 0.55:
        return last
    if label == "LOC":
        return f"{last} {draw.choice(names.last)}" if kind < 0.8 else f"{first} {last}"
    return f"{first} {last}" if kind < 0.85 else f"{last} {draw.choice(names.last)}"


def clause(names: Names, draw: random.Random) -> list[Piece]:
    """Something about one name: decided by what stands before it, or behind it, never by both."""
    label = draw.choice(sorted(AFTER))
    aside = draw.choice(ASIDES)
    if draw.random() < 0.5:
        name = Piece(name_of(label, names, draw), label)
        return [name, Piece(aside), Piece(draw.choice(AFTER[label]), decides=label)]
    remote = draw.choice(REMOTE)
    name = Piece(name_of(label, names, draw), label)
    before = Piece(draw.choice(BEFORE[label]), decides=label)
    return [before, Piece(remote), name, Piece(aside), Piece(draw.choice(ENDINGS))]


def sentence(names: Names, draw: random.Random) -> list[Piece]:
    """One or two clauses."""
    opening = draw.choice(OPENINGS)
    pieces = [Piece(opening + "," if opening else ""), *clause(names, draw)]
    if draw.random() < SECOND:
        pieces += [Piece(draw.choice(LINKS)), *clause(names, draw)]
    return [*pieces, Piece(".")]


def deciding_words() -> dict[str, set[str]]:
    """Of each type the words of its phrases that stand nowhere else."""
    phrases = {label: set(" ".join(AFTER[label] + BEFORE[label]).split()) for label in AFTER}
    common = set(" ".join(ENDINGS + OPENINGS + ASIDES + REMOTE + LINKS).lower().split())
    others = {label: set().union(*(phrases[other] for other in phrases if other != label)) for label in phrases}
    return {label: words - others[label] - common for label, words in phrases.items()}


def _record(pieces: list[Piece], deciding: dict[str, set[str]]) -> dict[str, object]:
    """The text and its spans with their evidence, by characters."""
    text, spans, evidence = "", [], []
    for piece in pieces:
        if not piece.text:
            continue
        word = piece.text if text else piece.text[0].upper() + piece.text[1:]
        text += ("" if not text or word[0] in ",;." else " ") + word
        start = len(text) - len(word)
        if piece.label:
            spans.append({"start": start, "end": len(text), "label": piece.label})
        if piece.decides:
            found = re.finditer(r"\S+", word)
            places = [one.span() for one in found if one[0].lower() in deciding[piece.decides]]
            evidence.append([[start + left, start + right] for left, right in places])
    both = zip(spans, evidence, strict=True)
    return {"text": text, "spans": [span | {"evidence": of_span} for span, of_span in both]}
