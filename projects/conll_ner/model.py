"""Two taggers under one CRF: a bidirectional LSTM from scratch, and any pretrained Transformer.

Both turn a word's numbers into a vector (`embed`), vectors into scores of tags (`forward`); the CRF turns these into a
sequence of tags. Padding lies on the right and changes nothing.

B batch, L words, F numbers a word, P pieces of a text, D size of a vector, K tags.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.text.pretrained import from_config
from shared.text.tokens import PAD
from shared.training.recurrent import BothWays, back_to_front, picked
from shared.training.weights import load_weights, read_config

from .crf import CRF
from .data import FIXED, LINE_END, SHAPES, WORD_PIECES, PieceFeatures, WordFeatures, blank, load_features
from .params import Model
from .tags import tag_names

CHARACTER_SIZE, SHAPE_SIZE = 32, 8
WIDTHS = (3, 5)  # of the characters' convolutions
PRETRAINED = "body.", "embed.vectors."  # names of a checkpoint's own weights begin so


class WordEmbedding(nn.Module):
    """(B, L, F) numbers of WordFeatures -> (B, L, D): the word, its shape, and character convolutions."""

    def __init__(self, params: Model, num_words: int, num_characters: int) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, params.word_size, padding_idx=PAD)
        self.shapes = nn.Embedding(len(SHAPES), SHAPE_SIZE, padding_idx=PAD)
        self.characters = nn.Embedding(num_characters, CHARACTER_SIZE, padding_idx=PAD)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(CHARACTER_SIZE, params.num_filters, width, padding=width // 2) for width in WIDTHS
        )
        self.size = params.word_size + SHAPE_SIZE + len(WIDTHS) * params.num_filters

    def forward(self, tokens: Tensor) -> Tensor:
        spellings, place = torch.unique(tokens[:, :, FIXED:].flatten(0, 1), dim=0, return_inverse=True)
        letters = self.characters(spellings).transpose(1, 2)
        seen = torch.cat([convolution(letters).amax(dim=2) for convolution in self.convolutions], dim=1)
        spelled = seen[place].view(*tokens.shape[:2], -1)
        return torch.cat([self.words(tokens[:, :, 0]), self.shapes(tokens[:, :, 1]), spelled], dim=2)


class LSTMTagger(nn.Module):
    """Word and character features, a bidirectional LSTM, mean over mentions, a second one, scores of tags.

    Between the two LSTMs each name receives the mean of the first one's states at all its mentions in the sequence, so
    that an uninformative mention profits from an informative one. The second LSTM has a residual connection, without
    which distant deciding words are learned late or never.
    """

    embedding_layer = "embed"

    def __init__(self, params: Model, features: WordFeatures, tags: Sequence[str]) -> None:
        super().__init__()
        hidden = params.hidden_size
        self.embed = WordEmbedding(params, len(features.words), len(features.characters))
        self.first, self.second = BothWays(nn.LSTM, self.embed.size, hidden), BothWays(nn.LSTM, 2 * hidden, hidden)
        self.elsewhere = nn.Linear(2 * hidden, 2 * hidden)
        # over (B, D, L): drops the same places of all vectors of a sequence (Gal & Ghahramani 2016)
        self.word_dropout, self.dropout = nn.Dropout1d(params.word_dropout), nn.Dropout1d(params.dropout)
        self.score = nn.Linear(2 * hidden, len(tags))
        self.crf = CRF(tags)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L, F) int64 and (B, L) bool -> (B, L, K)."""
        order = back_to_front(mask)
        hidden = self.first(self.word_dropout(self.embed(tokens).mT).mT, order)
        hidden = self.dropout(hidden.mT).mT
        hidden = hidden + torch.tanh(self.elsewhere(_mean_of_mentions(hidden, tokens[:, :, 2])))
        hidden = hidden + self.second(hidden, order)
        scores: Tensor = self.score(self.dropout(hidden.mT).mT)
        return scores

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The same sequences of unknown words without characters. Line ends stay, and which names are equal."""
        return torch.where(mask[:, :, None], blank(tokens), tokens)


class CheckpointTagger(nn.Module):
    """A pretrained Transformer over the pieces of words. A word's vector is that of its first piece and its shape's.

    The shape gives back what an uncased checkpoint throws away.
    """

    embedding_layer = "embed"

    def __init__(self, params: Model, body: Any, features: PieceFeatures, tags: Sequence[str]) -> None:
        super().__init__()
        vectors = body.get_input_embeddings()
        body.set_input_embeddings(nn.Identity())  # else the weights would be there twice
        body.pooler = None  # it would be without gradients
        self.embed = PieceEmbedding(vectors, features.added)
        self.body = body
        self.blank = features.encoder.blank + 1
        self.dropout = nn.Dropout(params.dropout)
        self.score = nn.Linear(body.config.hidden_size + SHAPE_SIZE, len(tags))
        self.crf = CRF(tags)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L, F) int64 and (B, L) bool -> (B, L, K)."""
        vectors = self.embed(tokens)
        shapes, pieces = vectors[..., :SHAPE_SIZE], vectors[..., SHAPE_SIZE:].unflatten(2, (WORD_PIECES, -1))
        text, alive, first = self.embed.lay_out(pieces, (tokens[:, :, 1:] > 0) & mask[:, :, None], mask)
        encoded = self.body(inputs_embeds=text, attention_mask=alive.long()).last_hidden_state
        scores: Tensor = self.score(self.dropout(torch.cat([picked(encoded, first), shapes], dim=2)))
        return scores

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The same sequences with the checkpoint's mask for every piece and no shape. Line ends stay."""
        hidden = torch.where(tokens > 0, self.blank, 0)
        hidden[:, :, 0] = 0
        keep = (~mask | (tokens[:, :, 0] == LINE_END))[:, :, None]
        return torch.where(keep, tokens, hidden)


