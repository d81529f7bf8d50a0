"""Texts cut into pieces of words and back: by a vocabulary learned for both languages together, or a checkpoint's own.

Every side ends with `end`; a translation is written from `begin` on. Joiners (ZWJ, ZWNJ) are characters like others.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from shared.text.tokens import Encoded, PieceEncoder, load_encoder

PIECES = "pieces.json"  # beside prepared pairs: the config of `Pieces`
PAD, UNKNOWN, BEGIN, END = range(4)  # of a learned vocabulary
SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]
LEARNED = "bpe", "unigram"
SPACE = "\u2581"  # in SentencePiece's pieces


class Marks(NamedTuple):
    """Ids of special pieces.

    Args:
        begin: the first that the decoder reads.
        end: the last of every side.
        blank: replaces a word that is removed.
        never: pieces that no translation contains.
    """

    begin: int = BEGIN
    end: int = END
    blank: int = UNKNOWN
    never: tuple[int, ...] = (PAD, UNKNOWN, BEGIN)


class SentencePieces:
    """A SentencePiece model whose pieces have the ids of another vocabulary, as Marian's checkpoints have it.

    Args:
        model: the content of its .spm file.
        vocabulary: piece -> id.
    """

    def __init__(self, model: bytes, vocabulary: dict[str, int]) -> None:
        self.processor, self.vocabulary = SentencePieceProcessor(model_proto=model), vocabulary
        self.pieces = {number: piece for piece, number in vocabulary.items()}
        self.blank, self.end = vocabulary[SPECIALS[UNKNOWN]], vocabulary[SPECIALS[END]]
        self.config: dict[str, Any] = {"model": base64.b64encode(model).decode(), "vocabulary": vocabulary}

    def __len__(self) -> int:
        return max(self.pieces) + 1

    def encode(self, texts: Iterable[str], max_tokens: int) -> Iterator[Encoded]:
        """As a PieceEncoder does."""
        for text in texts:
            found = self.processor.encode(text, return_type="offset_mapping")
            ids = [self.vocabulary.get(piece, self.blank) for piece in found["pieces"]] or [self.blank]
            spans, kept = found["offsets"] or [(0, 0)], max_tokens - 1
            yield Encoded([*ids[:kept], self.end], [*spans[:kept], (0, 0)], max(0, len(ids) - kept))

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.processor.decode_pieces([self.pieces[one] for one in ids])
        return text.replace(SPACE, " ").strip()  # pieces that the other side alone has keep theirs


class Pieces:
    """Cuts sources and targets into ids, and puts targets together again.

    Args:
        source, target: encoder of each side, often the same one.
        marks: ids of special pieces.
        prefix: what a checkpoint wants before every source, such as "translate English to German: ".
    """

    def __init__(self, source: Any, target: Any, marks: Marks, prefix: str = "") -> None:
        self.source, self.target, self.marks, self.prefix = source, target, marks, prefix

    @property
    def config(self) -> dict[str, Any]:
        """Plain values, from which `of` makes the same again."""
        sides = [self.source.config] + [self.target.config] * (self.target is not self.source)
        return {"sides": sides, "marks": list(self.marks), "prefix": self.prefix}

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Pieces":
        sides, (begin, end, blank, never) = [_encoder(one) for one in config["sides"]], config["marks"]
        return cls(sides[0], sides[-1], Marks(begin, end, blank, tuple(never)), config["prefix"])

    def __len__(self) -> int:
        """Different ids."""
        return max(len(self.source), len(self.target))

    def encode(self, texts: Sequence[str], max_tokens: int, *, target: bool = False) -> list[Encoded]:
        """Ids of texts (see `cleaning.plain`), and where in each text they stand, without the space before."""
        prefix = "" if target else self.prefix
        found = (self.target if target else self.source).encode([prefix + text for text in texts], max_tokens)
        return [_placed(one, text, len(prefix)) for one, text in zip(found, texts, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a translation's ids, with `end` or without."""
        kept = [one for one in ids if one != self.marks.end]
        text: str = (self.target if isinstance(self.target, SentencePieces) else self.target.tokenizer).decode(kept)
        return text


def _encoder(config: dict[str, Any]) -> Any:
    if "tokenizer" in config:
        return load_encoder(config)
    return SentencePieces(base64.b64decode(config["model"]), config["vocabulary"])


def _placed(one: Encoded, text: str, prefix: int) -> Encoded:
    """The pieces of a text as if there were no prefix, and no space at the beginning of a piece."""
    spans = [(max(0, start - prefix), max(0, end - prefix)) for start, end in one.spans]
    return one._replace(spans=[(start + (start < end and text[start] == " "), end) for start, end in spans])


def learn_pieces(texts: Iterable[str], kind: str, num_pieces: int) -> Pieces:
    """The most useful pieces of the texts of both sides. Digits are pieces of their own, so that an unseen number is
    copied digit by digit.

    Args:
        kind: "bpe" (Sennrich et al. 2016, arXiv:1508.07909) or "unigram" (Kudo 2018, arXiv:1804.10959).
        num_pieces: specials included.
    """
    options: dict[str, Any] = {"vocab_size": num_pieces, "special_tokens": SPECIALS, "show_progress": False}
    unknown, end = SPECIALS[UNKNOWN], SPECIALS[END]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=unknown, fuse_unk=True))
        trainer: Any = trainers.BpeTrainer(**options)
    else:
        tokenizer, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer(**options, unk_token=unknown)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, END)])
    encoder = PieceEncoder(tokenizer, unknown)
    return Pieces(encoder, encoder, Marks())
