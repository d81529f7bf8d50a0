"""Rankings of the whole catalogue and their figures, one for each user, never against sampled items.

B users, I items, K length of a list, T wanted items of a user.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.data.table import Ragged

from .keys import mix

CUT, LONG = 10, 20  # of NDCG and the hit rate; of the longer recall
LISTED = 100  # items that are ranked: those below count for nothing
BLOCK = 512  # users at once: with 50,000 items their scores are 100 MB

Score = Callable[[Ragged], Tensor]  # histories of B users, item codes, earliest first -> (B, I) scores


class Keys(NamedTuple):
    """What orders equal scores: hashes of the ids (B,) and (I,) uint64, so that no item is favoured."""

    users: np.ndarray
    items: np.ndarray


def top_items(scores: Tensor, keys: Keys, length: int) -> np.ndarray:
    """(B, I) scores -> (B, min(length, I)) int64: the items of the highest scores, -1 where only -inf is left.

    Equal scores are in the order of a hash of user and item: a constant model recommends at random, other items to each
    user, and the same ones whatever else is in the batch.
    """
    length = min(length, scores.shape[1])
    values, index = scores.topk(min(length + 1, scores.shape[1]))
    found = index[:, :length].cpu().numpy()
    tied = ((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)).any(1)
    for row in torch.nonzero(tied)[:, 0].tolist():
        least = values[row, length - 1]
        open_ = torch.nonzero((scores[row] >= least) & (scores[row] > -torch.inf))[:, 0]
        of, candidates = scores[row, open_].cpu().numpy(), open_.cpu().numpy()
        order = np.lexsort((mix(keys.users[row, None], keys.items[candidates]), -of))[:length]
        found[row, : len(order)] = candidates[order]
    found[(values[:, :length] == -torch.inf).cpu().numpy()] = -1
    return found


def recommend(score: Score, given: Ragged, keys: Keys, length: int = LISTED) -> np.ndarray:
    """(U, K) int64: for each user the items of the highest scores that are not in its history. Scores are asked for
    in blocks of users, in order, each user once."""
    found, users = [], np.arange(len(given.lengths))
    for rows in np.array_split(users, range(BLOCK, len(users), BLOCK)):
        some = given.select(rows)
        scores = score(some)
        user = np.repeat(np.arange(len(rows)), some.lengths)
        scores[torch.from_numpy(user), torch.from_numpy(np.asarray(some.values, np.int64))] = -torch.inf
        found.append(top_items(scores, Keys(keys.users[rows], keys.items), length))
    return np.concatenate(found)


def hits(listed: np.ndarray, wanted: Ragged, num_items: int) -> np.ndarray:
    """(U, K) bool: whether each listed item is among the user's wanted ones."""
    user = np.repeat(np.arange(len(wanted.lengths)), wanted.lengths)
    pairs = np.sort(user * num_items + wanted.values)
    asked = np.arange(len(listed))[:, None] * num_items + listed
    place = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
    return np.asarray((pairs[place] == asked) & (listed >= 0))


def figures(hit: np.ndarray, num_wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of each user (U,), by their usual definitions with binary relevance. The reciprocal rank is 0 where none
    of the listed items is wanted.

    Args:
        hit: (U, K) bool, K at least 20 or all items.
        num_wanted: (U,) int64, at least 1.

    >>> found = figures(np.array([[False, True, False]]), np.array([2]))
    >>> round(float(found["ndcg_score_at_10"][0]), 4), float(found["reciprocal_rank_score"][0])
    (0.3869, 0.5)
    """
    discount = 1 / np.log2(np.arange(2, CUT + 2))
    best = np.cumsum(discount)[np.minimum(num_wanted, CUT) - 1]
    top = hit[:, :CUT]
    first = np.where(hit.any(1), hit.argmax(1), -1)
    return {
        f"ndcg_score_at_{CUT}": (top * discount[: top.shape[1]]).sum(1) / best,
        f"recall_at_{CUT}": top.sum(1) / num_wanted,
        f"recall_at_{LONG}": hit[:, :LONG].sum(1) / num_wanted,
        "reciprocal_rank_score": np.where(first >= 0, 1 / (np.maximum(first, 0) + 1.0), 0.0),
        f"hit_rate_score_at_{CUT}": top.any(1).astype(float),
    }


def beyond_accuracy(listed: np.ndarray, counts: np.ndarray, num_users: int) -> dict[str, float]:
    """What lists of ten say besides being right: coverage (share of all items that anyone is recommended), novelty_bits
    (mean of -log2 of an item's share of users), popularity (mean share of users who have a recommended item).

    Args:
        listed: (U, K) int64, -1 for none.
        counts: (I,) training users of each item.
    """
    top = listed[:, :CUT]
    top = top[top >= 0]
    share = np.maximum(counts[top], 0.5) / num_users
    return {
        "coverage": round(len(np.unique(top)) / len(counts), 6),
        "novelty_bits": round(float(-np.log2(share).mean()), 6),
        "popularity": round(float((counts[top] / num_users).mean()), 6),
    }


def by_activity(values: np.ndarray, lengths: np.ndarray, parts: int = 4) -> list[tuple[str, int, float]]:
    """The mean of (U,) values for users of short to long histories: (range of lengths, users, mean)."""
    order = np.argsort(lengths, kind="stable")
    cuts = [some for some in np.array_split(order, parts) if len(some)]
    return [
        (f"{lengths[some].min():,} to {lengths[some].max():,}", len(some), float(values[some].mean())) for some in cuts
    ]
