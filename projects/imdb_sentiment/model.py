"""Networks to compare: two recurrent ones, a convolutional one, a small Transformer, a linear one, and a checkpoint.

B batch, L tokens, D numbers a token, H numbers a token after the network's body, K classes.

All take tokens (B, L) int64 and mask (B, L) bool, True on tokens, padded on the right; what is padded changes nothing.
`embedding_layer` names the submodule that turns tokens into (B, L, D), which the explain stage attributes to, and
`baseline` gives the tokens of a text that says nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.data.draws import Draws
from shared.text.pretrained import find_checkpoint
from shared.text.tokens import PAD, Encoder, load_encoder
from shared.training.weights import load_weights, read_config

from .params import Model

EMBEDDING_STD = 0.5
HASH = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 by the golden ratio, as a signed number
LOWEST = -1e4  # of what is padded, before a maximum; float16 holds it


class AttentionPooling(nn.Module):
    """One vector a text: a mean of its tokens' vectors, weighted by how much each matters (Yang et al. 2016)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, size)
        self.weight = nn.Linear(size, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, H), (B, L) -> (B, H)."""
        scores: Tensor = self.weight(self.hidden(states).tanh()).squeeze(2)
        share = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)
        return torch.einsum("bl,blh->bh", share.to(states.dtype), states)


class Recurrent(nn.Module):
    """LSTM or GRU in both directions.

    Two nets of one direction each and no packed sequence, which is several times slower on a CPU: padding lies on the
    right, so it comes after all that counts, also for the backward net, whose texts are turned around by their length.
    """

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], size: int, params: Model) -> None:
        super().__init__()
        sizes = [size] + [2 * params.hidden] * (params.layers - 1)
        self.forwards = nn.ModuleList([kind(size, params.hidden, batch_first=True) for size in sizes])
        self.backwards = nn.ModuleList([kind(size, params.hidden, batch_first=True) for size in sizes])
        self.dropout = nn.Dropout(params.dropout)
        self.pool = AttentionPooling(2 * params.hidden)
        self.size = 2 * params.hidden

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), (B, L) -> (B, H)."""
        turned = turn_around(mask).unsqueeze(2)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            reverse = back(states.gather(1, turned.expand_as(states)))[0]
            states = torch.cat([ahead(states)[0], reverse.gather(1, turned.expand_as(reverse))], dim=2)
            states = self.dropout(states)
        pooled: Tensor = self.pool(states, mask)
        return pooled


def turn_around(mask: Tensor) -> Tensor:
    """(B, L) bool -> (B, L) int64: where each token goes when texts are read from their end; padding stays.

    >>> turn_around(torch.tensor([[True, True, True, False]]))
    tensor([[2, 1, 0, 3]])
    """
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - place, place)


class Convolutional(nn.Module):
    """Filters over 2 to 4 neighbouring words, the strongest answer of each (Kim 2014, arXiv:1408.5882)."""

    WIDTHS = 2, 3, 4

    def __init__(self, size: int, params: Model) -> None:
        super().__init__()
        # A filter begins at every token and may end in zeros behind the last one.
        self.filters = nn.ModuleList([nn.Conv1d(size, params.hidden, width) for width in self.WIDTHS])
        self.size = params.hidden * len(self.WIDTHS)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), (B, L) -> (B, H)."""
        states = (states * mask.unsqueeze(2)).transpose(1, 2)
        answers = [
            filters(F.pad(states, (0, width - 1))).masked_fill(~mask.unsqueeze(1), LOWEST).amax(dim=2)
            for width, filters in zip(self.WIDTHS, self.filters, strict=True)
        ]
        return torch.cat(answers, dim=1).relu()


class Transformer(nn.Module):
    """Encoder layers of self-attention, normalised first, with learned positions; pooled like the recurrent nets."""

    def __init__(self, size: int, params: Model, max_tokens: int) -> None:
        super().__init__()
        self.position = nn.Parameter(EMBEDDING_STD * torch.randn(max_tokens, size))
        layer = nn.TransformerEncoderLayer(
            size, params.heads, params.hidden, params.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, params.layers, nn.LayerNorm(size), enable_nested_tensor=False)
        self.pool = AttentionPooling(size)
        self.size = size

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), (B, L) -> (B, H)."""
        states = states + self.position[: states.shape[1]]
        pooled: Tensor = self.pool(self.layers(states, src_key_padding_mask=~mask), mask)
        return pooled


