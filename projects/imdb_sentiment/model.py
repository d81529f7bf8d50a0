"""A bidirectional LSTM, a linear model of n-grams, and a pretrained checkpoint.

B batch, L tokens, D numbers a token, H numbers a state, N n-grams that begin at a token, V n-grams known, K classes.

All take tokens (B, L) int64 and mask (B, L) bool, True on tokens, padded on the right; padding changes nothing.
`embedding_layer` names the submodule that turns tokens into (B, L, ...), which the explain stage attributes to, and
`baseline` gives the tokens of a neutral text.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.data.draws import Draws
from shared.data.table import Ragged
from shared.text.pretrained import from_config
from shared.text.tokens import PAD, load_encoder
from shared.training.weights import load_weights, read_config

from .params import Model

EMBEDDING_STD = 0.5
HASH = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 by the golden ratio, as a signed number
UNKNOWN = -(1 << 63)  # key of n-grams that are not known; the smallest int64, so it is the first of the sorted keys


class WordEmbedding(nn.Module):
    """A vector a word, learned from scratch."""

    def __init__(self, num_tokens: int, blank: int, params: Model) -> None:
        super().__init__()
        self.blank, self.word_dropout = blank, params.word_dropout
        self.words = nn.Embedding(num_tokens, params.width)
        nn.init.normal_(self.words.weight, std=EMBEDDING_STD)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64 -> (B, L, D).

        In training some words become unknown. So the model does not rely on single words, and the unknown
        word becomes a neutral baseline for explanations.
        """
        if self.training and self.word_dropout:
            hidden = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(hidden & (tokens != PAD), self.blank)
        vectors: Tensor = self.words(tokens)
        return vectors


class RecurrentClassifier(nn.Module):
    """Word vectors learned from scratch, an LSTM in each direction, attention over its states, and a linear head.

    Attention is a weighted mean of the states (Yang et al. 2016). Two nets of one direction and no packed sequence,
    which is several times slower on a CPU: padding is on the right, so it comes after everything that counts, also for
    the backward net, which reads each text from its own end.
    """

    embedding_layer = "embedding"

    def __init__(self, params: Model, num_tokens: int, blank: int, num_classes: int) -> None:
        super().__init__()
        self.blank, size = blank, 2 * params.hidden
        self.embedding = WordEmbedding(num_tokens, blank, params)
        self.ahead = nn.LSTM(params.width, params.hidden, batch_first=True)
        self.back = nn.LSTM(params.width, params.hidden, batch_first=True)
        self.attention = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(size, num_classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        states = self.dropout(self.states(self.embedding(tokens * mask), mask))
        share = self.attention(states).squeeze(2).masked_fill(~mask, -torch.inf).softmax(dim=1)
        pooled = torch.einsum("bl,blh->bh", share.to(states.dtype), states)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def states(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), (B, L) -> (B, L, 2H): of the net that reads ahead, and of the one that reads back."""
        turned = turn_around(mask).unsqueeze(2)
        reverse = self.back(vectors.gather(1, turned.expand_as(vectors)))[0]
        return torch.cat([self.ahead(vectors)[0], reverse.gather(1, turned.expand_as(reverse))], dim=2)

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word unknown."""
        return tokens.masked_fill(mask, self.blank)


def turn_around(mask: Tensor) -> Tensor:
    """(B, L) bool -> (B, L) int64: where each token goes when texts are read from their end; padding stays.

    >>> turn_around(torch.tensor([[True, True, True, False]]))
    tensor([[2, 1, 0, 3]])
    """
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - place, place)


