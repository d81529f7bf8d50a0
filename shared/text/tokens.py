"""Text -> tokens -> numbers, with the place of every token in the text. torchtext is used here alone.

An encoder is what training, evaluation and prediction share: WordEncoder looks words up in a vocabulary, PieceEncoder
cuts them into the pieces of a checkpoint's own `tokenizers` model. Both are plain values in
model.json (`config`) and come back from it (`load_encoder`).
"""

import itertools
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import regex
from tokenizers import Encoding, Tokenizer
from torchtext.vocab import Vocab

from shared.core.errors import UserError

PAD, UNK = 0, 1  # ids in every vocabulary made here
SPECIALS = ["<pad>", "<unk>"]
_CHUNK = 1000  # texts cut into pieces at once
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+(?:['\u2019][\p{L}\p{M}]+)*|[^\s\p{L}\p{M}\p{N}_]")
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\t\n]]|\uFEFF", flags=regex.V1)


class Token(NamedTuple):
    """A word or sign, and where it stands: text[start:end]. The token may be spelled otherwise: lower case."""

    text: str
    start: int
    end: int


Tokenize = Callable[[str], list[Token]]


class Encoded(NamedTuple):
    """ids of the tokens; their (start, end) in the text; how many more were cut off."""

    ids: list[int]
    spans: list[tuple[int, int]]
    num_cut: int


