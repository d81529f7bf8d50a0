"""Text -> tokens -> ids, with the span of every token in the text. Only this module uses torchtext.

An `Encoder` is what training, evaluation and prediction share: WordEncoder looks words up in a vocabulary, PieceEncoder
cuts them into the pieces of a checkpoint's own `tokenizers` model. Both have

    len(encoder)     number of different ids
    blank            id of the neutral token, which replaces a word to test its absence
    unknown          id of unknown words; None where the vocabulary covers all bytes
    config           plain values for model.json, from which `load_encoder` makes the same encoder again
    encode           normalised texts -> the first max_tokens of each; the rest is cut off and counted. A text without
                     any token becomes one neutral token, so that no sequence is empty
    special          ids of the special tokens that are added to every text, such as [CLS]
"""

import itertools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import regex
from tokenizers import Encoding, Tokenizer
from torchtext.vocab import Vocab

from shared.core.errors import UserError

ENCODER = "encoder.json"  # beside prepared texts: the config of their encoder
PAD, UNK = 0, 1  # ids in every vocabulary made here
SPECIALS = ["<pad>", "<unk>"]
_CHUNK = 1000  # texts cut into pieces at once
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+(?:['\u2019][\p{L}\p{M}]+)*|[^\s\p{L}\p{M}\p{N}_]\p{M}*")
_MARKS = regex.compile(r"\p{M}+")
CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\t\n\r]]|\uFEFF", flags=regex.V1)  # left out of texts


class Token(NamedTuple):
    """A word or other character, and its span text[start:end]. The token may be spelled differently: lower case."""

    text: str
    start: int
    end: int


class Encoded(NamedTuple):
    """ids of the tokens; their (start, end) in the text; how many more were cut off."""

    ids: list[int]
    spans: list[tuple[int, int]]
    num_cut: int


def normalise(text: str) -> str:
    """Normalises a text: no control characters but tab and line end, `\\n` ends lines, composed (NFC).

    An accented letter may be one character or two, letter and accent, which a vocabulary would distinguish. Composed
    last: a control character may part them.

    >>> normalise("cafe\\u0301\\r\\nbar\\x00") == "café\\nbar"
    True
    """
    text = CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[Token]:
    """Runs of letters, marks and digits with their inner apostrophes; every other character alone, with its marks.

    Combining marks belong to what they stand behind, a letter or an emoji; Python's own \\w does not match them.

    >>> [token.text for token in words("It isn't bad!")]
    ['It', "isn't", 'bad', '!']
    """
    return [Token(found[0], *found.span()) for found in _WORD.finditer(text)]


def lower_words(text: str) -> list[Token]:
    """`words` in lower case."""
    return [Token(token.text.lower(), token.start, token.end) for token in words(text)]


TOKENIZERS = {"words": words, "lower_words": lower_words}


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
        """UNK for an unknown word."""
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
        self.special: list[int] = []
        self.config: dict[str, Any] = {"tokenizer": tokenizer, "words": vocabulary.words}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        for text in texts:
            tokens = TOKENIZERS[self.tokenizer](text) or [Token(SPECIALS[UNK], 0, len(text))]
            kept = tokens[:max_tokens]
            ids = self.vocabulary.ids(token.text for token in kept)
            yield Encoded(ids, [(token.start, token.end) for token in kept], len(tokens) - len(kept))


class PieceEncoder:
    """Pieces of words, by a model of the `tokenizers` library, with the special tokens that it adds.

    Args:
        tokenizer: its padding is switched off, its truncation set by `encode`.
        blank: the neutral token: "<unk>", or a checkpoint's "[MASK]".
    """

    def __init__(self, tokenizer: Tokenizer, blank: str) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        model = json.loads(tokenizer.to_str())
        self.config: dict[str, Any] = {"tokenizer": "pieces", "blank": blank, "model": model}
        found = tokenizer.token_to_id(blank)
        assert found is not None, f"{blank} is no token"
        self.tokenizer, self.blank = tokenizer, found
        unknown = model["model"].get("unk_token")  # unigram models have an id in its place
        self.unknown = model["model"].get("unk_id") if unknown is None else tokenizer.token_to_id(unknown)
        self.special: list[int] = tokenizer.encode("").ids

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        texts = iter(texts)
        while chunk := list(itertools.islice(texts, _CHUNK)):
            self.tokenizer.enable_truncation(max_tokens)
            encodings = self.tokenizer.encode_batch(chunk)
            self.tokenizer.no_truncation()
            yield from map(self._encoded, encodings, chunk)

    def _encoded(self, encoding: Encoding, text: str) -> Encoded:
        ids, spans, num_added = encoding.ids, encoding.offsets, len(self.special)
        if not text.isascii():
            spans = _with_marks(spans, text)
        if len(ids) == num_added:
            ids.insert(num_added // 2, self.blank)
            spans.insert(num_added // 2, (0, 0))
        return Encoded(ids, spans, sum(len(rest.ids) - num_added for rest in encoding.overflowing))


def _with_marks(spans: list[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """Spans with the marks that no other token begins with: tokenizers that strip accents end before the last."""
    begun = {start for start, _ in spans}
    marks = [_MARKS.match(text, end) if start < end and end not in begun else None for start, end in spans]
    return [(start, found.end() if found else end) for (start, end), found in zip(spans, marks, strict=True)]


Encoder = WordEncoder | PieceEncoder


@contextmanager
def checkpoint_errors(what: str, expected: str = "") -> Iterator[None]:
    """Makes a UserError of whatever transformers and the libraries below it raise of a checkpoint.

    Args:
        what: such as "some/checkpoint: no tokenizer there"; the first line of the error is added.
        expected: what would have been right.
    """
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{what}: {reason}", expected=expected) from error


def checkpoint_pieces(checkpoint: str) -> PieceEncoder:
    """The tokenizer that a checkpoint was trained with; the neutral token is its mask token, or else the unknown one.

    Args:
        checkpoint: from `find_checkpoint`.

    Raises:
        UserError: there is no fast tokenizer, or neither a mask nor an unknown token.
    """
    from transformers import AutoTokenizer  # takes seconds to import, so only on demand

    with checkpoint_errors(f"{checkpoint}: no tokenizer there"):
        # trust_remote_code: or a person at a terminal would be asked whether code of the checkpoint may run
        found = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    backend, blank = getattr(found, "backend_tokenizer", None), found.mask_token or found.unk_token
    if backend is None or blank is None:
        raise UserError(f"{checkpoint}: its tokenizer is not supported", expected="a fast one with a mask token")
    return PieceEncoder(Tokenizer.from_str(backend.to_str()), blank)


def load_encoder(config: dict[str, Any]) -> Encoder:
    """The encoder that a config describes."""
    if config["tokenizer"] == "pieces":
        return PieceEncoder(Tokenizer.from_str(json.dumps(config["model"])), config["blank"])
    return WordEncoder(config["tokenizer"], Vocabulary(config["words"]))