class WordEmbedding(nn.Module):
    """A vector a word, learned from scratch."""

    def __init__(self, num_tokens: int, blank: int, params: Model) -> None:
        super().__init__()
        self.blank, self.word_dropout = blank, params.word_dropout
        self.words = nn.Embedding(num_tokens, params.width)
        nn.init.normal_(self.words.weight, std=EMBEDDING_STD)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64 -> (B, L, D).

        In training some words become unknown. No word is then enough by itself, and the unknown one learns to say
        nothing, so that explanations may start from it. Not zeros: filters then saw weaker words than they will.
        """
        if self.training and self.word_dropout:
            hidden = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(hidden & (tokens != PAD), self.blank)
        vectors: Tensor = self.words(tokens)
        return vectors


class TextClassifier(nn.Module):
    """Vectors learned from scratch, a body that makes one of them, and a linear head."""

    embedding_layer = "embedding"

    def __init__(self, params: Model, num_tokens: int, blank: int, max_tokens: int, num_classes: int) -> None:
        super().__init__()
        self.blank = blank
        self.embedding = WordEmbedding(num_tokens, blank, params)
        self.dropout = nn.Dropout(params.dropout)
        self.body = _body(params, max_tokens)
        self.head = nn.Linear(self.body.size, num_classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        logits: Tensor = self.head(self.dropout(self.body(self.embedding(tokens * mask), mask)))
        return logits

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word unknown."""
        return tokens.masked_fill(mask, self.blank)


def _body(params: Model, max_tokens: int) -> Any:
    if params.name == "cnn":
        return Convolutional(params.width, params)
    if params.name == "transformer":
        return Transformer(params.width, params, max_tokens)
    return Recurrent(nn.LSTM if params.name == "bilstm" else nn.GRU, params.width, params)


class Votes(nn.Module):
    """What the n-grams that begin at each word say of each class.

    They share `buckets` rows by a hash, as in fastText (Joulin et al. 2016, arXiv:1607.01759): there are millions, and
    most are rare. An n-gram has one vote a text, however often it stands there; its places share it.
    """

    def __init__(self, num_classes: int, params: Model) -> None:
        super().__init__()
        self.longest = params.ngrams
        self.table = nn.Embedding(params.buckets, num_classes)
        nn.init.zeros_(self.table.weight)  # what training never saw says nothing
        self.dropout = params.dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64 -> (B, L, K)."""
        key = torch.zeros_like(tokens)
        votes = self.table.weight.new_zeros(*tokens.shape, self.table.embedding_dim)
        for number in range(self.longest):
            key = key * HASH + F.pad(tokens, (0, number))[:, number:] + 1  # int64 overflows, the same everywhere
            share = self._kept(key) / occurrences(key)
            votes = votes + share.unsqueeze(2) * self.table((key * HASH >> 32) % self.table.num_embeddings)
        return votes

    def _kept(self, key: Tensor) -> Tensor | float:
        """(B, L): 0 for what a step leaves out, everywhere in its text; what is left makes up for it."""
        if not (self.training and self.dropout):
            return 1.0
        salt = torch.randint(1 << 62, (len(key), 1), device=key.device)
        return (Draws(0, 0, key ^ salt).uniform() >= self.dropout) / (1 - self.dropout)


class NGramClassifier(nn.Module):
    """A linear model of the n-grams that a text has; most are left out in training, in place of a penalty on weights.

    Dropout so adapts to how rare each is (Wager, Wang & Liang 2013, arXiv:1307.1493). On long texts it is hard to beat
    without pretraining.
    """

    embedding_layer = "votes"

    def __init__(self, params: Model, blank: int, num_classes: int) -> None:
        super().__init__()
        self.blank = blank
        self.votes = Votes(num_classes, params)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        votes: Tensor = self.votes(tokens * mask) * mask.unsqueeze(2)  # a text's last n-grams reach into the padding
        return votes.sum(dim=1) / mask.sum(dim=1, keepdim=True).sqrt() + self.bias

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word unknown."""
        return tokens.masked_fill(mask, self.blank)


