"""The embedded sample: English sentences about dates, times, amounts, numbers, countries and languages, in German.

What the parts are called in each language is the Unicode CLDR's, through babel; numbers in words are num2words'. A
small grammar puts them into sentences whose order differs: verbs at the end of German clauses, inversion, "not" at the
end. Most words have alternatives and most phrases may be missing, so that hardly a word follows from those before it.
So every reference is right and it is known which words translate which. Train, valid and test share no date, time,
amount or number. Written as two aligned files a split, one of the forms a user's own data may have, and as
<split>.evidence.jsonl: alignment, and the values (numbers and dates) that a translation must hold.

A unit is a stretch of English with its German: all its words are aligned with each other.
"""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import date, time
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from babel import Locale
from babel.dates import format_date, format_time, get_day_names, get_month_names
from babel.numbers import format_currency, format_decimal, format_percent
from num2words import num2words

from .params import Fetch

EN, DE = "en", "de"
COUNTRIES = (  # those that take no article in German
    "DE FR IT ES PL AT GR PT SE NO DK FI JP CN IN BR MX CA EG KE PE CL CU IS IE HU RO BG HR CZ VN TH KR AU NZ ZA MA TN "
    "BE LU EE LV LT RS AL GE AM IL JO CO EC BO UY GH NG ET UG MG NP ID MY"
)
LANGUAGES = "de fr it es pl el pt sv nb da fi ja zh hi ar hu ro bg hr cs vi th ko is ga et lv lt sr sq ka hy he id"
CURRENCIES = "EUR", "USD", "GBP"
FEMALE, MALE = ("Anna", "Maria", "Clara", "Julia", "Sophie"), ("Paul", "Thomas", "Martin", "David", "Simon")
# English, German with its article in the accusative, plural, plural without an article
THINGS = (
    ("car", "das Auto", "cars", "Autos"), ("house", "das Haus", "houses", "Häuser"),
    ("boat", "das Boot", "boats", "Boote"), ("table", "den Tisch", "tables", "Tische"),
    ("lamp", "die Lampe", "lamps", "Lampen"), ("painting", "das Gemälde", "paintings", "Gemälde"),
    ("bicycle", "das Fahrrad", "bicycles", "Fahrräder"), ("book", "das Buch", "books", "Bücher"),
    ("clock", "die Uhr", "clocks", "Uhren"), ("piano", "das Klavier", "pianos", "Klaviere"),
)  # fmt: skip
EVENTS = (
    ("meeting", "die Besprechung"), ("concert", "das Konzert"), ("exhibition", "die Ausstellung"),
    ("lecture", "der Vortrag"), ("festival", "das Festival"), ("course", "der Kurs"), ("trial", "die Verhandlung"),
    ("conference", "die Konferenz"),
)  # fmt: skip
# English in the past tense and after "will"; German participle and infinitive
Verbs = Sequence[tuple[str, str, str, str]]
DEALS: Verbs = (
    ("paid", "pay", "bezahlt", "bezahlen"), ("got", "get", "bekommen", "bekommen"),
    ("asked", "ask", "verlangt", "verlangen"), ("offered", "offer", "geboten", "bieten"),
)  # fmt: skip
TALKS: Verbs = (
    ("wrote to", "write to", "geschrieben", "schreiben"), ("thanked", "thank", "gedankt", "danken"),
    ("answered", "answer", "geantwortet", "antworten"), ("helped", "help", "geholfen", "helfen"),
)  # fmt: skip
MOVES: Verbs = (
    ("rose", "rise", "gestiegen", "steigen"), ("fell", "fall", "gefallen", "fallen"),
    ("dropped", "drop", "gesunken", "sinken"),
)  # fmt: skip
MODALS = ("will", "wird", "werden"), ("must", "muss", "müssen"), ("can", "kann", "können")  # one, several
# English, German
CHOICES = {
    "and": "and/und or/oder", "because": "because/weil although/obwohl if/wenn before/bevor until/bis",
    "but": "but/aber and/und", "buy": "buy/kaufen sell/verkaufen order/bestellen",
    "deliver": "deliver/liefern send/schicken bring/bringen sell/verkaufen",
    "knows": "speaks/spricht understands/versteht learns/lernt reads/liest",
    "leaves": "is moving/umzieht is leaving/abreist is coming/kommt is working/arbeitet",
    "must": "must/müssen can/können want to/wollen should/sollen",
    "people": "people/Menschen children/Kinder teachers/Lehrer doctors/Ärzte",
    "prices": "prices/Preise rents/Mieten wages/Löhne taxes/Steuern",
    "runs": "starts/beginnt ends/endet opens/öffnet closes/schließt",
    "waits": "waits/wartet laughs/lacht works/arbeitet sleeps/schläft",
    "wants": "wants to/will must/muss can/kann should/soll", "we": "we/wir they/sie",
    "whom": "us/uns them/ihnen her/ihr him/ihm me/mir", "whose": "the/die our/unsere their/ihre",
}  # fmt: skip
CHOICE = re.compile(r"([^/]+)/(\S+) ?")
Rng = np.random.Generator
T = TypeVar("T")