class PieceEmbedding(nn.Module):
    """(B, L, F) numbers of PieceFeatures -> (B, L, D): the shape's vector, then those of the pieces, end to end.

    Args:
        vectors: the checkpoint's own, by id of a piece.
        ends: ids of the tokens that open and close a text.
    """

    ends: Tensor

    def __init__(self, vectors: nn.Embedding, ends: Sequence[int]) -> None:
        super().__init__()
        self.shapes = nn.Embedding(len(SHAPES), SHAPE_SIZE, padding_idx=PAD)
        self.vectors = vectors
        self.register_buffer("ends", torch.tensor([ends[0], ends[-1]]), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        pieces = self.vectors((tokens[:, :, 1:] - 1).clamp(min=0))  # places without a piece are left out later
        return torch.cat([self.shapes(tokens[:, :, 0]), pieces.flatten(2)], dim=2)

    def lay_out(self, pieces: Tensor, exists: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pieces of words -> one row of pieces a text, between these two tokens.

        Args:
            pieces: (B, L, F - 1, D).
            exists: (B, L, F - 1) bool.
            mask: (B, L) bool.

        Returns:
            (B, P, D), which of them are there (B, P) bool, and the place of each word's first piece (B, L) int64.
        """
        number = exists.flatten(1).long().cumsum(1)  # from 1: place 0 holds the opening token
        length = number[:, -1:]
        places = torch.where(exists.flatten(1), number, length.max() + 2)  # one place too many, cut off again
        text = pieces.new_zeros(len(pieces), int(length.max()) + 3, pieces.shape[-1])
        text = text.scatter(1, places[:, :, None].expand(-1, -1, pieces.shape[-1]), pieces.flatten(1, 2))
        opening, closing = self.vectors(self.ends)
        text = text[:, :-1]
        position = torch.arange(text.shape[1], device=text.device)
        text = torch.where((position == 0)[:, None], opening, text)
        text = torch.where((position == length + 1)[:, :, None], closing, text)
        first = number.view(exists.shape)[:, :, 0].masked_fill(~mask, 0)
        return text, position <= length + 1, first


def _mean_of_mentions(hidden: Tensor, names: Tensor) -> Tensor:
    """(B, L, D): the mean of `hidden` over all places with the same name; 0 where there is none (name 0)."""
    same = ((names[:, :, None] == names[:, None, :]) & (names > 0)[:, None, :]).to(hidden.dtype)
    return (same @ hidden) / same.sum(2, keepdim=True).clamp(min=1)


Tagger = LSTMTagger | CheckpointTagger


def build_model(config: Mapping[str, Any], body: nn.Module | None = None) -> Tagger:
    """The network that a config describes.

    Args:
        config: model (see params.py), classes, features and, of a checkpoint, body: what model.json holds.
        body: of a checkpoint, with its weights; None: an untrained one.
    """
    params, features = Model(**config["model"]), load_features(config["features"])
    tags = tag_names(config["classes"])
    if isinstance(features, WordFeatures):
        return LSTMTagger(params, features, tags)
    return CheckpointTagger(params, body or from_config("body", config["body"]), features, tags)


def load_model(folder: Path) -> tuple[Tagger, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