class Votes(nn.Module):
    """Scores of each class from the n-grams that begin at each token: a learned weight times a log-count ratio.

    The ratios are Naive Bayes', taken from the training texts before the first step (`learn_ratios`) and fixed. An
    n-gram has one vote a text, however often it occurs; its places share it.
    """

    keys: Tensor  # (V,) int64, sorted

    def __init__(self, params: Model, num_ngrams: int, blank: int, num_classes: int) -> None:
        super().__init__()
        self.longest, self.blank, self.dropout = params.ngrams, blank, params.dropout
        self.register_buffer("keys", torch.full((num_ngrams,), UNKNOWN))
        self.weight = nn.Embedding(num_ngrams, num_classes)
        nn.init.zeros_(self.weight.weight)
        # A parameter though it is never trained: the randomised models of explain must shuffle it too.
        self.ratio = nn.Embedding(num_ngrams, num_classes)
        self.ratio.weight.requires_grad_(False)

    @torch.no_grad()
    def fill(self, keys: Tensor, ratios: Tensor) -> None:
        """Takes over what `learn_ratios` returned."""
        self.keys.copy_(keys)
        self.ratio.weight.copy_(ratios)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64, PAD where padded -> (B, L, K)."""
        key = ngram_keys(tokens, self.longest, self.blank).flatten(1)  # (B, L N)
        place = torch.searchsorted(self.keys, key).clamp(max=len(self.keys) - 1)
        place = torch.where(self.keys[place] == key, place, 0)
        share = (self._kept(key) / occurrences(key)).unsqueeze(2)
        votes: Tensor = share * self.weight(place) * self.ratio(place)
        return votes.view(*tokens.shape, self.longest, -1).sum(dim=2)

    def _kept(self, key: Tensor) -> Tensor | float:
        """0 for the n-grams that a step leaves out, everywhere in their text; the others make up for them."""
        if not (self.training and self.dropout):
            return 1.0
        salt = torch.randint(1 << 62, (len(key), 1), device=key.device)
        return (Draws(0, 0, key ^ salt).uniform() >= self.dropout) / (1 - self.dropout)


class NGramClassifier(nn.Module):
    """NB-SVM (Wang & Manning 2012) by gradient descent: a linear model of the n-grams of a text.

    A share of the n-grams is left out at every step, in place of a penalty on weights: dropout adapts to how rare each
    is (Wager, Wang & Liang 2013, arXiv:1307.1493).
    """

    embedding_layer = "votes"

    def __init__(self, params: Model, num_ngrams: int, blank: int, num_classes: int) -> None:
        super().__init__()
        self.blank = blank
        self.votes = Votes(params, num_ngrams, blank, num_classes)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        votes: Tensor = self.votes(tokens * mask) * mask.unsqueeze(2)
        return votes.sum(dim=1) / mask.sum(dim=1, keepdim=True).sqrt() + self.bias

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word unknown, so no n-gram is known."""
        return tokens.masked_fill(mask, self.blank)


def ngram_keys(tokens: Tensor, longest: int, blank: int) -> Tensor:
    """(B, L) int64 -> (B, L, N) int64: a key of each n-gram of 1 to N tokens; UNKNOWN if one of them is PAD or blank.

    >>> keys = ngram_keys(torch.tensor([[7, 8, 7, 8]]), longest=2, blank=1)
    >>> (keys[0, 0] == keys[0, 2]).tolist(), keys[0, 3, 1].item() == UNKNOWN
    ([True, True], True)
    """
    tokens = tokens.long()  # keys need 64 bits; prepared tokens have 32
    key, whole, keys = torch.zeros_like(tokens), torch.ones_like(tokens, dtype=torch.bool), []
    for number in range(longest):
        last = F.pad(tokens, (0, number), value=PAD)[:, number:]
        key = key * HASH + last + 1  # int64 overflows, the same everywhere
        whole = whole & (last != PAD) & (last != blank)
        keys.append(key.masked_fill(~whole, UNKNOWN))
    return torch.stack(keys, dim=2)


def occurrences(keys: Tensor) -> Tensor:
    """(B, L) int64 -> (B, L) int64: how often each key occurs in its row.

    >>> occurrences(torch.tensor([[7, 8, 7]]))
    tensor([[2, 1, 2]])
    """
    ordered, order = keys.sort(dim=1)
    run = ordered.diff(dim=1, prepend=ordered[:, :1]).ne(0).cumsum(dim=1)
    counts = torch.zeros_like(keys).scatter_add_(1, run, torch.ones_like(keys))
    return torch.empty_like(keys).scatter_(1, order, counts.gather(1, run))


