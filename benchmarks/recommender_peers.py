"""ALS of movielens_recommender beside the package implicit, and exact lists beside the approximate ones of faiss.

MovieLens latest-small and 100K, from $DATASET_MIRROR, divided as the presets do. Both ALS minimise the same sum, have
as many dimensions and sweeps, and choose alpha and penalty from the same grid on the same validation users (implicit's
alpha counts from 1, ours from 0). NDCG@10 on the test users, with the interval of the paired difference; EASE beside.

faiss searches the ten greatest products of 10,000 users' vectors with those of 200,000 items, in a graph (HNSW) and in
inverted lists (IVF); recall is the share of the exact ten that it finds. The vectors are clusters, as tastes make them.
"""

import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.preset import Elsewhere, load
from benchmarks.table import report
from projects.movielens_recommender import prepare
from projects.movielens_recommender.baselines import SWEEPS, ImplicitALS, best_of, ease, gram, matrix
from projects.movielens_recommender.data import Asked
from projects.movielens_recommender.fetch import official
from projects.movielens_recommender.params import Params
from projects.movielens_recommender.ranking import Score
from shared.data.prepared import Prepared
from shared.data.table import Ragged
from shared.evaluation.intervals import bootstrap

NAME, FIGURE = "movielens_recommender", "ndcg_score_at_10"
PRESETS = "latest-small", "100k"
GRID = list(product((1.0, 10.0), (3.0, 10.0, 30.0, 100.0)))  # alpha, penalty
EASE = 30.0, 100.0, 300.0, 1000.0, 3000.0
SIZE = 32
NUM_USERS, NUM_ITEMS, DIMENSIONS, CLUSTERS, TOP = 10_000, 200_000, 64, 1_000, 10


def implicit_als(train: Ragged, num_items: int, alpha: float, penalty: float) -> Score:
    """The package's ALS, scoring new users by their histories."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=SIZE, alpha=1 + alpha, regularization=penalty, iterations=SWEEPS, use_cg=False, random_state=0
    )
    model.fit(matrix(train, num_items, np.float32), show_progress=False)

    def score(given: Ragged) -> torch.Tensor:
        users = model.recalculate_user(np.arange(len(given.lengths)), matrix(given, num_items, np.float32))
        return torch.from_numpy(users @ model.item_factors.T)

    return score


def compare(preset: str, folder: Path) -> list[dict[str, Any]]:
    """Rows of one data set."""
    params, project = load(NAME, Params, preset, {"prepare.valid_fraction": 0.1}), Elsewhere(NAME, folder)
    assert params.fetch
    project.raw.mkdir()
    official(project.raw, params.fetch)
    prepare.write(project, *prepare.read(project.raw, params.prepare), params.prepare)
    prepared = Prepared(project.prepared)
    train, num_items = prepared.table("train").ragged("items"), prepared.manifest["num_items"]
    valid, test = (Asked.of(prepared, name) for name in ("valid", "test"))
    both = gram(train, num_items)
    ways: dict[str, tuple[list[Any], Callable[[Any], Score]]] = {
        "our ALS": (
            GRID,
            lambda one: ImplicitALS.fit(train, num_items, size=SIZE, alpha=one[0], penalty=one[1], seed=0),
        ),
        "implicit": (GRID, lambda one: implicit_als(train, num_items, *one)),
        "our EASE": (list(EASE), lambda one: ease(train, both, one)),
    }
    rows: list[dict[str, Any]] = []
    first: np.ndarray | None = None
    for name, (settings, make) in ways.items():
        start = time.perf_counter()
        score, chosen = best_of(settings, make, lambda one: float(valid.measure(one)[1][FIGURE].mean()))
        seconds = (time.perf_counter() - start) / len(settings)
        values = test.measure(score)[1][FIGURE]
        first = values if first is None else first
        low, high = bootstrap(values - first, 0)
        rows.append({"what": f"{preset}: {name}", "setting": str(chosen), "figure": float(values.mean()),
                     "less our ALS": f"{low:+.3f} to {high:+.3f}", "seconds": seconds})  # fmt: skip
    return rows


def search() -> list[dict[str, Any]]:
    """Exact and approximate lists."""
    import faiss

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, DIMENSIONS))
    users, items = (
        (centres[rng.integers(CLUSTERS, size=size)] + rng.normal(size=(size, DIMENSIONS))).astype(np.float32)
        for size in (NUM_USERS, NUM_ITEMS)
    )
    start = time.perf_counter()
    right = torch.from_numpy(items)
    exact = torch.cat([(some @ right.T).topk(TOP).indices for some in torch.from_numpy(users).split(512)]).numpy()
    rows = [
        {
            "what": "exact, torch",
            "setting": "",
            "figure": 1.0,
            "less our ALS": "",
            "seconds": time.perf_counter() - start,
        }
    ]
    graph = faiss.IndexHNSWFlat(DIMENSIONS, 32, faiss.METRIC_INNER_PRODUCT)
    lists = faiss.index_factory(DIMENSIONS, "IVF1024,Flat", faiss.METRIC_INNER_PRODUCT)
    for name, index in (("faiss HNSW", graph), ("faiss IVF", lists)):
        start = time.perf_counter()
        index.train(items)
        index.add(items)
        built = time.perf_counter() - start
        if name == "faiss HNSW":
            index.hnsw.efSearch = 128
        else:
            index.nprobe = 32
        start = time.perf_counter()
        found = index.search(users, TOP)[1]
        seconds = time.perf_counter() - start
        recall = np.mean([len(set(a) & set(b)) / TOP for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
        rows.append({"what": name, "setting": f"built in {built:.1f} s", "figure": float(recall), "less our ALS": "",
                     "seconds": seconds})  # fmt: skip
    return rows


def main() -> bool:
    """Compares all. Returns whether our ALS is not worse than the package's."""
    rows = []
    for preset in PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            rows += compare(preset, Path(folder))
    held = all(float(row["less our ALS"].split(" ")[0]) <= 0 for row in rows if "implicit" in row["what"])
    report("recommender_peers", rows + search(), ("torch", "implicit", "faiss-cpu"), threads=torch.get_num_threads(),
           figure="NDCG@10, or recall of the exact ten")  # fmt: skip
    return held
