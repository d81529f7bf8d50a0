"""Sentences -> numbers a word, and what training sees of them.

A sequence is a sentence, or several in a row of one document with a line end between them as a word of its own: what
was said elsewhere in a document tells what a name is. A word is F numbers: WordFeatures or PieceFeatures.

B batch, L words, F numbers a word.
"""

import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared.data.columns import Columns, Ragged
from torch import Tensor

from shared.data.draws import Draws
from shared.text.tokens import PAD, UNK, PieceEncoder, Vocabulary, load_encoder

from .formats import Sentence
from .params import Train
from .tags import OUTSIDE, entities

NEWLINE = "\n"  # the word between two sentences
SHAPES = ("pad", "line end", "number", "with digits", "lower", "upper", "initial", "title", "mixed", "sign")
LINE_END = 1  # in SHAPES
FIXED = 3  # numbers of a word before its characters: word, shape, name
WORD_CHARACTERS = 18  # of a longer word: its first and last 9
WORD_PIECES = 8  # of a word with more: its first 8
NAME_RANGE = 2**31 - 1
KNOWN_WORDS = 100_000  # whose pieces are kept
_DIGIT = re.compile(r"\d")


def shape(word: str) -> int:
    """What letters a word has, an index into SHAPES.

    >>> [SHAPES[shape(word)] for word in ("1996", "J", "USA", "Paris", "McRae", "the", "4th", "...")]
    ['number', 'initial', 'upper', 'title', 'mixed', 'lower', 'with digits', 'sign']
    """
    if word == NEWLINE:
        return LINE_END
    if word.isdigit():
        return 2
    if any(char.isdigit() for char in word):
        return 3
    if word.islower():
        return 4
    if word.isupper():
        return 5 if len(word) > 1 else 6
    if word[:1].isupper() and word[1:].islower():
        return 7
    return 8 if any(char.isalpha() for char in word) else 9


def spelled(word: str) -> str:
    """A word as the vocabulary has it: lower case, every digit a 0. Shape and characters keep what is lost here."""
    return _DIGIT.sub("0", word.lower())


class WordFeatures:
    """A word as its id, its shape, a number for its name, and its characters: F = 3 + 18.

    The name is a hash of the spelling, 0 for words in lower case and signs: equal names in one sequence mean the same
    thing, also where the vocabulary knows neither.

    Args:
        words: the vocabulary of spellings, and of characters.
    """

    max_tokens = 2**31

    def __init__(self, words: Vocabulary, characters: Vocabulary) -> None:
        self.words, self.characters = words, characters

    @classmethod
    def build(cls, sentences: Iterable[Sentence], max_words: int, min_count: int) -> "WordFeatures":
        """From the training sentences. A line end is a known word."""
        texts = [[*sentence.words, NEWLINE] for sentence in sentences]
        spellings = ([spelled(word) for word in text] for text in texts)
        letters = ([char for word in text for char in word] for text in texts)
        return cls(Vocabulary.build(spellings, max_words, min_count), Vocabulary.build(letters, 10_000, 3))

    def cost(self, words: Sequence[str]) -> list[int]:
        """Tokens that each word counts as."""
        return [1] * len(words)

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """(L, F) int32."""
        found = np.zeros((len(words), FIXED + WORD_CHARACTERS), np.int32)
        found[:, 0] = self.words.ids(map(spelled, words))
        found[:, 1] = [shape(word) for word in words]
        found[:, 2] = [_name(word) for word in words]
        for row, word in zip(found, words, strict=True):
            half = WORD_CHARACTERS // 2
            shown = word if len(word) <= WORD_CHARACTERS else word[:half] + word[-half:]
            row[FIXED : FIXED + len(shown)] = self.characters.ids(shown)
        return found

    @property
    def config(self) -> dict[str, Any]:
        return {"features": "words", "words": self.words.words, "characters": self.characters.words}


