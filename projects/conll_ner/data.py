"""Sentences -> numbers for each word -> sequences, and augmentation.

A word is F numbers: WordFeatures or PieceFeatures. A sequence is a sentence, or several in a row of one document with a
line end between them as a word of its own: context elsewhere in a document can decide the type of a name.

B batch, L words, F numbers of a word, T words of all rows.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from shared.core.errors import UserError
from shared.data.batches import Batch, Padded, Read
from shared.data.draws import Draws
from shared.data.table import Ragged, Table
from shared.text.tokens import PAD, UNK, PieceEncoder, Vocabulary, load_encoder, normalise

from .params import Train
from .tags import tag_names

NEWLINE = "\n"  # the word between two sentences
SHAPES = ("pad", "line end", "number", "with digits", "lower", "upper", "initial", "title", "mixed", "punctuation")
LINE_END = SHAPES.index("line end")
FIXED = 3  # numbers of a word before its characters: word, shape, name
WORD_CHARACTERS = 18  # of a longer word: its first and last 9
WORD_PIECES = 8  # of a word with more: its first 8
NAME_RANGE = 2**31 - 1
KNOWN_WORDS = 100_000  # whose pieces are kept


def shape(word: str) -> str:
    """One of SHAPES.

    >>> [shape(word) for word in ("1996", "J", "USA", "Paris", "McRae", "the", "4th", "...")]
    ['number', 'initial', 'upper', 'title', 'mixed', 'lower', 'with digits', 'punctuation']
    """
    if word == NEWLINE:
        return "line end"
    if word.isdigit():
        return "number"
    if any(char.isdigit() for char in word):
        return "with digits"
    if word.islower():
        return "lower"
    if word.isupper():
        return "upper" if len(word) > 1 else "initial"
    if word[:1].isupper() and word[1:].islower():
        return "title"
    return "mixed" if any(char.isalpha() for char in word) else "punctuation"


def spelled(word: str) -> str:
    """A word as the vocabulary has it: lower case, every digit a 0. Shape and characters keep the rest."""
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
        words: the vocabulary of spellings.
        characters: that of characters.
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
        found[:, 1] = [SHAPES.index(shape(word)) for word in words]
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

    Raises:
        UserError: the tokenizer adds no such token.
    """

    def __init__(self, encoder: PieceEncoder, checkpoint: str) -> None:
        self.encoder, self.checkpoint = encoder, checkpoint
        self.added: list[int] = encoder.tokenizer.encode("").ids
        if not self.added:
            what = f"{checkpoint}: its tokenizer adds no special tokens to a text"
            raise UserError(what, expected="an encoder such as BERT, whose [SEP] can stand for a line end")
        self._pieces = lru_cache(KNOWN_WORDS)(self._cut)  # most words come again

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """(L, F) int32; pieces are kept one higher than the tokenizer has them, so that 0 is none."""
        found = np.zeros((len(words), 1 + WORD_PIECES), np.int32)
        found[:, 0] = [SHAPES.index(shape(word)) for word in words]
        for row, word in zip(found, words, strict=True):
            pieces = self._pieces(word)
            row[1 : 1 + len(pieces)] = np.array(pieces) + 1
        return found

    def _cut(self, word: str) -> list[int]:
        if word == NEWLINE:
            return [self.added[-1]]
        # RoBERTa's pieces differ at the beginning of a text; to BERT's and SentencePiece the space makes no difference
        found = self.encoder.tokenizer.encode([f" {word}"], is_pretokenized=True, add_special_tokens=False)
        ids: list[int] = found.ids
        return ids[:WORD_PIECES] or [self.encoder.blank]

    def cost(self, encoded: np.ndarray) -> np.ndarray:
        """(T,) int64: the tokens that each word counts as."""
        number: np.ndarray = np.count_nonzero(encoded[:, 1:], axis=1)
        return number

    @property
    def config(self) -> dict[str, Any]:
        return {"features": "pieces", "checkpoint": self.checkpoint, "encoder": self.encoder.config}


Features = WordFeatures | PieceFeatures


def load_features(config: Mapping[str, Any]) -> Features:
    """The features that a config describes."""
    if config["features"] == "words":
        return WordFeatures(Vocabulary(config["words"]), Vocabulary(config["characters"]))
    encoder = load_encoder(config["encoder"])
    assert isinstance(encoder, PieceEncoder)
    return PieceFeatures(encoder, config["checkpoint"])


# --- sequences ----------------------------------------------------------------------------------------------------


