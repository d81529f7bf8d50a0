"""Annotated texts -> sentences of words, and the rule by which raw text is cut into words, learned from train.

Columns say what a word is: AT&T, AB-12/7 and "Mr." may be one word, "Brook's" two. Spans say it where they begin or end
at an apostrophe. `predict` is given raw text and must cut it in the same way. So `learn` compares the words of train
with those that `words` of shared/text finds, and what differs is kept with the features: a `Cutting`.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import regex

from shared.text.align import align
from shared.text.tokens import Token, normalise, words

from .tags import Entity, write_tags

Place = tuple[int, int]  # text[start:end]

LEAST_CUT = 0.05  # of the borders of one kind in or at spans: if fewer are ends of spans, these are mistakes
LONGEST = 12  # pieces of a word that is kept as it stands in train

_SPACELESS = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&\p{L}]"  # no spaces between words
_PIECE = regex.compile(
    rf"(?P<c>{_SPACELESS}\p{{M}}*+)|(?P<n>\p{{N}}[\p{{N}}\p{{M}}]*+)|(?P<a>[[\p{{L}}\p{{M}}]--{_SPACELESS}]++)|(?P<sign>\S\p{{M}}*+)",
    flags=regex.V1,
)
_WIDE = regex.compile(rf"{_SPACELESS}|[\u3001\u3002\uff0c\uff1a\uff1b\uff01\uff1f]", flags=regex.V1)
_NO_SPACE_BEFORE = regex.compile(
    r"[,.;:!?%\u2026\p{Pe}\p{Pf}\u3001\u3002\uff0c\uff1a\uff1b\uff01\uff1f]+|['\u2019]\p{L}+"
)
_NO_SPACE_BEHIND = regex.compile(r"[\p{Ps}\p{Pi}\p{Sc}]+|\p{L}+['\u2019]")


class Mark(NamedTuple):
    """An entity: text[start:end] and its type; evidence: places of the words that decide the type, where the data say
    so."""

    start: int
    end: int
    label: str
    evidence: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Text:
    """An annotated text.

    Args:
        id: file:number of its first line.
        text: as it stands in the file; of columns, the words as people would write them (`written`).
        marks: its entities, in the order of the text, without overlaps.
        document: texts in a row with the same one belong together.
        words: the place of each word, where the data give words; None: the text is to be cut.
    """

    id: str
    text: str
    marks: list[Mark]
    document: str
    words: list[Place] | None = None


@dataclass(frozen=True)
class Sentence:
    """A text with its words and entities.

    Args:
        id, text, document: of the Text.
        words: normalised.
        spans: where each word lies in the text, as (start, end).
        tags: BIO, one a word.
        evidence: one a word, the number of the entity (from 1) that this word decides, else 0; None where the data
            have no evidence.
    """

    id: str
    text: str
    words: list[str]
    spans: list[Place]
    tags: list[str]
    document: str
    evidence: list[int] | None = None


class Piece(NamedTuple):
    """The smallest part of a text that may be a word: text[start:end].

    kind: a for letters, n for digits, c for a character of a script without spaces; any other character is its own.
    """

    start: int
    end: int
    kind: str


def pieces(text: str) -> list[Piece]:
    """Runs of letters, runs of digits, and every other character alone, with its marks.

    >>> [text for text in ("AT&T's 5km"[start:end] for start, end, _ in pieces("AT&T's 5km"))]
    ['AT', '&', 'T', "'", 's', '5', 'km']
    """
    found = ((*match.span(), match.lastgroup or "", match[0]) for match in _PIECE.finditer(text))
    return [Piece(start, end, shown[0] if kind == "sign" else kind) for start, end, kind, shown in found]


def _borders(found: Sequence[Piece]) -> Iterator[tuple[int, str]]:
    """Each i where piece i + 1 follows piece i without a space, and what the border between them looks like: the kinds
    on both sides of a tab, and beyond a sign the next one too: the borders of AB-12 are 'a\\t-n' and 'a-\\tn'."""
    kinds = [" ", *(piece.kind for piece in found), " "]
    touch = [False, *(one.end == other.start for one, other in itertools.pairwise(found)), False]
    for i in range(len(found) - 1):
        if touch[i + 1]:
            left, right = kinds[i + 1], kinds[i + 2]
            before = "" if left in "anc" else kinds[i] if touch[i] else " "
            behind = "" if right in "anc" else kinds[i + 3] if touch[i + 2] else " "
            yield i, f"{before}{left}\t{right}{behind}"


def _bare(border: str) -> str:
    r"""A border with one kind on each side: without what is beyond a sign.

    >>> _bare("a-\tn"), _bare("a\tn"), _bare("a/\t/ ")
    ('-\tn', 'a\tn', '/\t/')
    """
    left, right = border.split("\t")
    return f"{left[-1]}\t{right[0]}"


@dataclass(frozen=True)
class Cutting:
    """How text is cut into words: as `words` of shared/text does, except for what was learned.

    Args:
        joins: a border, as `_borders` or `_bare` writes it -> whether a word goes on there; the longer form counts
            first.
        known: words of train that this alone would cut, such as "Mr.".
    """

    joins: Mapping[str, bool] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Cutting":
        """From a config that holds what `config` gave; without it nothing was learned."""
        kept = config.get("cutting", {"join": [], "cut": [], "known": []})
        joins = dict.fromkeys(kept["join"], True) | dict.fromkeys(kept["cut"], False)
        return cls(joins, frozenset(kept["known"]))

    @property
    def config(self) -> dict[str, Any]:
        """Plain values for features.json; empty where nothing was learned."""
        if not self.joins and not self.known:
            return {}
        join, cut = (sorted(border for border, joins in self.joins.items() if joins is on) for on in (True, False))
        return {"cutting": {"join": join, "cut": cut, "known": sorted(self.known)}}

    def words(self, text: str, cuts: Iterable[int] = ()) -> list[Token]:
        """The words of a normalised text.

        Args:
            cuts: places where a word ends whatever was learned: where annotated spans begin and end.
        """
        usual, forced = words(text), set(cuts)
        if not self.joins and not self.known:  # the usual case, in which only a cut inside a word matters
            forced -= {place for token in usual for place in (token.start, token.end)}
            if not forced:
                return usual
        found = [part for piece in pieces(text) for part in _split(piece, forced)]
        starts = {token.start for token in usual}
        joined = [False] * len(found)  # whether the word goes on behind each piece
        for i, border in _borders(found):
            as_usual = found[i + 1].start not in starts
            joined[i] = self.joins.get(border, self.joins.get(_bare(border), as_usual))
        for i, j in _find_known(self.known, text, found):
            joined[i:j] = [True] * (j - i)
        ends = [i for i, piece in enumerate(found) if not joined[i] or piece.end in forced]
        begins = [0, *(i + 1 for i in ends[:-1])]
        places = [(found[i].start, found[j].end) for i, j in zip(begins, ends, strict=False)]
        return [Token(text[start:end], start, end) for start, end in places]

    def __str__(self) -> str:
        """What was learned, in one line; empty for nothing."""
        learned = []
        for on, verb in ((True, "go on"), (False, "end")):
            if signs := {sign for border, joins in self.joins.items() if joins is on for sign in _signs(border)}:
                learned.append(f"{verb} at {' '.join(sorted(signs))}")
        learned += [f"include {len(self.known):,} such as {min(self.known)}"] if self.known else []
        return f"words of raw text are cut as the data have them: they {', '.join(learned)}" if learned else ""


def _split(piece: Piece, places: set[int]) -> Iterator[Piece]:
    """A piece cut at the places inside it."""
    bounds = [piece.start, *(place for place in range(piece.start + 1, piece.end) if place in places), piece.end]
    for start, end in itertools.pairwise(bounds):
        yield Piece(start, end, piece.kind)


def _find_known(known: frozenset[str], text: str, found: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Pieces i to j, j included, that make a known word; the longest one that begins at i."""
    i = 0
    while known and i < len(found):
        stop = i
        while stop + 1 < min(len(found), i + LONGEST) and found[stop].end == found[stop + 1].start:
            stop += 1
        longest = (j for j in range(stop, i, -1) if text[found[i].start : found[j].end] in known)
        if (j := next(longest, None)) is not None:
            yield i, j
        i = (i if j is None else j) + 1


