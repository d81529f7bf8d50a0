"""Models of texts whose attributions are known."""

import torch
from torch import Tensor, nn

from shared.explain.text import TextScene

PAD, UNK = 0, 1


class Sum(nn.Module):
    """(N, L) -> (N, 2): the scores are minus and plus the sum of the tokens' weights."""

    embedding_layer = "embedding"

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(weights[:, None], freeze=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        total = (self.embedding(tokens)[..., 0] * mask).sum(1)
        return torch.stack([-total, total], 1)


class Reader(nn.Module):
    """What real ones have: recurrence, a pooling that sees the mask, dropout. (N, L) or (N, L, F) -> (N, 3).

    With `tags` it has an output a token: (N, L, 3).
    """

    embedding_layer = "embedding"

    def __init__(self, tags: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embedding = Embedding()
            self.recurrent, self.dropout, self.head = nn.GRU(6, 8, batch_first=True), nn.Dropout(), nn.Linear(8, 3)
        self.tags = tags
        self.eval()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = 4 * self.dropout(self.recurrent(4 * self.embedding(tokens))[0])
        if self.tags:
            return self.head(states)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.head(mean)


class Embedding(nn.Module):
    """(N, L) or (N, L, F) -> (N, L, 6): the mean of the F vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.table(tokens)
        return vectors.mean(2) if tokens.ndim == 3 else vectors


def of_text(model: nn.Module, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """The score where a model has one output a text."""
    return model(tokens, mask)


def of_token(model: nn.Module, tokens: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """The score where it has one a token."""
    return model(tokens, mask)[torch.arange(len(places)), places]


def scene_of(sentences: list[list[int]], targets: list[int], evidence: list[list[bool]] | None = None) -> TextScene:
    """Sentences of token numbers, written as the letters b, c, d, ... with spaces between."""
    length = max(map(len, sentences))
    tokens = torch.tensor([one + [PAD] * (length - len(one)) for one in sentences])
    mask = torch.tensor([[True] * len(one) + [False] * (length - len(one)) for one in sentences])
    marked = None if evidence is None else torch.tensor([one + [False] * (length - len(one)) for one in evidence])
    texts = [" ".join(chr(ord("a") + token) for token in one) for one in sentences]
    spans = [[(2 * place, 2 * place + 1) for place in range(len(one))] for one in sentences]
    baselines = torch.where(mask, UNK, PAD)
    return TextScene(texts, spans, tokens, mask, baselines, torch.tensor(targets), None, marked)