class Sequences:
    """Sentences as the model reads them: words in their order, and line ends. They are arranged in the same way for
    training, evaluation and prediction, without using tags.

    Args:
        tokens: of the sentences, each with a word at least, (T, F).
        documents: of each sentence; those of one document come in a row.
        features: what made the tokens.
        config: max_tokens: a longer sentence is cut; join_sentences: sentences of one document share a sequence as long
            as they fit.

    Attributes:
        tokens: of the sequences.
        sentences, offsets: where each sentence begins among the words, and each sequence among words and line ends.
        places: (T,) int64: of each word among words and line ends.
        cuts: numbers of the words where a sentence that is too long goes on in another sequence.
    """

    def __init__(self, tokens: Ragged, documents: np.ndarray, features: Features, config: Mapping[str, Any]) -> None:
        self.sentences = tokens.offsets
        limit, sums = config["max_tokens"], np.cumsum([0, *features.cost(tokens.values)])
        self.places = np.zeros(len(tokens.values), np.int64)
        begins: list[int] = []
        cuts: list[int] = []
        place = used = 0
        for sentence, (start, stop) in enumerate(pairwise(tokens.offsets.tolist())):
            joins = config["join_sentences"] and sentence and documents[sentence - 1] == documents[sentence]
            while start < stop:
                end = min(stop, max(start + 1, int(np.searchsorted(sums, sums[start] + limit, side="right")) - 1))
                cost = int(sums[end] - sums[start])
                if joins and used + 1 + cost <= limit:
                    place += 1  # of the line end
                else:
                    begins.append(place)
                    used = 0
                self.places[start:end] = np.arange(place, place + end - start)
                place += end - start
                used += cost + 1  # and its line end
                cuts += [end] * (end < stop)
                start, joins = end, False
        self.offsets = np.array([*begins, place], np.int64)
        self.cuts = np.array(cuts, np.int64)
        self.tokens = self.take(tokens.values, features.encode([NEWLINE]))

    def take(self, column: np.ndarray, line_end: Any) -> Ragged:
        """(T, ...) values of all words -> those of the sequences."""
        values = np.full((self.offsets[-1], *column.shape[1:]), line_end, column.dtype)
        values[self.places] = column
        return Ragged(values, self.offsets)

    def give_back(self, found: Sequence[torch.Tensor]) -> Ragged:
        """One tensor (L,) a sequence -> values of the words of each sentence."""
        return Ragged(torch.cat(list(found)).numpy()[self.places], self.sentences)

    def find(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int64 each: the sequence that a word is in, and its place there."""
        row = np.searchsorted(self.offsets, self.places, side="right") - 1
        return row, self.places - self.offsets[row]

    def take_tags(self, column: np.ndarray) -> Ragged:
        """`take` for tags. The rest of an entity that was cut begins one: every sequence is legal."""
        column = column.copy()
        rest = column[self.cuts]
        column[self.cuts] -= (rest > 0) & (rest % 2 == 0)
        return self.take(column, 0)

    def give_back_tags(self, found: Sequence[torch.Tensor]) -> Ragged:
        """`give_back` for tags. An entity that goes on where its sentence was cut is one."""
        tags, offsets = self.give_back(found)
        before, first = tags[self.cuts - 1], tags[self.cuts]
        tags[self.cuts] += (first % 2 == 1) & ((first + 1) // 2 == (before + 1) // 2)
        return Ragged(tags, offsets)


def read_sequences(table: Table, config: Mapping[str, Any]) -> Sequences:
    """The sequences of a prepared split."""
    return Sequences(table.ragged("tokens"), table.fixed("document"), load_features(config["features"]), config)


def reader(table: Table, sequences: Sequences, device: torch.device | str) -> Read:
    """Index -> tokens (B, L, F) int32, tokens_mask (B, L) bool, tags (B, L) int64."""
    tokens = Padded(sequences.tokens, device)
    tags = Padded(sequences.take_tags(table.ragged("tags").values), device)

    def read(index: torch.Tensor) -> Batch:
        index = index.to(device)
        padded, mask = tokens(index)
        return {"tokens": padded, "tokens_mask": mask, "tags": tags(index)[0]}

    return read


def words_of(table: Table) -> list[list[str]]:
    """The words of each sentence of a prepared split."""
    pairs = enumerate(table.strings("text"))
    return [[normalise(text[a:b]) for a, b in table.ragged("span").row(row).tolist()] for row, text in pairs]


def by_sentence(tags: Ragged, classes: Sequence[str]) -> list[list[str]]:
    """Ids of tags -> the tags of each sentence."""
    names = np.array(tag_names(classes), object)
    return [row.tolist() for row in np.split(names[tags.values], tags.offsets[1:-1])]


# --- what training sees -------------------------------------------------------------------------------------------


def forget(tokens: np.ndarray, params: Train) -> Callable[[Batch, float], Batch]:
    """An augmentation of what WordFeatures gives: words become unknown or blank, by (seed, epoch, sample, place).

    A word that occurs n times in train becomes unknown, and keeps its characters, with probability r / (r + n): rare
    words more often, as names in new text are unknown (Kiperwasser & Goldberg 2016). Any word becomes blank at
    blank_rate: so the model is trained on what explain shows it: sentences with words removed.

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
    """Unknown words without characters, (B, L, F) of WordFeatures. Line ends stay, and which names are equal."""
    blanked = torch.zeros_like(tokens)
    blanked[:, :, 0] = UNK
    blanked[:, :, 2] = tokens[:, :, 2]
    return torch.where((tokens[:, :, 1] == LINE_END)[:, :, None], tokens, blanked)
