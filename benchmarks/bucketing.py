"""Tokens a second in training: batches by length beside random order with padding, for the LSTM of imdb_sentiment and a
Transformer of torch.

The lengths are drawn from IMDB's: its percentiles in words and punctuation marks are below, so no data is needed. Both
plans give batches of as many texts on average, all of the same content; the order of the two alternates from round to
round. Only real tokens are counted, not padding.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.table import report
from projects.imdb_sentiment.model import RecurrentClassifier
from projects.imdb_sentiment.params import Model
from shared.data.batches import Batch, Batches, CostBatches, EqualBatches, Padded, Plan
from shared.data.table import Ragged
from shared.training.distributed import local

# Of 10,000 reviews, at 0, 5, ..., 100 percent; the 1.5 % that are longer are cut
PERCENTILES = [8, 73, 109, 133, 144, 152, 161, 171, 183, 196, 211, 229, 251, 275, 308, 348, 393, 459, 556, 720, 1000]
TEXTS, WORDS, BATCH_TOKENS, ROUNDS, STEPS = 4000, 10_000, 8192, 3, 12
WIDTH = 64
LEAST = 2.0


def make_texts(rng: np.random.Generator) -> Ragged:
    """Random words, in texts as long as IMDB's."""
    lengths = np.interp(rng.random(TEXTS), np.linspace(0, 1, len(PERCENTILES)), PERCENTILES).astype(int)
    return Ragged.of([rng.integers(2, WORDS, length) for length in lengths], np.int32)


class Transformer(nn.Module):
    """One layer of torch's, mean over the words, and a linear head: (B, L) int64, (B, L) bool -> (B, 2) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.layer(self.embedding(tokens), src_key_padding_mask=~mask)
        shares = mask / mask.sum(1, keepdim=True)
        logits: Tensor = self.head(torch.einsum("bl,blh->bh", shares, states))
        return logits


def make_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "transformer":
        return Transformer()
    params = Model.model_construct(name=name, width=WIDTH, hidden=WIDTH, dropout=0.1, word_dropout=0.0)
    return RecurrentClassifier(params, WORDS, 1, 2)


def steps(texts: Ragged, plan: Plan) -> Iterator[Batch]:
    """Batches without end."""
    pad, labels = Padded(texts), torch.zeros(TEXTS, dtype=torch.int64)

    def read(index: Tensor) -> Batch:
        tokens, mask = pad(index)
        return {"tokens": tokens, "tokens_mask": mask, "label": labels[index]}

    batches = Batches(read, plan=plan, seed=0, world=local())
    return (batch for micro_batches in batches.stream(0, 10**9) for batch in micro_batches)


def tokens_a_second(network: nn.Module, batches: Iterator[Batch]) -> float:
    """Over some steps of training: forward, backward, update."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    count, start = 0, time.perf_counter()
    for _ in range(STEPS):
        batch = next(batches)
        logits = network(batch["tokens"], batch["tokens_mask"])
        F.cross_entropy(logits, batch["label"]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        count += int(batch["tokens_mask"].sum())
    return count / (time.perf_counter() - start)


def measure(name: str, texts: Ragged) -> dict[str, Any]:
    """Both plans in turn, for one network."""
    size = round(BATCH_TOKENS / texts.lengths.mean())
    plans = {
        "random": EqualBatches(TEXTS, size, size, local()),
        "by length": CostBatches(texts.lengths, BATCH_TOKENS, BATCH_TOKENS, local()),
    }
    network, streams = make_network(name), {key: steps(texts, plan) for key, plan in plans.items()}
    rates: dict[str, list[float]] = {key: [] for key in plans}
    for turn in range(ROUNDS + 1):
        for key in sorted(plans, reverse=bool(turn % 2)):
            rates[key].append(tokens_a_second(network, streams[key]))
    medians = {f"{key}, tokens/s": round(statistics.median(found[1:])) for key, found in rates.items()}  # first: warm
    ratio = medians["by length, tokens/s"] / medians["random, tokens/s"]
    return {"network": name} | medians | {"by length over random": round(ratio, 2)}


def main() -> bool:
    """Measures and reports. Returns whether batches by length are twice as fast for each network."""
    texts = make_texts(np.random.default_rng(0))
    rows = [measure(name, texts) for name in ("bilstm", "transformer")]
    setup = {"texts": TEXTS, "mean_tokens": round(float(texts.lengths.mean())), "batch_tokens": BATCH_TOKENS}
    report("bucketing", rows, **setup, rounds=ROUNDS, threads=torch.get_num_threads())
    return all(row["by length over random"] >= LEAST for row in rows)