class Encoder(Protocol):
    """Text -> ids. A text without any token becomes one unknown token, so that no sequence is empty."""

    def __len__(self) -> int:
        """Different ids."""

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        """The first tokens of normalised texts; those beyond max_tokens are counted, never cut silently."""

    @property
    def blank(self) -> int:
        """The id that says nothing: what a word is replaced by when its absence is tried."""

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary does not know; None where it knows all bytes."""

    def is_special(self, ids: np.ndarray) -> np.ndarray:
        """Where ids are marks of the model's own, such as [CLS], and no part of the text."""

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which `load_encoder` makes the same encoder again."""


def normalise(text: str) -> str:
    """What every stage sees of a text: composed (NFC), `\\n` ends lines, no control signs but tab and line end.

    Letters of one look may be written in two ways, as one sign or as letter and accent: unequal to a vocabulary.

    >>> normalise("cafe\\u0301\\r\\nbar\\x00") == "café\\nbar"
    True
    """
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    clean: str = _CONTROL.sub("", text)
    return clean


def words(text: str) -> list[Token]:
    """Runs of letters, marks and digits with their inner apostrophes; every other sign alone.

    Combining marks belong to their letter, which Python's own \\w does not know.

    >>> [token.text for token in words("It isn't bad!")]
    ['It', "isn't", 'bad', '!']
    """
    return [Token(found[0], *found.span()) for found in _WORD.finditer(text)]


def lower_words(text: str) -> list[Token]:
    """`words` in lower case."""
    return [Token(token.text.lower(), token.start, token.end) for token in words(text)]


TOKENIZERS: dict[str, Tokenize] = {"words": words, "lower_words": lower_words}


class Vocabulary:
    """Words by id, torchtext's Vocab inside. PAD and UNK come first.

    >>> vocabulary = Vocabulary.build([["a", "b"], ["b"]], max_size=9, min_count=1)
    >>> vocabulary.words, vocabulary.ids(["b", "never"])
    (['<pad>', '<unk>', 'b', 'a'], [2, 1])
    """

    def __init__(self, words: list[str]) -> None:
        self._vocab = Vocab(Counter(), specials=words)

    @classmethod
    def build(cls, texts: Iterable[Iterable[str]], max_size: int, min_count: int) -> "Vocabulary":
        """The most frequent words, equally frequent ones in alphabetical order.

        Args:
            texts: the words of each text of the training split.
            max_size: words at most, PAD and UNK not counted.
            min_count: how often a word must occur.
        """
        counts = Counter(word for text in texts for word in text)
        return cls(Vocab(counts, max_size=max_size, min_freq=min_count, specials=SPECIALS).itos)

    @property
    def words(self) -> list[str]:
        """Every word at its id: what is saved."""
        found: list[str] = self._vocab.itos
        return found

    def __len__(self) -> int:
        return len(self._vocab)

    def ids(self, words: Iterable[str]) -> list[int]:
        """UNK for a word that it has not."""
        get = self._vocab.stoi.get
        return [get(word, UNK) for word in words]


class WordEncoder:
    """Tokens looked up in a vocabulary.

    Args:
        tokenizer: a name in TOKENIZERS.
        vocabulary: of the training split.
    """

    def __init__(self, tokenizer: str, vocabulary: Vocabulary) -> None:
        self.tokenizer, self.vocabulary = tokenizer, vocabulary
        self.blank = self.unknown = UNK

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        for text in texts:
            tokens = TOKENIZERS[self.tokenizer](text) or [Token(SPECIALS[UNK], 0, len(text))]
            kept = tokens[:max_tokens]
            ids = self.vocabulary.ids(token.text for token in kept)
            yield Encoded(ids, [(token.start, token.end) for token in kept], len(tokens) - len(kept))

    def is_special(self, ids: np.ndarray) -> np.ndarray:
        return np.zeros(ids.shape, dtype=bool)

    @property
    def config(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer, "words": self.vocabulary.words}


class PieceEncoder:
    """Pieces of words, by a model of the `tokenizers` library, with the special tokens that it adds.

    Args:
        tokenizer: its own truncation and padding are switched off.
        blank: the token that says nothing: "<unk>", or a checkpoint's "[MASK]".
    """

    def __init__(self, tokenizer: Tokenizer, blank: str) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer, self.blank_token = tokenizer, blank
        found = tokenizer.token_to_id(blank)
        assert found is not None, f"{blank} is no token"
        self.blank = found
        unknown = json.loads(tokenizer.to_str())["model"].get("unk_token")
        self.unknown = None if unknown is None else tokenizer.token_to_id(unknown)
        self._added = tokenizer.encode("").ids

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        texts = iter(texts)
        while chunk := list(itertools.islice(texts, _CHUNK)):
            yield from (self._cut(encoding, max_tokens) for encoding in self.tokenizer.encode_batch(chunk))

    def _cut(self, encoding: Encoding, max_tokens: int) -> Encoded:
        pairs = list(zip(encoding.ids, encoding.offsets, strict=True))
        num_cut = max(0, len(pairs) - max_tokens)
        if num_cut:  # from the end of the text, so that what is added behind it stays
            last = len(pairs) - self._num_added_behind(encoding)
            del pairs[last - num_cut : last]
        if len(pairs) == len(self._added):
            pairs.insert(len(pairs) - self._num_added_behind(encoding), (self.blank, (0, 0)))
        ids, spans = zip(*pairs, strict=True)
        return Encoded(list(ids), list(spans), num_cut)

    def _num_added_behind(self, encoding: Encoding) -> int:
        marks = encoding.special_tokens_mask
        return next((count for count, mark in enumerate(reversed(marks)) if not mark), len(self._added) // 2)

    def is_special(self, ids: np.ndarray) -> np.ndarray:
        return np.isin(ids, self._added)

    @property
    def config(self) -> dict[str, Any]:
        return {"tokenizer": "pieces", "blank": self.blank_token, "model": json.loads(self.tokenizer.to_str())}


def checkpoint_pieces(checkpoint: str) -> PieceEncoder:
    """The tokenizer that a checkpoint was trained with; what says nothing is its mask token, or else the unknown one.

    Args:
        checkpoint: from `find_checkpoint`.

    Raises:
        UserError: there is no fast tokenizer, or neither a mask nor an unknown token.
    """
    from transformers import AutoTokenizer  # seconds to import: only who asks for it pays

    try:
        found = AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint}: no tokenizer there: {str(error).splitlines()[0]}") from None
    backend, blank = getattr(found, "backend_tokenizer", None), found.mask_token or found.unk_token
    if backend is None or blank is None:
        raise UserError(f"{checkpoint}: its tokenizer is not supported", expected="a fast one with a mask token")
    return PieceEncoder(Tokenizer.from_str(backend.to_str()), blank)


def load_encoder(config: dict[str, Any]) -> Encoder:
    """The encoder that a config describes."""
    if config["tokenizer"] == "pieces":
        return PieceEncoder(Tokenizer.from_str(json.dumps(config["model"])), config["blank"])
    return WordEncoder(config["tokenizer"], Vocabulary(config["words"]))
