"""Seconds and memory of movielens_recommender at the sizes of MovieLens 1M and 25M, on generated interactions.

EASE's fit, one epoch of the factors with a softmax over all items and over drawn ones, rankings of a large catalogue,
and all stages up to lists for 10,000 users at 25 million interactions, from a CSV file of them. Popularity falls as in
MovieLens, histories are as unequal. Each row runs in a process of its own, whose largest memory is measured.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import AdamW

from benchmarks.preset import Elsewhere
from benchmarks.table import report
from projects.movielens_recommender import prepare
from projects.movielens_recommender.baselines import ease, gram
from projects.movielens_recommender.data import hide, reader, score_of
from projects.movielens_recommender.model import build_model
from projects.movielens_recommender.params import Prepare
from projects.movielens_recommender.ranking import Keys, recommend
from projects.movielens_recommender.train import loss
from shared.core.paths import ROOT
from shared.data.batches import Batches, EqualBatches
from shared.data.prepared import Prepared
from shared.data.table import Ragged
from shared.training.distributed import local

SMALL, LARGE = (6_000, 3_700, 1_000_000), (162_541, 59_047, 25_000_095)  # users, items, interactions
RANKED = 10_000, 50_000  # users, items
SIZE, BATCH = 64, 512
LIMITS = {  # seconds, GB
    "EASE, 6,000 x 3,700": (1.5, 2.0),
    "epoch, 1M, softmax over all items": (1.0, 2.0),
    "epoch, 1M, 100 drawn items": (2.0, 2.0),
    "epoch, 1M, 2,000 drawn items": (2.0, 2.0),
    "lists, 10,000 x 50,000": (6.0, 2.0),
    "25M: prepare, one epoch, lists": (600.0, 8.0),
}


def histories(num_users: int, num_items: int, number: int, seed: int = 0) -> Ragged:
    """About `number` interactions, no pair twice: log-normal lengths, items by a power law."""
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(0, 1.1, num_users)
    lengths = np.clip(lengths * number / lengths.sum(), 20, num_items // 3).astype(np.int64)
    share = (np.arange(num_items) + 30.0) ** -1.1
    draws = np.searchsorted(np.cumsum(share / share.sum()), rng.random(int(lengths.sum() * 1.3)))
    users = np.repeat(np.arange(num_users), np.ceil(lengths * 1.3).astype(np.int64))[: len(draws)]
    pairs = np.unique(users * num_items + draws[: len(users)])
    users, items = np.divmod(pairs, num_items)
    return Ragged(items.astype(np.int32), np.searchsorted(users, np.arange(num_users + 1)))


def model_of(num_items: int) -> Any:
    params = {"name": "factors", "size": SIZE, "dropout": 0.0, "num_blocks": 1, "num_heads": 1, "max_history": 500}
    catalogue = {"ids": range(num_items), "counts": [1] * num_items, "vocabulary": [], "features": []}
    return build_model({"model": params, "catalogue": catalogue})


def epoch(rows: Ragged, num_items: int, drawn: int) -> Any:
    """One pass; returns the model."""
    model = model_of(num_items)
    optimizer = AdamW(model.parameters(), lr=0.003, fused=True)
    plan = EqualBatches(len(rows.lengths), BATCH, BATCH, local())
    batches = Batches(reader(rows, 500, "cpu"), plan=plan, seed=0, world=local(), augment=hide(0, 0.3))
    criterion = partial(loss, num_negatives=drawn)
    for step in range(len(batches)):
        for batch in batches[step]:
            total, count, _ = criterion(model, batch)
            (total / count).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def keys(num_users: int, num_items: int) -> Keys:
    rng = np.random.default_rng(0)
    return Keys(*(rng.integers(1 << 62, size=size).astype(np.uint64) for size in (num_users, num_items)))


def whole(folder: Path) -> float:
    """Seconds from a CSV file to lists for 10,000 users; writing the file is not counted."""
    rows, project = histories(*LARGE), Elsewhere("movielens_recommender", folder)
    users, rng = np.repeat(np.arange(LARGE[0]), rows.lengths), np.random.default_rng(0)
    project.raw.mkdir()
    with (project.raw / "ratings.csv").open("w") as file:
        file.write("userId,movieId,rating,timestamp\n")
        for start in range(0, len(users), 1 << 20):
            some = slice(start, start + (1 << 20))
            times = 800_000_000 + 4_000 * users[some] + rng.integers(0, 100_000, len(users[some]))
            columns = users[some], rows.values[some], rng.integers(1, 11, len(times)) / 2, times
            file.writelines(f"{u},{i},{r},{t}\n" for u, i, r, t in zip(*(c.tolist() for c in columns), strict=True))
    del users, rows
    start = time.perf_counter()
    params = Prepare(
        seed=0, division="new_users", test_fraction=0.2, valid_fraction=0.05, fold_in=0.8, min_rating=0.0,
        min_user_items=2, min_item_users=1, user_column="", item_column="", rating_column="", time_column="",
    )  # fmt: skip
    prepare.write(project, *prepare.read(project.raw, params), params)
    prepared = Prepared(project.prepared)
    train, test = (prepared.table(name).ragged("items") for name in ("train", "test"))
    num_items = prepared.manifest["num_items"]
    model, some = epoch(train, num_items, 2_000), test.select(np.arange(min(RANKED[0], len(test.lengths))))
    recommend(score_of(model, 500, torch.device("cpu")), some, keys(len(some.lengths), num_items))
    return time.perf_counter() - start


def seconds_of(name: str) -> float:
    """Of one row, in this process."""
    if name.startswith("25M"):
        with tempfile.TemporaryDirectory() as folder:
            return whole(Path(folder))
    if name.startswith("lists"):
        given, model = histories(*RANKED, 600_000), model_of(RANKED[1]).eval()
        start = time.perf_counter()
        recommend(score_of(model, 500, torch.device("cpu")), given, keys(*RANKED))
        return time.perf_counter() - start
    rows, few = histories(*SMALL), histories(600, SMALL[1], 30_000)
    drawn = int("".join(filter(str.isdigit, name.partition("1M")[2])) or 0)
    for some in (few, rows):  # the first time torch imports what it needs, for seconds
        start = time.perf_counter()
        if name.startswith("EASE"):
            ease(some, gram(some, SMALL[1]), 300.0)
        else:
            epoch(some, SMALL[1], drawn)
    return time.perf_counter() - start


def main() -> bool:
    """Runs each row in a new process. Returns whether all are within their limits."""
    rows = []
    for name, (most_s, most_gb) in LIMITS.items():
        words = [sys.executable, "-m", "benchmarks.recommender", name]
        done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            {"what": name, "seconds": found["seconds"], "at most": most_s, "GB": found["gb"], "at most GB": most_gb}
        )
        print(rows[-1], flush=True)
    report("recommender", rows, ("torch", "numpy", "scipy", "polars"), threads=torch.get_num_threads(), size=SIZE)
    return all(row["seconds"] <= row["at most"] and row["GB"] <= row["at most GB"] for row in rows)


if __name__ == "__main__":
    seconds = seconds_of(sys.argv[1])
    print(json.dumps({"seconds": seconds, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