class PieceFeatures:
    """A word as its shape and the ids of its pieces, as a checkpoint's tokenizer cuts it: F = 1 + 8.

    Args:
        encoder: of the checkpoint; the last mark that it adds to a text ([SEP]) stands for a line end.
        checkpoint: its name, as in params.
    """

    max_tokens = 500  # a checkpoint knows 512 places, some for its marks

    def __init__(self, encoder: PieceEncoder, checkpoint: str) -> None:
        self.encoder, self.checkpoint = encoder, checkpoint
        self._separator = encoder.tokenizer.encode("").ids[-1]
        self._pieces_of = lru_cache(KNOWN_WORDS)(self._cut)  # most words come again

    def cost(self, words: Sequence[str]) -> list[int]:
        """Tokens that each word counts as."""
        return [len(pieces) for pieces in self._pieces(words)]

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """(L, F) int32; pieces are kept one higher than the tokenizer has them, so that 0 is none."""
        found = np.zeros((len(words), 1 + WORD_PIECES), np.int32)
        found[:, 0] = [shape(word) for word in words]
        for row, pieces in zip(found, self._pieces(words), strict=True):
            row[1 : 1 + len(pieces)] = np.array(pieces) + 1
        return found

    def _pieces(self, words: Sequence[str]) -> list[list[int]]:
        return [self._pieces_of(word) for word in words]

    def _cut(self, word: str) -> list[int]:
        ids: list[int] = self.encoder.tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        return ids[:WORD_PIECES] or [self._separator if word == NEWLINE else self.encoder.blank]

    @property
    def config(self) -> dict[str, Any]:
        return {"features": "pieces", "checkpoint": self.checkpoint, "encoder": self.encoder.config}


Features = WordFeatures | PieceFeatures


def load_features(config: dict[str, Any]) -> Features:
    """The features that a config describes."""
    if config["features"] == "words":
        return WordFeatures(Vocabulary(config["words"]), Vocabulary(config["characters"]))
    encoder = load_encoder(config["encoder"])
    assert isinstance(encoder, PieceEncoder)
    return PieceFeatures(encoder, config["checkpoint"])


def read_features(prepared: Path) -> dict[str, Any]:
    """The config of the features that `prepare` chose: features.json."""
    config: dict[str, Any] = json.loads((prepared / "features.json").read_text(encoding="utf-8"))
    return config


def _name(word: str) -> int:
    if word.islower() or not any(char.isalpha() for char in word):
        return 0
    return zlib.crc32(spelled(word).encode(errors="surrogatepass")) % NAME_RANGE + 1


# Sequences


def sequences(sentences: Iterable[Sentence], features: Features, max_tokens: int, join: bool) -> list[Sentence]:
    """What the model sees at once: every word of every sentence, in pieces of at most max_tokens.

    Args:
        sentences: those of one document in a row.
        features: say how many tokens a word counts as.
        max_tokens: a longer sentence is cut, between entities.
        join: put sentences of one document together as long as they fit.
    """
    found: list[Sentence] = []
    for _, group in itertools.groupby(sentences, key=lambda sentence: sentence.document):
        parts: list[Sentence] = []
        used = 0
        for piece, cost in _cut_all(group, features, min(max_tokens, features.max_tokens)):
            if parts and (not join or used + 1 + cost > min(max_tokens, features.max_tokens)):
                found.append(_joined(parts))
                parts, used = [], 0
            parts.append(piece)
            used += cost + 1
        found += [_joined(parts)]
    return found


def _cut_all(group: Iterable[Sentence], features: Features, limit: int) -> Iterator[tuple[Sentence, int]]:
    for sentence in group:
        costs = np.cumsum([0, *features.cost(sentence.words)])
        start = 0
        while start < len(sentence.tags):
            end = max(start + 1, int(np.searchsorted(costs, costs[start] + limit, side="right")) - 1)
            between = (
                cut for cut in range(end, start, -1) if not "".join(sentence.tags[cut : cut + 1]).startswith("I")
            )
            end = next(between, end)  # an entity that is longer itself is cut all the same
            yield _piece(sentence, start, end), int(costs[end] - costs[start])
            start = end