def _signs(border: str) -> list[str]:
    """The signs at a border, for people; or what else meets there."""
    names = {"a": "letters", "n": "digits", "c": "characters"}
    left, right = _bare(border).split("\t")
    signs = [kind for kind in (left, right) if kind not in names]
    return signs or [f"{names[left]} and {names[right]}"]


# --- what is learned -------------------------------------------------------------------------------------------------


def learn(texts: Sequence[Text]) -> Cutting:
    """The rule of these texts, those of train.

    Where columns give words, a border joins if most borders of its kind do. Where spans begin or end inside what
    `words` takes for one word, all borders of that kind cut: an entity can end there.
    """
    usual: dict[str, bool] = {}  # border -> whether `words` always goes on there
    joined: dict[str, Counter[bool]] = defaultdict(Counter)  # border -> how often the words of columns go on there
    ended: dict[str, Counter[bool]] = defaultdict(Counter)  # border inside such a word -> how often a span ends there
    for one in texts:
        if one.words is None:
            aligned = align(one.text)
            text, bounds = aligned.text, [aligned.inside(mark.start, mark.end) for mark in one.marks]
        else:
            text, bounds = one.text, []
        found, starts = pieces(text), {token.start for token in words(text)}
        own, ends = {start for start, _ in one.words or []}, {place for bound in bounds for place in bound}
        for i, border in _borders(found):
            place = found[i + 1].start
            for key in {border, _bare(border)}:
                usual[key] = usual.get(key, True) and place not in starts
                if one.words is not None:
                    joined[key][place not in own] += 1
            if place not in starts and any(start <= place <= end for start, end in bounds):
                ended[border][place in ends] += 1
    most = {border: counts[True] > counts[False] for border, counts in joined.items()}
    # kept are bare borders at which train differs from `words`, and longer ones that differ from both
    bare = {border: on for border, on in most.items() if border == _bare(border) and on != usual[border]}
    joins = bare | {border: on for border, on in most.items() if on != bare.get(_bare(border), usual[border])}
    joins |= {border: False for border, counts in ended.items() if counts[True] > LEAST_CUT * counts.total()}
    return Cutting(joins, _known([one for one in texts if one.words is not None], Cutting(joins)))