class Unit(NamedTuple):
    """English, and its German; `value`: whether the German is one that a translation must hold."""

    en: str
    de: str
    value: bool = False


Units = dict[str, Unit]  # by their slots in the rules


def in_both(write: Callable[[str], str], value: bool = False) -> Unit:
    """The same in both languages."""
    return Unit(write(EN), write(DE), value)


Rule = tuple[str, str, Callable[["Draw"], Units]]  # English, German, and what draws their units, perhaps more


class Draw:
    """Draws parts of sentences for one split: a value belongs to one split alone, by a hash of it."""

    def __init__(self, rng: Rng, split: str) -> None:
        self.rng, self.split = rng, split

    def one(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def mine(self, make: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
        """Draws until the numbers are this split's: 1 of 10 is test's, 1 of 10 valid's."""
        while True:
            found = make()
            place = zlib.crc32(str(found).encode()) % 10
            if ("test", "valid")[place] == self.split if place < 2 else self.split == "train":
                return found

    def whole(self, low: int, high: int) -> int:
        """A number, as likely of few digits as of many."""
        return self.mine(lambda: (int(np.exp(self.rng.uniform(np.log(low), np.log(high)))),))[0]

    def evenly(self, *ranges: tuple[int, int]) -> tuple[int, ...]:
        """A number of each range, whose end is not included; all are equally likely."""
        return self.mine(lambda: tuple(int(self.rng.integers(*ends)) for ends in ranges))

    def country(self) -> Unit:
        code = self.one(COUNTRIES.split())
        return in_both(lambda name: str(Locale(name).territories[code]))

    def languages(self, count: int) -> list[Unit]:
        codes = self.rng.choice(LANGUAGES.split(), count, replace=False).tolist()
        return [in_both(lambda name, code=code: str(Locale(name).languages[code])) for code in codes]  # type: ignore[misc]

    def day(self) -> date:
        return date(*self.evenly((1950, 2050), (1, 13), (1, 29)))

    def hour(self) -> Unit:
        """On the minute, as "h:mm a" and "HH:mm"."""
        hour, minute = self.evenly((0, 24), (0, 60))
        found = time(hour, minute)
        return in_both(lambda name: format_time(found, "short", locale=name), value=True)

    def amount(self) -> Unit:
        currency, cents = self.one(CURRENCIES), self.whole(100, 9_999_999)
        return in_both(lambda name: format_currency(cents / 100, currency, locale=name), value=True)

    def percent(self) -> Unit:
        (tenths,) = self.evenly((1, 1000))
        patterns = {EN: "#,##0.0%", DE: "#,##0.0 %"}
        return in_both(lambda name: format_percent(tenths / 1000, patterns[name], locale=name), value=True)

    def number(self) -> Unit:
        """In words, or in digits with the thousands separated; words never end in one, which German inflects."""
        if self.rng.random() < 0.6:
            while (found := self.whole(2, 10_000)) % 100 == 1:
                pass
            return in_both(lambda name: num2words(found, lang=name).replace(",", ""), value=True)
        found = self.whole(1000, 9_999_999)
        return in_both(lambda name: format_decimal(found, locale=name), value=True)

    def month(self) -> Unit:
        number = int(self.rng.integers(1, 13))
        return in_both(lambda name: get_month_names("wide", locale=name)[number])

    def weekday(self) -> Unit:
        number = int(self.rng.integers(7))
        return in_both(lambda name: get_day_names("wide", locale=name)[number])

    def thing(self) -> Units:
        """Its article in the accusative, its singular, its plural."""
        en, german, many, several = self.one(THINGS)
        article, noun = german.split(" ")
        return {"article": Unit("the", article), "thing": Unit(en, noun), "things": Unit(many, several)}

    def event(self) -> Units:
        """Its article in the nominative, and its noun."""
        en, german = self.one(EVENTS)
        article, noun = german.split(" ")
        return {"article": Unit("the", article), "event": Unit(en, noun)}

    def person(self) -> Units:
        """A name, and who does what comes next: he or she, or somebody else."""
        names, pronoun = self.one(((FEMALE, Unit("she", "sie")), (MALE, Unit("he", "er"))))
        first, other = self.one(names), self.one(FEMALE + MALE)
        who = pronoun if self.rng.random() < 0.5 or other == first else Unit(other, other)
        return {"name": Unit(first, first), "who": who}

    def choices(self, *names: str) -> Units:
        """One of each of these CHOICES."""
        return {name: Unit(*self.rng.choice(CHOICE.findall(CHOICES[name])).tolist()) for name in names}

    def verb(self, verbs: Verbs, perfect: str, several: bool) -> Units:
        """In the past, or with a modal verb: {does} in English, {aux} and {main} in German."""
        past, base, participle, infinitive = self.one(verbs)
        if self.rng.random() < 0.4:
            return {"does": Unit(past, ""), "aux": Unit("", perfect), "main": Unit("", participle)}
        modal = self.one(MODALS)
        aux = Unit("", modal[1 + several])
        return {"does": Unit(f"{modal[0]} {base}", ""), "aux": aux, "main": Unit("", infinitive)}


def deals(draw: Draw) -> Units:
    return draw.thing() | draw.person() | {"amount": draw.amount()} | draw.verb(DEALS, "hat", several=False)


def runs(draw: Draw) -> Units:
    units = draw.event() | draw.choices("runs") | {"country": draw.country()}
    return units | {"time": draw.hour(), "weekday": draw.weekday()}


def knows(draw: Draw) -> Units:
    units, (first, second, third), verb = draw.person(), draw.languages(3), draw.choices("knows")["knows"]
    units |= {"first": first, "second": second, "third": third, "verb": verb}
    units |= {"base": Unit(verb.en[:-1], verb.de)}  # she speaks, she does not speak
    return units | draw.choices("knows", "and", "but")


def talks(draw: Draw) -> Units:
    units = {"number": draw.number(), "country": draw.country(), "language": draw.languages(1)[0]}
    return units | draw.choices("people", "whom") | draw.verb(TALKS, "haben", several=True)


def delivers(draw: Draw) -> Units:
    units = {"number": draw.number()} | draw.thing() | {"country": draw.country()}
    return units | draw.choices("we", "must", "deliver")


def waits(draw: Draw) -> Units:
    units = draw.event() | draw.person() | {"time": draw.hour(), "weekday": draw.weekday()}
    return units | draw.choices("waits", "because", "runs")


def moves(draw: Draw) -> Units:
    change = draw.percent() if draw.rng.random() < 0.5 else draw.amount()
    units = {"country": draw.country(), "change": change, "month": draw.month()}
    return units | draw.choices("whose", "prices") | draw.verb(MOVES, "sind", several=True)


def wants(draw: Draw) -> Units:
    units = draw.person() | {"number": draw.number()} | draw.thing() | {"amount": draw.amount()}
    return units | draw.choices("wants", "buy", "because", "leaves")


# {slot} stands for a unit, {day} for a date, [words|key] for words; what has one key in both languages is aligned, in
# German {slot|key key} and [words|key key] with several. (slot ...) may be missing, (-slot ...) stands instead
RULES: tuple[Rule, ...] = (
    ("(day [on|on] {day}, ){name} {does} {amount}(thing  [for|for] {article} {thing}).",
     "(day [am|on day] {day} {aux|does} {name})(-day {name} {aux|does}) {amount}"
     "(thing  [für|for article thing] {article|article thing} {thing}) {main|does}.", deals),
    ("{article} {event} {runs}(country  [in|in] {country})(time  [at|at] {time})(weekday  [on|on] {weekday}).",
     "(country [in|in country] {country} {runs} {article|article event} {event})"
     "(-country {article|article event} {event} {runs})(weekday  [am|on weekday] {weekday})"
     "(time  [um|at time] {time} [Uhr|at time]).", runs),
    ("{name} {knows} {first} {and} {second}, {but} {who}(not  [does not|not] {base})(-not  {verb}) {third}.",
     "{name} {knows} {first} {and} {second}, {but} {who} {verb|verb base} {third}(not  [nicht|not]).", knows),
    ("{number} {people}(country  [from|from] {country}) {does} {whom}(language  [in|in] {language})"
     "(day  [on|on] {day}).",
     "{number} {people}(country  [aus|from country] {country}) {aux|does} {whom}(day  [am|on day] {day})"
     "(language  [auf|in language] {language}) {main|does}.", talks),
    ("{we} {must} {deliver} {number} {things}(country  [to|to] {country})(day  [by|by] {day}).",
     "{we} {must}(day  [bis zum|by day] {day}) {number} {things}(country  [nach|to country] {country}) {deliver}.",
     delivers),
    ("{name} {waits} {because} {article} {event} {runs}(time  [at|at] {time})(weekday  [on|on] {weekday}).",
     "{name} {waits}, {because} {article|article event} {event}(weekday  [am|on weekday] {weekday})"
     "(time  [um|at time] {time} [Uhr|at time]) {runs}.", waits),
    ("{whose} {prices}(country  [in|in] {country}) {does}(change  [by|by] {change})(month  [in|im] {month}).",
     "(month [im|im month] {month} {aux|does} {whose} {prices})(-month {whose} {prices})"
     "(country  [in|in country] {country})(-month  {aux|does})(change  [um|by change] {change}) {main|does}.", moves),
    ("{name} {wants} {buy} {number} {things}(amount  [for|for] {amount}) {because} {who} {leaves}(day  [on|on] {day}).",
     "{name} {wants} {number} {things}(amount  [für|for amount] {amount}) {buy}, {because} {who}"
     "(day  [am|on day] {day}) {leaves}.", wants),
)  # fmt: skip
KEPT = 0.7  # of the phrases that may be missing
OPTIONAL = re.compile(r"\((-?)(\w+) ([^()]*)\)")
PIECE = re.compile(r"\{(\w+)(?:\|([\w ]+))?\}|\[([^|\]]+)\|([\w ]+)\]|([^\[{]+)")


def date_units(day: date, language: str) -> list[tuple[str, str]]:
    """A long date as (key of its unit or "", text): day, month and year are units, what stands between is not.

    >>> date_units(date(2024, 3, 12), "de")
    [('d', '12.'), ('', ' '), ('MMMM', 'März'), ('', ' '), ('y', '2024')]
    """
    whole = format_date(day, "long", locale=language)
    parts = {key: format_date(day, key, locale=language) for key in ("MMMM", "y", "d")}
    found: list[tuple[str, str]] = []
    while whole:
        key = next((key for key, text in parts.items() if whole.startswith(text)), "")
        text = parts.pop(key) if key else whole[0]
        if key == "d" and whole[len(text) : len(text) + 1] == ".":  # an ordinal
            text += "."
        found.append((key, text))
        whole = whole[len(text) :]
    return found


class Filled(NamedTuple):
    """A sentence; where in it each key's parts stand: key -> [[start, end], ...]; and the values in it."""

    text: str
    places: dict[str, list[list[int]]]
    values: list[str]


def fill(pattern: str, units: Units, day: date, language: str) -> Filled:
    """A pattern of RULES with its units, without parentheses."""
    text, places, values = "", dict[str, list[list[int]]](), list[str]()
    for slot, keys, words, word_keys, plain in PIECE.findall(pattern):
        pieces = [(keys or slot or word_keys, getattr(units[slot], language) if slot in units else words or plain)]
        if slot == "day":
            of_all = " day" * (language == EN)  # what is aligned with a date is aligned with each of its parts
            pieces = [(f"day.{key}{of_all}" * bool(key), piece) for key, piece in date_units(day, language)]
        start = len(text)
        for key, piece in pieces:
            piece = piece if text else piece[:1].upper() + piece[1:]
            for one in key.split():
                places.setdefault(one, []).append([len(text), len(text) + len(piece)])
            text += piece
        if slot == "day" or (slot in units and units[slot].value):
            values.append(text[start:])
    return Filled(text, places, values)


def make_pair(rng: Rng, split: str) -> tuple[str, str, dict[str, object]]:
    """English, German, and what is known: alignment [[source start, end, target start, end], ...] in characters, and
    the values that the German must hold."""
    draw = Draw(rng, split)
    english, german, choose = draw.one(RULES)
    units, day = choose(draw), draw.day()
    kept = {name: rng.random() < KEPT for _, name, _ in OPTIONAL.findall(english)}

    def chosen(found: re.Match[str]) -> str:
        return found[3] if kept[found[2]] != bool(found[1]) else ""

    source, target = (
        fill(OPTIONAL.sub(chosen, text), units, day, name) for text, name in ((english, EN), (german, DE))
    )
    links = [
        [*one, *other] for key, ones in source.places.items() for one in ones for other in target.places.get(key, [])
    ]
    return source.text, target.text, {"alignment": links, "values": target.values}


def write_sample(folder: Path, params: Fetch) -> None:
    """Writes <split>.en, <split>.de and <split>.evidence.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(("train", "valid", "test")):
        rng = np.random.default_rng([params.seed, number])
        pairs = [make_pair(rng, split) for _ in range(getattr(params, f"num_{split}"))]
        english, german, known = zip(*pairs, strict=True)
        evidence = [json.dumps(one, ensure_ascii=False) for one in known]
        for suffix, lines in ((EN, english), (DE, german), ("evidence.jsonl", evidence)):
            (folder / f"{split}.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