def _piece(sentence: Sentence, start: int, end: int) -> Sentence:
    if (start, end) == (0, len(sentence.tags)):
        return sentence
    left = sentence.spans[start][0]
    spans = [(a - left, b - left) for a, b in sentence.spans[start:end]]
    before = len(entities(sentence.tags[:start]))
    kept = len(entities(sentence.tags[start:end]))
    evidence = sentence.evidence and [
        number - before if before < number <= before + kept else 0 for number in sentence.evidence[start:end]
    ]
    text = sentence.text[left : sentence.spans[end - 1][1]]
    name = f"{sentence.id}+{start}" if start else sentence.id
    return replace(sentence, id=name, text=text, spans=spans, tags=sentence.tags[start:end], evidence=evidence)


def _joined(parts: list[Sentence]) -> Sentence:
    if len(parts) == 1:
        return parts[0]
    spans: list[tuple[int, int]] = []
    tags: list[str] = []
    evidence: list[int] = []
    place = count = 0
    for number, part in enumerate(parts):
        if number:
            spans.append((place - 1, place))
            tags.append(OUTSIDE)
            evidence.append(0)
        spans += [(start + place, end + place) for start, end in part.spans]
        tags += part.tags
        evidence += [number + count if number else 0 for number in part.evidence or [0] * len(part.tags)]
        count += len(entities(part.tags))
        place += len(part.text) + 1
    known = evidence if any(part.evidence is not None for part in parts) else None
    return replace(parts[0], text=NEWLINE.join(part.text for part in parts), spans=spans, tags=tags, evidence=known)


def to_columns(found: Sequence[Sentence], features: Features, tag_names: Sequence[str]) -> Columns:
    """The prepared form of a split: ids, texts, spans (T, 2), tokens (T, F), tags (T,), evidence (T,) if any."""
    place = {tag: number for number, tag in enumerate(tag_names)}
    columns: Columns = {
        "ids": [one.id for one in found],
        "texts": [one.text for one in found],
        "spans": ragged([np.array(one.spans, np.int32) for one in found]),
        "tokens": ragged([features.encode(one.words) for one in found]),
        "tags": Ragged.of([[place[tag] for tag in one.tags] for one in found], np.int32),
    }
    if any(one.evidence is not None for one in found):
        columns["evidence"] = Ragged.of([one.evidence or [0] * len(one.tags) for one in found], np.int32)
    return columns


def ragged(rows: Sequence[np.ndarray]) -> Ragged:
    """Arrays (L, ...) of any lengths, end to end."""
    return Ragged(np.concatenate(rows), np.cumsum([0, *map(len, rows)], dtype=np.int64))


# What training sees


def forget(tokens: Ragged, params: Train) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """An augmentation of what WordFeatures gives: words become unknown or blank, as (seed, epoch, sample, place) say.

    A word that occurs n times in train becomes unknown, and keeps its letters, with probability r / (r + n): the rarer
    the likelier, as names of tomorrow's text will be (Kiperwasser & Goldberg 2016). Any word becomes blank at
    blank_rate: so the model knows what the explain stage shows it, a sentence with words taken out.

    Args:
        tokens: of train.
        params: forget_rate r, blank_rate, seed.
    """
    count = torch.from_numpy(np.bincount(tokens.values[:, 0], minlength=2))
    chance = torch.where(count > 0, params.forget_rate / (params.forget_rate + count.clamp(min=1)), 0)
    chance[[PAD, UNK]] = 0

    def augment(tokens: Tensor, mask: Tensor, sample: Tensor, epoch: float) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        draws = Draws(params.seed, int(epoch), (sample[:, None] << 20) + places)
        forgotten = mask & (draws.uniform() < chance.to(tokens.device)[tokens[:, :, 0]])
        tokens = tokens.clone()
        tokens[:, :, 0] = torch.where(forgotten, UNK, tokens[:, :, 0])
        blanked = mask & (draws.uniform() < params.blank_rate)
        return torch.where(blanked[:, :, None], blank(tokens), tokens)

    return augment


def blank(tokens: Tensor) -> Tensor:
    """Unknown words without letters, (B, L, F) as WordFeatures gives it. Line ends stay, and which names are equal."""
    blanked = torch.zeros_like(tokens)
    blanked[:, :, 0] = UNK
    blanked[:, :, 2] = tokens[:, :, 2]
    return torch.where((tokens[:, :, 1] == LINE_END)[:, :, None], tokens, blanked)
