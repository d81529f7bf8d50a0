"""Sentences -> numbers for each word -> sequences, and what training sees of them.

A word is F numbers: WordFeatures or PieceFeatures. A sequence is a sentence, or several in a row of one document with a
line end between them as a word of its own: what was said elsewhere in a document tells what a name is.

B batch, L words, F numbers of a word, T words of all rows.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from shared.data.batches import Batch, Padded, Read
from shared.data.draws import Draws
from shared.data.table import Ragged, Table
from shared.text.tokens import PAD, UNK, PieceEncoder, Vocabulary, load_encoder, normalise

from .params import Train
from .tags import tag_names

NEWLINE = "\n"  # the word between two sentences
SHAPES = ("pad", "line end", "number", "with digits", "lower", "upper", "initial", "title", "mixed", "punctuation")
LINE_END = 1  # in SHAPES
FIXED = 3  # numbers of a word before its characters: word, shape, name
WORD_CHARACTERS = 18  # of a longer word: its first and last 9
WORD_PIECES = 8  # of a word with more: its first 8
NAME_RANGE = 2**31 - 1
KNOWN_WORDS = 100_000  # whose pieces are kept


def shape(word: str) -> int:
    """What letters a word has, an index into SHAPES.

    >>> [SHAPES[shape(word)] for word in ("1996", "J", "USA", "Paris", "McRae", "the", "4th", "...")]
    ['number', 'initial', 'upper', 'title', 'mixed', 'lower', 'with digits', 'punctuation']
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
    return re.sub(r"\d", "0", word.lower())


def name_hash(word: str) -> int:
    """A hash of the spelling, 0 for words in lower case and punctuation: equal names in one sequence mean the same,
    also where the vocabulary does not hold them."""
    if word.islower() or not any(char.isalpha() for char in word):
        return 0
    return zlib.crc32(spelled(word).encode(errors="surrogatepass")) % NAME_RANGE + 1


class WordFeatures:
    """A word as its id, its shape, the hash of its name, and its characters: F = 3 + 18.

    Args:
        words: the vocabulary of spellings, and of characters.
    """

    def __init__(self, words: Vocabulary, characters: Vocabulary) -> None:
        self.words, self.characters = words, characters

    @classmethod
    def build(cls, sentences: Sequence[Sequence[str]], max_words: int, min_count: int) -> "WordFeatures":
        """From the words of the training sentences. A line end is a known word."""
        spellings = ([spelled(word) for word in (*words, NEWLINE)] for words in sentences)
        letters = ([char for word in (*words, NEWLINE) for char in word] for words in sentences)
        return cls(Vocabulary.build(spellings, max_words, min_count), Vocabulary.build(letters, 10_000, 3))

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """(L, F) int32."""
        found = np.zeros((len(words), FIXED + WORD_CHARACTERS), np.int32)
        found[:, 0] = self.words.ids(map(spelled, words))
        found[:, 1] = [shape(word) for word in words]
        found[:, 2] = [name_hash(word) for word in words]
        for row, word in zip(found, words, strict=True):
            half = WORD_CHARACTERS // 2
            shown = word if len(word) <= WORD_CHARACTERS else word[:half] + word[-half:]
            row[FIXED : FIXED + len(shown)] = self.characters.ids(shown)
        return found

    def cost(self, encoded: np.ndarray) -> np.ndarray:
        """(T,) int64: the tokens that each word counts as."""
        return np.ones(len(encoded), np.int64)

    @property
    def config(self) -> dict[str, Any]:
        return {"features": "words", "words": self.words.words, "characters": self.characters.words}


class PieceFeatures:
    """A word as its shape and the ids of its pieces, as a checkpoint's tokenizer cuts it: F = 1 + 8.

    Args:
        encoder: of the checkpoint; the last token that it adds to a text ([SEP]) stands for a line end.
        checkpoint: its name, as in params.
    """

    def __init__(self, encoder: PieceEncoder, checkpoint: str) -> None:
        self.encoder, self.checkpoint = encoder, checkpoint
        self.added: list[int] = encoder.tokenizer.encode("").ids
        self._pieces = lru_cache(KNOWN_WORDS)(self._cut)  # most words come again

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """(L, F) int32; pieces are kept one higher than the tokenizer has them, so that 0 is none."""
        found = np.zeros((len(words), 1 + WORD_PIECES), np.int32)
        found[:, 0] = [shape(word) for word in words]
        for row, word in zip(found, words, strict=True):
            pieces = self._pieces(word)
            row[1 : 1 + len(pieces)] = np.array(pieces) + 1
        return found

    def cost(self, encoded: np.ndarray) -> np.ndarray:
        """(T,) int64: the tokens that each word counts as."""
        number: np.ndarray = np.count_nonzero(encoded[:, 1:], axis=1)
        return number

    def _cut(self, word: str) -> list[int]:
        ids: list[int] = self.encoder.tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        return ids[:WORD_PIECES] or [self.added[-1] if word == NEWLINE else self.encoder.blank]

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