def _known(texts: Sequence[Text], rule: Cutting) -> frozenset[str]:
    """Words that the rule cuts, if they are one word more often than not where their characters stand."""
    given = {one.text[start:end] for one in texts for start, end in one.words or []}
    short = (word for word in given if " " not in word and 1 < len(pieces(word)) <= LONGEST)
    cut = frozenset(word for word in short if len(rule.words(word)) > 1)
    balance = Counter[str]()  # how much more often each is a word than not
    for one in texts:
        own, found = set(one.words or []), pieces(one.text)
        for i, j in _find_known(cut, one.text, found):
            start, end = found[i].start, found[j].end
            balance[one.text[start:end]] += 1 if (start, end) in own else -1
    return frozenset(word for word in cut if balance[word] > 0)


# --- sentences -------------------------------------------------------------------------------------------------------


def written(words: Sequence[str]) -> tuple[str, list[Place]]:
    """Words as people write them, and the place of each: no space before a comma or 's, none behind a bracket.

    >>> written(["Ada", "'s", "(", "old", ")", "lamp", "."])[0]
    "Ada's (old) lamp."
    """
    text, places = "", []
    for number, word in enumerate(words):
        if number and not _close(words[number - 1], word):
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
    return text, places


def _close(before: str, word: str) -> bool:
    if _WIDE.match(before[-1:]) and _WIDE.match(word[:1]):
        return True
    return bool(_NO_SPACE_BEFORE.fullmatch(word) or _NO_SPACE_BEHIND.fullmatch(before))


def cut_text(raw: str, cutting: Cutting, ends: Iterable[Place] = ()) -> tuple[list[str], list[Place]]:
    """The normalised words of a raw text, and where each lies in it.

    Args:
        ends: places in the raw text at whose start and end words must begin and end.
    """
    aligned = align(raw)
    cuts = {cut for start, end in ends for cut in aligned.inside(start, end)}
    found = cutting.words(aligned.text, cuts)
    return [token.text for token in found], [aligned.raw(token.start, token.end) for token in found]


def sentence_of(one: Text, cutting: Cutting) -> Sentence:
    """The words of a text, given or cut, with their tags: every entity begins and ends with a word."""
    if one.words is None:
        its_words, spans = cut_text(one.text, cutting, [(mark.start, mark.end) for mark in one.marks])
    else:
        its_words, spans = [normalise(one.text[start:end]) for start, end in one.words], one.words
    found, evidence = [], [0] * len(spans)
    for number, mark in enumerate(one.marks, 1):
        touched = _touched(spans, (mark.start, mark.end))
        found.append(Entity(touched[0], touched[-1] + 1, mark.label))
        for place in mark.evidence:
            for word in _touched(spans, place):
                evidence[word] = number
    tags = write_tags(found, len(spans))
    has_evidence = any(mark.evidence for mark in one.marks)
    return Sentence(one.id, one.text, its_words, spans, tags, one.document, evidence if has_evidence else None)


def _touched(spans: Sequence[Place], place: Place) -> list[int]:
    """The words that lie in a place, in whole or in part."""
    first = bisect_right(spans, place[0], key=lambda span: span[1])
    return list(range(first, bisect_left(spans, place[1], key=lambda span: span[0])))
