"""Target tokens a second on which multi30k_translation trains, beside a plain loop with padded batches in random order.

Both train the same Transformer on the same pairs with as many sentences a batch on average. The plain loop is as
tutorials have it: a DataLoader that shuffles, sides padded to the longest of the batch, scores of all positions, and a
loss that ignores the padding. Lengths are drawn from Multi30k's: percentiles in pieces are below, so no data is needed.
The two take turns; only real tokens are counted.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from benchmarks.table import report
from projects.multi30k_translation.data import inputs_of, reading
from projects.multi30k_translation.model import TransformerTranslator
from projects.multi30k_translation.params import Model
from projects.multi30k_translation.pieces import BEGIN, END, PAD, Marks
from projects.multi30k_translation.train import make_loss
from shared.data.batches import Batch, Batches, CostBatches, Padded
from shared.data.table import Ragged
from shared.training.distributed import local
from shared.training.step import accumulate, make_scaler, update

# Of the training pairs' sources and targets, cut into 5,000 pieces, at 0, 5, ..., 100 percent, END included
PERCENTILES = {
    "source": [5, 9, 10, 11, 12, 12, 13, 13, 14, 15, 15, 16, 16, 17, 18, 19, 20, 21, 23, 26, 53],
    "target": [4, 9, 10, 11, 12, 13, 13, 14, 14, 15, 16, 17, 17, 18, 19, 20, 21, 23, 25, 28, 61],
}
PAIRS, PIECES, STEPS, ROUNDS = 8000, 5000, 10, 5
SIZES = 128, 256  # sentences a batch
LEAST = 2.0
PARAMS = Model(
    name="transformer", width=192, num_heads=6, num_encoder_layers=3, num_decoder_layers=3, feedforward=512,
    dropout=0.1,
)  # fmt: skip
Step = Callable[[], int]  # trains on a batch -> its real target tokens


def make_pairs(rng: np.random.Generator) -> dict[str, Ragged]:
    """Random pieces; a long source has a long target."""
    at = np.clip(rng.random(PAIRS)[:, None] + rng.normal(0, 0.11, (PAIRS, 2)), 0, 1)
    lengths = [np.interp(at[:, n], np.linspace(0, 1, 21), PERCENTILES[name]) for n, name in enumerate(PERCENTILES)]
    return {
        name: Ragged.of([[*rng.integers(4, PIECES, int(length) - 1), END] for length in of], np.int32)
        for name, of in zip(PERCENTILES, lengths, strict=True)
    }


def by_project(pairs: dict[str, Ragged], size: int) -> Step:
    """Batches by length, and the step of fit()."""
    torch.manual_seed(0)
    model, world, pads = TransformerTranslator(PARAMS, PIECES), local(), {key: Padded(of) for key, of in pairs.items()}
    lengths = np.stack([of.lengths for of in pairs.values()], 1)
    cost = round(size * lengths.sum(1).mean())

    def read(index: Tensor) -> Batch:
        return {
            key: one for side, pad in pads.items() for key, one in zip((side, f"{side}_mask"), pad(index), strict=True)
        }

    plan = CostBatches(lengths, cost, cost, world)
    batches = Batches(read, plan=plan, seed=0, world=world, augment=reading(Marks(), 0.05, 0)).stream(0, 10**9)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    scaler, loss = make_scaler("fp32", world.device, 1), make_loss(0.1)

    def step() -> int:
        sums = accumulate(model, loss, next(batches), scaler=scaler, precision="fp32", world=world, seed=0)
        update(list(model.parameters()), [optimizer], sums.count, scaler=scaler, clip_norm=1.0, world=world)
        return int(sums.count)

    return step


def by_tutorial(pairs: dict[str, Ragged], size: int) -> Step:
    """A loop as one would write it."""
    torch.manual_seed(0)
    model = TransformerTranslator(PARAMS, PIECES)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rows = [tuple(torch.from_numpy(of.row(row)).long() for of in pairs.values()) for row in range(PAIRS)]

    def collate(some: list[Any]) -> list[Tensor]:
        return [pad_sequence(list(side), batch_first=True, padding_value=PAD) for side in zip(*some, strict=True)]

    loader: Any = DataLoader(rows, size, shuffle=True, collate_fn=collate, drop_last=True)  # type: ignore[arg-type]

    def forever() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    batches = forever()

    def step() -> int:
        source, target = next(batches)
        everywhere = torch.ones_like(target, dtype=torch.bool)
        logits = model.score(model(source, source != PAD, inputs_of(target, BEGIN), everywhere))
        F.cross_entropy(logits, target.flatten(), ignore_index=PAD, label_smoothing=0.1).backward()  # type: ignore
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int((target != PAD).sum())

    return step


def tokens_a_second(step: Step) -> float:
    start = time.perf_counter()
    count = sum(step() for _ in range(STEPS))
    return count / (time.perf_counter() - start)


def measure(pairs: dict[str, Ragged], size: int) -> dict[str, Any]:
    """Both in turn."""
    loops = {"multi30k_translation": by_project(pairs, size), "plain loop": by_tutorial(pairs, size)}
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name in sorted(loops, reverse=bool(turn % 2)):
            rates[name].append(tokens_a_second(loops[name]))
    medians = {name: statistics.median(found[1:]) for name, found in rates.items()}  # the first is warming up
    ratio = medians["multi30k_translation"] / medians["plain loop"]
    return {
        "sentences": size,
        **{f"{name}, tokens/s": round(of) for name, of in medians.items()},
        "ratio": round(ratio, 2),
    }


def main() -> bool:
    """Measures and reports. Returns whether training is twice as fast."""
    pairs = make_pairs(np.random.default_rng(0))
    rows = list(map(partial(measure, pairs), SIZES))
    report("translation_training", rows, pairs=PAIRS, vocabulary=PIECES, rounds=ROUNDS, threads=torch.get_num_threads())
    return all(row["ratio"] >= LEAST for row in rows)