# --- sequences ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sequences:
    """What the model sees at once, made alike for training, evaluation and prediction: tags play no part in it.

    Args:
        words: N sequences; of each word its number among the T words of all sentences, -1 for a line end.
        cuts: numbers of the words where a sentence that is too long goes on in another sequence.
    """

    words: Ragged
    cuts: np.ndarray

    @classmethod
    def of(cls, tokens: Ragged, documents: np.ndarray, features: Features, config: Mapping[str, Any]) -> "Sequences":
        """Arranges sentences.

        Args:
            tokens: of the sentences, each with a word at least, (T, F).
            documents: (N,); sentences of one document come in a row.
            config: max_tokens: a longer sentence is cut; join_sentences: sentences of one document share a sequence as
                long as they fit.
        """
        limit, sums = config["max_tokens"], np.cumsum([0, *features.cost(tokens.values)])
        rows: list[list[int]] = []
        cuts: list[int] = []
        used = 0
        for sentence, (start, stop) in enumerate(pairwise(tokens.offsets.tolist())):
            joins = config["join_sentences"] and sentence and documents[sentence - 1] == documents[sentence]
            while start < stop:
                end = min(stop, max(start + 1, int(np.searchsorted(sums, sums[start] + limit, side="right")) - 1))
                cost = int(sums[end] - sums[start])
                if joins and used + 1 + cost <= limit:
                    rows[-1] += [-1, *range(start, end)]
                else:
                    rows.append([*range(start, end)])
                    used = 0
                used += cost + 1  # and its line end
                start, joins = end, False
                cuts += [end] * (end < stop)
        return cls(Ragged.of(rows, np.int64), np.array(cuts, np.int64))

    def take(self, column: np.ndarray, line_end: Any = 0) -> Ragged:
        """(T, ...) values of all words -> those of the sequences."""
        index = self.words.values
        is_end = (index < 0).reshape(-1, *(1,) * (column.ndim - 1))
        return Ragged(np.where(is_end, line_end, column[index]), self.words.offsets)

    def give_back(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """One array (L,) a sequence -> (T,)."""
        index = self.words.values
        values = np.empty((index >= 0).sum(), found[0].dtype)
        values[index[index >= 0]] = np.concatenate(found)[index >= 0]
        return values

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int64 each: the sequence that a word is in, and its place there."""
        row = np.repeat(np.arange(len(self.words.lengths)), self.words.lengths)
        return self.give_back([row]), self.give_back([np.arange(len(row)) - self.words.offsets[row]])

    def take_tags(self, column: np.ndarray) -> Ragged:
        """The same for tags. The rest of an entity that was cut begins one: every sequence is legal."""
        column = column.copy()
        rest = column[self.cuts]
        column[self.cuts] -= (rest > 0) & (rest % 2 == 0)
        return self.take(column)

    def give_back_tags(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """The same for tags. An entity that goes on where its sentence was cut is one."""
        tags = self.give_back(found)
        before, first = tags[self.cuts - 1], tags[self.cuts]
        tags[self.cuts] += (first % 2 == 1) & ((first + 1) // 2 == (before + 1) // 2)
        return tags


def read_sequences(table: Table, features: Features, config: Mapping[str, Any]) -> Sequences:
    """The sequences of a prepared split."""
    return Sequences.of(table.ragged("tokens"), table.fixed("document"), features, config)


def reader(table: Table, sequences: Sequences, features: Features, device: torch.device | str) -> Read:
    """Index -> tokens (B, L, F) int32, tokens_mask (B, L) bool, tags (B, L) int64."""
    tokens = Padded(sequences.take(table.ragged("tokens").values, features.encode([NEWLINE])), device)
    tags = Padded(sequences.take_tags(table.ragged("tags").values), device)

    def read(index: torch.Tensor) -> Batch:
        index = index.to(device)
        return dict(zip(("tokens", "tokens_mask"), tokens(index), strict=True)) | {"tags": tags(index)[0]}

    return read


def words_of(table: Table) -> list[list[str]]:
    """The words of each sentence of a prepared split."""
    pairs = enumerate(table.strings("text"))
    return [[normalise(text[a:b]) for a, b in table.ragged("span").row(row).tolist()] for row, text in pairs]


def by_sentence(tags: np.ndarray, offsets: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    """(T,) ids -> the tags of each sentence."""
    names = tag_names(classes)
    return [[names[tag] for tag in row.tolist()] for row in np.split(tags, offsets[1:-1])]


# --- what training sees -------------------------------------------------------------------------------------------


def forget(tokens: np.ndarray, params: Train) -> Callable[[Batch, float], Batch]:
    """An augmentation of what WordFeatures gives: words become unknown or blank, as (seed, epoch, sample, place) say.

    A word that occurs n times in train becomes unknown, and keeps its letters, with probability r / (r + n): the rarer
    the likelier, as names of tomorrow's text will be (Kiperwasser & Goldberg 2016). Any word becomes blank at
    blank_rate: so the model knows what the explain stage shows it, a sentence with words taken out.

    Args:
        tokens: (T, F), of train.
        params: forget_rate r, blank_rate, seed.
    """
    count = torch.from_numpy(np.bincount(tokens[:, 0], minlength=2))
    chance = torch.where(count > 0, params.forget_rate / (params.forget_rate + count.clamp(min=1)), 0)
    chance[[PAD, UNK]] = 0

    def augment(batch: Batch, epoch: float) -> Batch:
        tokens, mask = batch["tokens"].clone(), batch["tokens_mask"]
        places = torch.arange(tokens.shape[1], device=tokens.device)
        draws = Draws(params.seed, int(epoch), (batch["sample"][:, None] << 20) + places)
        forgotten = mask & (draws.uniform() < chance.to(tokens.device)[tokens[:, :, 0]])
        tokens[:, :, 0].masked_fill_(forgotten, UNK)
        blanked = mask & (draws.uniform() < params.blank_rate)
        return batch | {"tokens": torch.where(blanked[:, :, None], blank(tokens), tokens)}

    return augment


def blank(tokens: torch.Tensor) -> torch.Tensor:
    """Unknown words without letters, (B, L, F) as WordFeatures gives it. Line ends stay, and which names are equal."""
    blanked = torch.zeros_like(tokens)
    blanked[:, :, 0] = UNK
    blanked[:, :, 2] = tokens[:, :, 2]
    return torch.where((tokens[:, :, 1] == LINE_END)[:, :, None], tokens, blanked)
