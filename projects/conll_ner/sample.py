"""The embedded sample: news in which a name may be a person, a town or a company, and the context decides which.

Names are Faker's, of eight languages. Each has a usual type, which most of its mentions have; the others have another
type (Becker the town, "Anna Becker" the fashion house). Most mentions in valid and test are of names that train knows,
the others of new ones. The words that decide stand before the name or some way behind it, and some are rare: one noun
in a frame that fits every type. Other deciding words belong to a second name, or to nothing that has a name.

Written as JSONL, a form that a user's own data may have. The evidence of each span is the words that decide its type.
"""

import json
import random
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from faker import Faker

from .params import Fetch

# Not Italian: its towns come in another order in every process (Faker 40.54).
LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES", "pt_PT", "sv_SE", "pl_PL", "nl_NL")
NUM_NAMES, NUM_FIRST = 900, 300  # surnames and towns, first names: of all splits
SHARES = {"train": (0, 0.6), "valid": (0.6, 0.75), "test": (0.75, 1)}  # of the names: those that appear there first
KNOWN = 0.7  # share of the mentions in valid and test whose name is one of train's
USUAL = 0.7  # share of the mentions that have the usual type of their name
SECOND = 0.6  # share of sentences with a second name
RARE = 0.15  # share of the clauses whose frame fits every type, so that its one noun decides

TYPES = ["PER", "LOC", "ORG"]

# What decides the type of a name before it.
BEFORE = {
    "PER": """the [judge] [asked] / [doctors] [treated] / a [neighbour] recognised / they met the [widow] of /
        the [coach] praised / reporters [spoke] to / we wrote to the [parents] of / police [arrested]""",
    "LOC": """the train [stopped] in / they [walked] to / thieves roamed the [streets] of / it was [raining] in /
        we met the [mayor] of / the [road] [leads] to / she [grew] up [near] / they drove across the [bridge] of""",
    "ORG": """she bought [shares] of / he joined the [auditors] of / [investors] sold / the [union] [sued] /
        they moved the [head] [office] of / analysts doubled the [turnover] of / we wrote to [customers] of /
        the court stopped the [takeover] of""",
}
# What decides the type of a name behind it.
AFTER = {
    "PER": """[said] that nothing was decided / [smiled] and left the [room] / was [born] in May / [died] at the [age]
        of 81 / [married] for the third time / caught a [cold] / [wrote] a [letter] to the editor / [retired] in June /
        was seen in [tears] / [scored] twice in the second half / [apologised] to the family / broke a [leg] on
        Friday""",
    "LOC": """[lies] north of the river / has 40,000 [inhabitants] / was cut off by [snow] / was [flooded] on Sunday /
        has no [railway] [station] / elected a new [mayor] / saw heavy [rain] all week / [borders] on a lake / lost its
        only [bus] [line] / was [bombed] in the war / is an [hour] from the [coast] / counts six [schools]""",
    "ORG": """reported a [loss] of 3 [million] / [hired] 200 [workers] / was [taken] [over] in March / [issued] new
        [shares] / [laid] [off] half of the staff / filed for [bankruptcy] / raised its [dividend] / opened two
        [factories] abroad / [merged] with a [rival] / [recalled] 900 [cars] / cut its [prices] / bought a [chain] of
        [shops]""",
}
# Frames that fit every type, and the nouns that decide it there, from frequent to rare.
ANY_BEFORE = "we heard about the {} of / she wrote about the {} of / few saw the {} of / nothing is left of the {} of"
ANY_AFTER = "is known for the {} / has lost the {} / owes much to the {} / was in the news because of the {}"
NOUNS = {
    "PER": """daughter birthday widow childhood illness wife marriage friends funeral temper voice diary husband wedding
        memoirs smile pension uncle beard grandmother""",
    "LOC": """river mayor harbour streets cathedral inhabitants bridge castle station suburbs climate beaches airport
        valley walls ruins canals parks vineyards lighthouse""",
    "ORG": """shares customers turnover staff factories dividend takeover board products profits brand bankruptcy
        branches merger auditors sales prices layoffs patents warehouse""",
}  # fmt: skip
ENDINGS = ["again", "on Tuesday", "last year", "without a word", "in the end", "once more", "as expected", "in August"]
OPENINGS = ["", "", "", "On Monday,", "Yesterday,", "In December,", "Meanwhile,", "According to Sunday papers,",
            "After the news about the {},", "When all talked of the {},", "In spite of the {},"]  # fmt: skip
ASIDES = ["", "", ", as everyone knows by now,", ", of whom much was said on Wednesday,", ", long forgotten,",
          ", so the report of October says,", ", much to our surprise,", ", if the rumours are true,"]  # fmt: skip
