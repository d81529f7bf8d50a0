"""What a trained model has to beat: popularity, neighbours of items, EASE and implicit ALS, in closed form.

Each is learned from histories of train, and scores those of any user, so new users need no training.
U users, I items, X (U, I) is 1 where a user has an item, D size of a vector.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import scipy.sparse as sp  # type: ignore[import-untyped]
import torch
from torch import Tensor

from shared.data.table import Ragged

from .ranking import Score

SWEEPS = 10  # of ALS
BLOCK = 8192  # users at once
SPARSE_COST = 300.0  # what one product of sparse matrices costs, in those of dense ones

S = TypeVar("S")


def matrix(rows: Ragged, num_items: int, dtype: type = np.float64) -> sp.csr_matrix:
    """X (U, I)."""
    values: np.ndarray = np.ones(len(rows.values), dtype)
    return sp.csr_matrix((values, np.asarray(rows.values, np.int64), rows.offsets), (len(rows.lengths), num_items))


class Linear:
    """Row j of the weights (I, I) is what item j of a history adds to the score of every item."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def __call__(self, given: Ragged) -> Tensor:
        return torch.from_numpy(np.asarray(matrix(given, len(self.weights), self.weights.dtype.type) @ self.weights))

    def contributions(self, history: np.ndarray, item: int) -> np.ndarray:
        """(L,): what each item of a history (L,) adds to the score of an item; their sum is the score."""
        return np.asarray(self.weights[history, item])


def popularity(counts: np.ndarray) -> Score:
    """The same (I,) counts for everyone."""
    return lambda given: torch.from_numpy(counts.astype(np.float64)).repeat(len(given.lengths), 1)


def gram(train: Ragged, num_items: int) -> np.ndarray:
    """X'X (I, I) float32, exact up to 16 million users: how many have both items. Dense where histories are long."""
    x = matrix(train, num_items, np.float32)
    pairs, products = float((train.lengths.astype(float) ** 2).sum()), float(len(train.lengths)) * num_items**2
    if pairs * SPARSE_COST < products:
        return np.asarray((x.T @ x).toarray())
    total = np.zeros((num_items, num_items), np.float32)
    for start in range(0, len(train.lengths), BLOCK):
        some = x[start : start + BLOCK].toarray()
        total += some.T @ some  # numpy sees that both are one, and computes half of it
    return total


def knn(both: np.ndarray, shrinkage: float, neighbours: int = 200) -> Linear:
    """Cosine similarities, those that few users support shrunk to 0; of each item the most similar ones alone (Sarwar
    et al. 2001).

    Args:
        both: from `gram`.
    """
    count = np.diag(both)
    similar = both / (np.sqrt(np.outer(count, count)) + np.float32(shrinkage + 1e-12))
    np.fill_diagonal(similar, 0)
    if neighbours < len(both):
        least = np.partition(similar, len(both) - neighbours, axis=1)[:, len(both) - neighbours]
        similar[similar < least[:, None]] = 0
    return Linear(similar)


def ease(train: Ragged, both: np.ndarray, penalty: float) -> Linear:
    """The linear model of each item by all others, its own weight 0 (Steck 2019, arXiv:1905.03375).

    Where users are fewer than items, (X'X + penalty)^-1 comes from the (U, U) matrix by Woodbury's identity.

    Args:
        both: from `gram`.
    """
    if len(train.lengths) < len(both):
        x = matrix(train, len(both))
        small = torch.from_numpy(np.asarray((x @ x.T).toarray()))
        small.diagonal().add_(penalty)
        dense = torch.from_numpy(x.toarray())
        inverse = (dense.T @ torch.cholesky_solve(dense, torch.linalg.cholesky(small))).neg_()
        inverse.diagonal().add_(1)  # times the penalty: a factor that the quotient below loses
    else:
        whole = torch.from_numpy(both).double()
        whole.diagonal().add_(penalty)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(whole))
    inverse.div_(-inverse.diagonal().clone())
    inverse.fill_diagonal_(0)
    return Linear(inverse.numpy())


class ImplicitALS:
    """Weighted matrix factorisation (Hu, Koren & Volinsky 2008): every item counts, those of the history alpha more.

    Args:
        vectors: (I, D) of the items.
    """

    def __init__(self, vectors: np.ndarray, alpha: float, penalty: float) -> None:
        self.vectors, self.alpha, self.penalty = vectors, alpha, penalty
        self.base = vectors.T @ vectors + penalty * np.eye(vectors.shape[1])

    @classmethod
    def fit(cls, train: Ragged, num_items: int, *, size: int, alpha: float, penalty: float, seed: int) -> "ImplicitALS":
        """SWEEPS times the users' vectors from the items', and back."""
        back = matrix(train, num_items).T.tocsr()
        transposed = Ragged(back.indices, back.indptr.astype(np.int64))
        items = np.random.default_rng(seed).normal(0, 0.1, (num_items, size))
        for _ in range(SWEEPS):
            users = cls(items, alpha, penalty).solve(train)
            items = cls(users, alpha, penalty).solve(transposed)
        return cls(items, alpha, penalty)

    def solve(self, given: Ragged) -> np.ndarray:
        """(B, D): the vector of each user that fits its history best."""
        x, size = matrix(given, len(self.vectors)), len(self.base)
        squares = (self.vectors[:, :, None] * self.vectors[:, None]).reshape(len(self.vectors), -1)
        found = np.zeros((x.shape[0], size))
        for start in range(0, x.shape[0], BLOCK):
            some = x[start : start + BLOCK]
            inner = self.base + self.alpha * (some @ squares).reshape(-1, size, size)
            right = (1 + self.alpha) * (some @ self.vectors)
            found[start : start + BLOCK] = np.linalg.solve(inner, right[..., None])[..., 0]
        return found

    def __call__(self, given: Ragged) -> Tensor:
        return torch.from_numpy(self.solve(given) @ self.vectors.T)

    def contributions(self, history: np.ndarray, item: int) -> np.ndarray:
        """(L,): as Linear's; section 5 of the paper."""
        own = self.vectors[history]
        inner = np.linalg.inv(self.base + self.alpha * own.T @ own)
        return np.asarray((1 + self.alpha) * (own @ inner @ self.vectors[item]))


def best_of(
    settings: Sequence[S], make: Callable[[S], Score], quality: Callable[[Score], float] | None
) -> tuple[Score, S]:
    """The setting of the best quality, and what it makes; the middle one where there is nothing to choose by."""
    if quality is None:
        setting = settings[len(settings) // 2]
        return make(setting), setting
    best: tuple[float, Score, S] | None = None
    for setting in settings:  # one at a time: each may fill much of the memory
        made = make(setting)
        value = quality(made)
        if best is None or value > best[0]:
            best = value, made, setting
    assert best is not None
    return best[1], best[2]