def occurrences(keys: Tensor) -> Tensor:
    """(B, L) int64 -> (B, L) int64: how often each key stands in its row.

    >>> occurrences(torch.tensor([[7, 8, 7]]))
    tensor([[2, 1, 2]])
    """
    ordered, order = keys.sort(dim=1)
    run = ordered.diff(dim=1, prepend=ordered[:, :1]).ne(0).cumsum(dim=1)
    counts = torch.zeros_like(keys).scatter_add_(1, run, torch.ones_like(keys))
    return torch.empty_like(keys).scatter_(1, order, counts.gather(1, run))


class CheckpointClassifier(nn.Module):
    """A pretrained Transformer of the `transformers` library with a new head.

    Args:
        config: of the network, as transformers keeps it; model.json holds it.
        blank: id of the mask token.
        special: ids of the marks that the tokenizer adds, such as [CLS].
    """

    def __init__(self, config: dict[str, Any], blank: int, special: list[int]) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModelForSequenceClassification  # seconds to import

        self.network: nn.Module = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            AutoConfig.for_model(**config)
        )
        self.blank = blank
        self.register_buffer("special", torch.tensor(special), persistent=False)
        inputs = self.network.get_input_embeddings()
        self.embedding_layer = next(name for name, module in self.named_modules() if module is inputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        logits: Tensor = self.network(input_ids=tokens, attention_mask=mask.long()).logits
        return logits

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word masked; the marks that frame a text stay."""
        return tokens.masked_fill(mask & ~torch.isin(tokens, self.special), self.blank)  # type: ignore[arg-type]


def build_model(config: dict[str, Any]) -> nn.Module:
    """The network that a config (see `load_model`) describes, with random weights from torch's generator."""
    encoder, params = load_encoder(config["encoder"]), Model(**config["model"])
    if params.name == "checkpoint":
        return CheckpointClassifier(config["network"], encoder.blank, special_ids(encoder))
    if params.name == "ngrams":
        return NGramClassifier(params, encoder.blank, len(config["classes"]))
    return TextClassifier(params, len(encoder), encoder.blank, config["max_tokens"], len(config["classes"]))


def network_config(checkpoint: str, config: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's own config as plain values, for these classes.

    Raises:
        UserError: there is no such checkpoint, or it cannot read texts as long as they were prepared.
    """
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(find_checkpoint(checkpoint), num_labels=len(config["classes"]))
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint}: no checkpoint: {str(error).splitlines()[0]}") from None
    limit = getattr(found, "max_position_embeddings", None) or config["max_tokens"]
    if config["max_tokens"] > limit:
        raise UserError(f"prepare.max_tokens: {config['max_tokens']}", expected=f"{checkpoint} reads {limit} at most")
    values: dict[str, Any] = json.loads(found.to_json_string(use_diff=False))
    return values


def load_pretrained(model: nn.Module, checkpoint: str) -> None:
    """The checkpoint's weights into a CheckpointClassifier; its new head keeps its random ones."""
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it warns that the head is new
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    network = model.network
    assert isinstance(network, nn.Module)
    pretrained = AutoModelForSequenceClassification.from_pretrained(find_checkpoint(checkpoint), config=network.config)
    network.load_state_dict(pretrained.state_dict())


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train: model (its params), classes, max_tokens,
    encoder (see shared/text/tokens.py) and, of a checkpoint, network (its config as transformers keeps it).
    """
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config


def special_ids(encoder: Encoder) -> list[int]:
    """Ids of the marks that the encoder adds, such as [CLS]: no part of any text."""
    ids = np.arange(len(encoder))
    found: list[int] = ids[encoder.is_special(ids)].tolist()
    return found
