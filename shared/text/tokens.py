"""Text -> tokens -> numbers, with the place of every token in the text. torchtext is used here alone.

An encoder is what training, evaluation and prediction share: WordEncoder looks words up in a vocabulary, PieceEncoder
cuts them into the pieces of a `tokenizers` model, trained here or a checkpoint's own. Both are plain values in
model.json (`config`) and come back from it (`load_encoder`).
"""

import contextlib
import io
import itertools
import json
import ssl
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import regex
from tokenizers import Encoding, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vectors, Vocab

from shared.core.errors import UserError
from shared.core.files import checksum_of
from shared.core.paths import original_root, show
from shared.data.source import Official, bring

PAD, UNK = 0, 1  # ids in every vocabulary made here
SPECIALS = ["<pad>", "<unk>"]
_CHUNK = 1000  # texts cut into pieces at once
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+(?:['\u2019][\p{L}\p{M}]+)*|[^\s\p{L}\p{M}\p{N}_]")
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\t\n]]|\uFEFF", flags=regex.V1)
_basic_english = get_tokenizer("basic_english")

GLOVE_NAME = "glove.6B.300d"
GLOVE = Official(
    name="glove",
    url="https://nlp.stanford.edu/data/glove.6B.zip",
    checksum="056ea991adb4740ac6bf1b6d9b50408b",
    files={f"{GLOVE_NAME}.txt": "b78f53fb56ec1ce9edc367d2e6186ba4"},
)


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


def basic_english(text: str) -> list[Token]:
    """torchtext's basic_english, which lowers, cuts at signs and drops quotation marks, with each token's place.

    >>> basic_english('Not "bad".')
    [Token(text='not', start=0, end=3), Token(text='bad', start=5, end=8), Token(text='.', start=9, end=10)]
    """
    lowered = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)  # as long as the text
    tokens, place = [], 0
    for token in _basic_english(lowered):
        start = lowered.find(token, place)
        if start >= 0:
            place = start + len(token)
            tokens.append(Token(token, start, place))
    return tokens


TOKENIZERS: dict[str, Tokenize] = {"words": words, "lower_words": lower_words, "basic_english": basic_english}


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


def train_pieces(texts: Iterable[str], max_size: int, min_count: int) -> PieceEncoder:
    """Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909), learned from the training split, in lower case.

    Args:
        max_size: pieces at most, PAD and UNK not counted.
        min_count: how often a pair must occur to become a piece.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=max_size + len(SPECIALS), min_frequency=min_count, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PieceEncoder(tokenizer, SPECIALS[UNK])


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


def load_vectors(name: str, words: Sequence[str]) -> tuple[np.ndarray, float]:
    """Pretrained vectors of words, read by torchtext.

    A word that the file has not in its own spelling is looked for in lower case; else its vector is zero.

    Args:
        name: a file in GloVe's form (a word and its numbers a line, .gz too), or "glove.6B.300d", which is looked for
            in the mirror and then downloaded.
        words: of a vocabulary.

    Returns:
        (V, D) float32, and the share of words found.

    Raises:
        UserError: there is no such file, or it is not in this form.
    """
    path = _glove() if name == GLOVE_NAME else Path(name)
    if not path.is_file():
        raise UserError(f"{show(path)}: no such file of vectors", expected=f"a path, or {GLOVE_NAME}")
    vectors = _read_vectors(path)
    found = vectors.get_vecs_by_tokens(list(words), lower_case_backup=True)
    known = sum(word in vectors.stoi or word.lower() in vectors.stoi for word in words)
    return found.numpy(), known / len(words)


def _glove() -> Path:
    folder = original_root() / "data" / "raw" / ".vectors" / GLOVE.name
    if not (folder / f"{GLOVE_NAME}.txt").exists():
        bring(GLOVE, folder)
    return folder / f"{GLOVE_NAME}.txt"


def _read_vectors(path: Path) -> Vectors:
    """torchtext names its cache after the file alone, so each file has a folder of its own, named by its checksum."""
    cache = original_root() / "data" / "raw" / ".vectors" / checksum_of(path, like="0" * 64)
    https = ssl._create_default_https_context  # torchtext 0.6 switches off the check of certificates, for everyone
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar, which a log must not hold
            return Vectors(str(path), cache=str(cache))
    except (RuntimeError, ValueError, TypeError, EOFError, OSError) as error:
        raise UserError(
            f"{show(path)}: not a file of vectors: {error}", expected="a word and its numbers a line, as GloVe has them"
        ) from None
    finally:
        ssl._create_default_https_context = https
