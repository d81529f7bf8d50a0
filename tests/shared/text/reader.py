"""Models of texts whose attributions are known."""

import torch
from torch import Tensor, nn

from shared.explain.parts import Batch, Subject, log_odds
from shared.text.parts import TextScene

PAD, UNK = 0, 1


class Sum(nn.Module):
    """(M, L) -> (M,): the sum of the tokens' weights."""

    embedding_layer = "embedding"

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(weights[:, None], freeze=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return (self.embedding(tokens)[..., 0] * mask).sum(1)


class Embedding(nn.Module):
    """(M, L) or (M, L, F) -> (M, L, 6): the mean of the F vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.table(tokens)
        return vectors.mean(2) if tokens.ndim == 3 else vectors


class Reader(nn.Module):
    """What real ones have: recurrence, a pooling that sees the mask, dropout. (M, L) or (M, L, F) -> (M, L, 3)."""

    embedding_layer = "embedding"

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embedding = Embedding()
            self.recurrent, self.dropout, self.head = nn.GRU(6, 8, batch_first=True), nn.Dropout(), nn.Linear(8, 3)
        self.eval()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(4 * self.dropout(self.recurrent(4 * self.embedding(tokens))[0]))


def total(model: nn.Module, batch: Batch) -> Tensor:
    return model(batch["tokens"], batch["tokens_mask"])


def of_text(model: nn.Module, batch: Batch) -> Tensor:
    """The score where a model has one output a text."""
    mask = batch["tokens_mask"][..., None]
    return log_odds((model(batch["tokens"]) * mask).sum(1) / mask.sum(1), batch["target"])


def of_token(model: nn.Module, batch: Batch) -> Tensor:
    """The score where it has one a token."""
    rows = torch.arange(len(batch["place"]), device=batch["place"].device)
    return log_odds(model(batch["tokens"])[rows, batch["place"]], batch["target"])


def scene_of(sentences: list[list[int]], numbers: int = 1, **fields: Tensor) -> TextScene:
    """Sentences of tokens, written as the letters b, c, d, ... with spaces between; with several numbers a token."""
    length = max(map(len, sentences))
    tokens = torch.tensor([one + [PAD] * (length - len(one)) for one in sentences])
    mask = torch.tensor([[True] * len(one) + [False] * (length - len(one)) for one in sentences])
    texts = [" ".join(chr(ord("a") + token) for token in one) for one in sentences]
    spans = [[(2 * place, 2 * place + 1) for place in range(len(one))] for one in sentences]
    baselines = torch.where(mask, UNK, PAD)
    if numbers > 1:
        tokens, baselines = (part[..., None].expand(-1, -1, numbers) for part in (tokens, baselines))
    return TextScene.of(texts, spans, tokens, mask, baselines, fields)


def subject_of(scene: TextScene, model: nn.Module, value: object = of_text) -> Subject:
    return Subject(model, scene, value, int(scene.sizes.max()))  # type: ignore[arg-type]