REMOTE = ["", "", "the old", "the much loved", "the somewhat forgotten", "the often mentioned", "a certain"]
LINKS = [", while", ", but", "; meanwhile", ", and", ", although"]

MARK = re.compile(r"([^<[]*)(?:<(\w+) ([^>]+)>|\[(\w+)\]|$)")  # plain text, then <PER Anna Becker> or [widow]

Names = tuple[list[str], list[str]]  # first names; surnames and towns


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes train.jsonl, valid.jsonl and test.jsonl."""
    names = draw_names(params.seed)
    for split, count in (("train", params.num_train), ("valid", params.num_valid), ("test", params.num_test)):
        draw = random.Random(f"{params.seed} {split}")
        lines = [json.dumps(record(sentence(names, split, draw)), ensure_ascii=False) for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_names(seed: int) -> dict[str, Names]:
    """Names that appear in each split first; no word is in two of them."""
    fake = Faker(list(LOCALES))
    fake.seed_instance(seed)
    # each access of an attribute draws a language: a bound method would keep to one
    first = _single(lambda: fake.first_name(), NUM_FIRST, set())
    last = _single(lambda: fake.last_name() if fake.boolean() else fake.city(), NUM_NAMES, set(first))

    def part(names: list[str], start: float, stop: float) -> list[str]:
        return names[round(start * len(names)) : round(stop * len(names))]

    return {split: (part(first, *share), part(last, *share)) for split, share in SHARES.items()}


def _single(make: Callable[[], str], count: int, taken: set[str]) -> list[str]:
    """`count` different names of one word that are not taken."""
    drawn = (unicodedata.normalize("NFC", make()) for _ in range(10 * count))
    fit = dict.fromkeys(name for name in drawn if name.isalpha() and name.istitle() and len(name) > 2)
    found = [name for name in fit if name not in taken][:count]
    assert len(found) == count
    return found


def mention(names: Names, draw: random.Random) -> tuple[str, str]:
    """A type, and a name of one or two words: any type may have any form."""
    first, last = map(draw.choice, names)
    usual = random.Random(last).choice(TYPES)
    label = usual if draw.random() < USUAL else draw.choice(TYPES)
    form = draw.random()
    if form < 0.8:
        return label, last
    return label, f"{first} {last}" if form < 0.9 else f"{last} {draw.choice(names[1])}"


def _noun(label: str, draw: random.Random) -> str:
    nouns = NOUNS[label].split()
    return draw.choices(nouns, [1 / (place + 3) for place in range(len(nouns))])[0]


def _phrase(typed: dict[str, str], anything: str, label: str, draw: random.Random) -> str:
    """A phrase that decides the type, with [brackets] around the words that do."""
    phrase = draw.choice((anything if draw.random() < RARE else typed[label]).split("/"))
    return " ".join(phrase.split()).format(f"[{_noun(label, draw)}]")


def clause(names: Names, draw: random.Random) -> list[str]:
    """Something about one name, with marks: its type is decided by what stands before it, or by what follows."""
    label, name = mention(names, draw)
    aside = draw.choice(ASIDES)
    if draw.random() < 0.5:
        return [f"<{label} {name}>", aside, _phrase(AFTER, ANY_AFTER, label, draw)]
    before = _phrase(BEFORE, ANY_BEFORE, label, draw)
    return [before, draw.choice(REMOTE), f"<{label} {name}>", aside, draw.choice(ENDINGS)]


def sentence(names: dict[str, Names], split: str, draw: random.Random) -> list[str]:
    """One or two clauses with marks, one name in each; joined they are the sentence."""
    clauses: list[str] = []
    for start in [draw.choice(OPENINGS), draw.choice(LINKS)][: 1 + (draw.random() < SECOND)]:
        opening = start.format(_noun(draw.choice(TYPES), draw))
        pieces = clause(names["train" if draw.random() < KNOWN else split], draw)
        clauses.append(re.sub(r" (?=[,;])", "", " ".join(piece for piece in (opening, *pieces) if piece)))
    clauses[0] = re.sub(r"^(\[?\w)", lambda first: first[0].upper(), clauses[0])
    return [*clauses[:-1], clauses[-1] + "."]


def record(clauses: list[str]) -> dict[str, object]:
    """The text without its marks, and its spans with their evidence, by characters."""
    text, spans = "", []
    for marked in clauses:
        text += " " if text and marked[0] not in ",;" else ""
        evidence: list[list[int]] = []
        for plain, label, name, word in MARK.findall(marked):
            text += plain
            place = [len(text), len(text) + len(name or word)]
            text += name or word
            if name:
                spans.append({"start": place[0], "end": place[1], "label": label, "evidence": evidence})
            elif word:
                evidence.append(place)
    return {"text": text, "spans": spans}
