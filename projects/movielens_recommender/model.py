"""Models that turn a history into scores of all items, so that a new user needs no training.

A user's vector times an item's vector, plus the item's bias, is the score. The user's vector comes from the history:

factors     the weighted sum of a second vector of each item, later ones weighing more (asymmetric matrix factorisation,
            Koren 2008; learned with a softmax over the items as in Liang et al. 2018, arXiv:1802.05814)
two_tower   the same, and both vectors of an item have those of its features added
sequence    the last state of a causal Transformer (SASRec, Kang & McAuley 2018, arXiv:1808.09781), but learned with the
            softmax over all items, which Klenitskiy & Vasilev 2023 (arXiv:2309.07602) found to be what it needs

B users, L items of a history, I items, D size of a vector, M candidates.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.training.weights import load_weights, read_config

from .data import feature_matrix
from .params import Model

SCALE = 0.02  # standard deviation of weights at first
FORGETS = 50.0  # items after which, at first, one of the history weighs 1/e


class Bag(nn.Module):
    """The weighted sum of a history's vectors."""

    def __init__(self, params: Model) -> None:
        super().__init__()
        self.forgetting = nn.Parameter(torch.tensor(1 / FORGETS).log())
        self.dropout = nn.Dropout(params.dropout)

    def shares(self, mask: Tensor) -> Tensor:
        """(B, L): the weight of each item of a history; their squares sum to 1."""
        age = mask.sum(1, keepdim=True) - mask.cumsum(1)
        weights = (-age * self.forgetting.exp()).exp() * mask
        return F.normalize(weights, dim=1)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D), mask (B, L) bool -> (B, D)."""
        found: Tensor = self.dropout((self.shares(mask)[:, None] @ vectors)[:, 0])
        return found


class Block(nn.Module):
    """A Transformer block with its norms first."""

    def __init__(self, params: Model) -> None:
        super().__init__()
        size, self.num_heads = params.size, params.num_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.queries, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, states: Tensor) -> Tensor:
        parts = self.queries(self.norm_1(states)).unflatten(2, (3, self.num_heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
        states = states + self.dropout(self.out(seen))
        found: Tensor = states + self.dropout(self.mlp(self.norm_2(states)))
        return found


class Causal(nn.Module):
    """A causal Transformer: the state after each item is the user's vector for what comes next."""

    def __init__(self, params: Model) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(params.size) * SCALE)
        self.places = nn.Parameter(torch.randn(params.max_history + 1, params.size) * SCALE)
        self.blocks = nn.Sequential(*(Block(params) for _ in range(params.num_blocks)))
        self.norm, self.dropout = nn.LayerNorm(params.size), nn.Dropout(params.dropout)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=SCALE)
                nn.init.zeros_(module.bias)

    def forward(self, vectors: Tensor, mask: Tensor, every: bool = False) -> Tensor:
        """(B, L, D), mask (B, L) bool, padded on the right -> (B, D), after the last item; every: (B, L, D), before
        each item. Padding changes nothing before it."""
        read = torch.cat([self.start.expand(len(vectors), 1, -1), vectors], 1) + self.places[: vectors.shape[1] + 1]
        states: Tensor = self.norm(self.blocks(self.dropout(read)))
        return states[:, :-1] if every else states[torch.arange(len(states), device=states.device), mask.sum(1)]


class Recommender(nn.Module):
    """Vectors of users by their histories, and the scores of items for them.

    Args:
        counts: training users of each item (I,): the scores at first are those of popularity.
        features: values and offsets of the features of each item; None: they are not used.
    """

    def __init__(
        self, counts: Sequence[int], params: Model, features: tuple[Tensor, Tensor] | None, num_features: int
    ) -> None:
        super().__init__()
        self.read_items, self.items = (nn.Embedding(len(counts), params.size) for _ in range(2))
        self.bias = nn.Parameter(torch.tensor(counts, dtype=torch.get_default_dtype()).log())
        for table in (self.read_items, self.items):
            nn.init.normal_(table.weight, std=SCALE)
        self.of_features: nn.EmbeddingBag | None = None
        if features is not None and num_features:
            self.of_features = nn.EmbeddingBag(num_features, 2 * params.size, mode="mean", include_last_offset=True)
            nn.init.normal_(self.of_features.weight, std=SCALE)
            self.register_buffer("feature_values", features[0])
            self.register_buffer("feature_offsets", features[1])
        self.reader: Bag | Causal = Causal(params) if params.name == "sequence" else Bag(params)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(I, D) twice: of items as they are read and as they are recommended."""
        if self.of_features is None:
            return self.read_items.weight, self.items.weight
        read, shown = self.of_features(self.feature_values, self.feature_offsets).chunk(2, 1)
        return self.read_items.weight + read, self.items.weight + shown

    def scores(self, users: Tensor, among: Tensor | None = None) -> Tensor:
        """(B, D) -> (B, I), or (B, M) of the items among (M,)."""
        vectors = self.vectors()[1]
        if among is None:
            return users @ vectors.T + self.bias
        return users @ vectors[among].T + self.bias[among]

    def forward(self, items: Tensor, mask: Tensor, **options: bool) -> Tensor:
        """Users by their histories: items (B, L) int64, mask (B, L) bool, padded on the right -> vectors (B, D).
        Options are those of the reader."""
        found: Tensor = self.reader(F.embedding(items, self.vectors()[0]), mask, **options)
        return found


def all_scores(model: nn.Module, items: Tensor, mask: Tensor) -> Tensor:
    """(B, I): of all items, those of the history (B, L) among them."""
    found: Tensor = model.scores(model(items, mask))  # type: ignore[operator]
    return found


def build_model(config: dict[str, Any]) -> Recommender:
    """An untrained model from the config that model.json holds. Raises UserError where heads do not divide a vector."""
    params, catalogue = Model.model_validate(config["model"]), config["catalogue"]
    if params.name == "sequence" and params.size % params.num_heads:
        raise UserError(
            f"train.model.num_heads: {params.num_heads} heads cannot share a vector of {params.size} equally",
            expected="a divisor of train.model.size",
            fix="train.model.num_heads=1",
        )
    features, num_features = None, len(catalogue["vocabulary"])
    if params.name == "two_tower":
        features = feature_matrix(catalogue["features"], num_features)
    return Recommender(catalogue["counts"], params, features, num_features)


def load_model(folder: Path) -> tuple[Recommender, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
