"""Hashes of ids, which order ties without favouring any id: the same in every run, whatever the order of rows."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from shared.core.seed import MIX_1, MIX_2


def id_keys(ids: Sequence[str]) -> np.ndarray:
    """(N,) uint64: a hash of each id."""
    digests = (blake2b(one.encode(errors="surrogateescape"), digest_size=8).digest() for one in ids)
    return np.frombuffer(b"".join(digests), np.uint64)


def mix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """uint64 hashes of pairs of keys, by splitmix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        bits = first * np.uint64(3) + second
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(MIX_1)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(MIX_2)
        return np.asarray(bits ^ (bits >> np.uint64(31)))
