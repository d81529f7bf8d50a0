"""What is known of the sample: who likes what, when, and so the best ranking that there can be (the oracle).

tastes.json, beside the raw data:

    items: id -> taste (its number, or -1: none) and share (of the choices of those who have the taste, or of all)
    users: id -> start, end (numbers of tastes) and length (of the whole history)

U users, I items, K tastes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TASTES = "tastes.json"
NUM_TASTES = 10
OWN_SHARE = 0.8  # of the choices follows the taste of the moment, the rest any taste


def mixtures(start: np.ndarray, end: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(U, K) probabilities of tastes at (U,) in [0, 1] of each history: from start to end (U,), fastest midway."""
    moved = 1 / (1 + np.exp(-10 * (at - 0.5)))[:, None]
    tastes = np.eye(NUM_TASTES)
    return np.asarray(OWN_SHARE * ((1 - moved) * tastes[start] + moved * tastes[end]) + (1 - OWN_SHARE) / NUM_TASTES)


def shares(taste: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(K, I): how users of each taste choose, from an item's taste (I,) and share (I,)."""
    return np.asarray(share * ((taste == np.arange(NUM_TASTES)[:, None]) | (taste < 0)))


def oracle_scores(
    truth: Mapping[str, Any], users: Sequence[str], items: Sequence[str], given: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """(U, I): how many of a user's next choices fall on each item, as far as it is not chosen already.

    Args:
        given, wanted: (U,) int64, how many items a user has, and how many of the next are asked for.
    """
    known = [truth["users"][one] for one in users]
    start, end, length = (np.array([one[key] for one in known]) for key in ("start", "end", "length"))
    expected = np.zeros((len(known), NUM_TASTES))
    for place in range(int(wanted.max())):
        expected += mixtures(start, end, (given + place) / length) * (place < wanted)[:, None]
    taste, share = (np.array([truth["items"][one][key] for one in items]) for key in ("taste", "share"))
    return np.asarray(expected @ shares(taste, share))