def learn_ratios(tokens: Ragged, labels: Tensor, num_classes: int, params: Model, blank: int) -> tuple[Tensor, Tensor]:
    """The n-grams of the training texts, and how much more often each occurs in a class than in the others.

    Args:
        tokens: of every training text.
        labels: (texts,) int64.

    Returns:
        Keys (V,) int64, sorted: UNKNOWN and the n-grams of params.min_texts texts or more; and log-count ratios (V, K),
        log of an n-gram's share of a class's n-grams over its share of the others', every count of texts 1 larger; 0
        for UNKNOWN.
    """
    row = torch.repeat_interleave(torch.from_numpy(tokens.lengths) + 1)
    apart = torch.from_numpy(np.insert(tokens.values, tokens.offsets[1:], PAD)).long()  # no n-gram spans two texts
    keys, counts = [torch.tensor([UNKNOWN])], [torch.zeros(1, num_classes, dtype=torch.int64)]
    for key in ngram_keys(apart[None], params.ngrams, blank)[0].unbind(dim=1):
        known, index = torch.unique(key, return_inverse=True)
        once = torch.unique(index * len(labels) + row)  # an n-gram counts once a text
        cell = once // len(labels) * num_classes + labels[once % len(labels)]
        count = cell.bincount(minlength=len(known) * num_classes).view(-1, num_classes)
        chosen = (count.sum(dim=1) >= params.min_texts) & (known != UNKNOWN)
        keys, counts = [*keys, known[chosen]], [*counts, count[chosen]]
    ordered, order = torch.cat(keys).sort()
    inside = torch.cat(counts)[order].to(torch.get_default_dtype())
    shares = [(1 + count) / (1 + count).sum(dim=0) for count in (inside, inside.sum(dim=1, keepdim=True) - inside)]
    ratios = (shares[0] / shares[1]).log()
    ratios[0] = 0
    return ordered, ratios


class CheckpointClassifier(nn.Module):
    """A pretrained Transformer of the `transformers` library with a new head.

    Args:
        network: a sequence classifier.
        blank: id of the mask token.
        special: ids of the special tokens that the tokenizer adds, such as [CLS].
    """

    def __init__(self, network: nn.Module, blank: int, special: list[int]) -> None:
        super().__init__()
        self.network = network
        self.blank = blank
        config: Any = network.config
        if getattr(config, "pad_token_id", None) is None:  # decoders have none, and pool at the last other token
            config.pad_token_id = getattr(config, "eos_token_id", None) or PAD
        self.pad: int = config.pad_token_id
        self.register_buffer("special", torch.tensor(special), persistent=False)
        inputs = network.get_input_embeddings()  # type: ignore[operator]
        self.embedding_layer = next(name for name, module in self.named_modules() if module is inputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool -> (B, K) logits."""
        ids = tokens.long().masked_fill(~mask, self.pad)
        logits: Tensor = self.network(input_ids=ids, attention_mask=mask.long()).logits
        return logits

    def baseline(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) int64: every word masked; special tokens stay."""
        return tokens.masked_fill(mask & ~torch.isin(tokens, self.special), self.blank)  # type: ignore[arg-type]


def build_model(config: dict[str, Any], network: nn.Module | None = None) -> nn.Module:
    """The network that a config (see `load_model`) describes, with random weights from torch's generator.

    Args:
        network: a pretrained one; None: an untrained one from config["network"].
    """
    encoder, params = load_encoder(config["encoder"]), Model(**config["model"])
    if params.name == "checkpoint":
        network = network or from_config("classifier", config["network"])
        return CheckpointClassifier(network, encoder.blank, encoder.special)
    if params.name == "ngrams":
        return NGramClassifier(params, config["num_ngrams"], encoder.blank, len(config["classes"]))
    return RecurrentClassifier(params, len(encoder), encoder.blank, len(config["classes"]))


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train: model (its params), classes, max_tokens,
    encoder (see shared/text/tokens.py), of n-grams num_ngrams, of a checkpoint network (as transformers keeps it).
    """
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
