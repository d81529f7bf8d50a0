"""Splits that stay: who is held out depends on a sample's name, not on its place in a list."""

import hashlib
from collections.abc import Sequence
from math import floor

import numpy as np

SPLIT_NAMES = {  # what folders and files are called -> the split
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}


def hold_out(keys: Sequence[str], labels: np.ndarray, fraction: float, seed: int, name: str) -> np.ndarray:
    """Chooses what goes to another split, class by class.

    The rule: within each class, keys are ordered by a hash of (seed, name, key), and the first
    round(fraction * n) of the n keys are held out; at least one where the class has two keys, and never all, so
    that every class keeps one in what remains. A new key therefore moves at most one other of its class, and
    samples that share a key (copies of one picture) stay together.

    Args:
        keys: (N,) what names each sample, wherever its folder lies.
        labels: (N,) integers.
        fraction: in [0, 1); 0 holds out nothing.
        seed: any integer.
        name: of the split, so that test and valid are drawn independently.

    Returns:
        (N,) bool, True where held out.
    """
    held_out = np.zeros(len(keys), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label).tolist()
        ordered = sorted({keys[index] for index in members}, key=lambda key: _hash(seed, name, key))
        chosen = set(ordered[: _count(len(ordered), fraction)])
        held_out[members] = [keys[index] in chosen for index in members]
    return held_out


def _count(num: int, fraction: float) -> int:
    if fraction == 0 or num < 2:
        return 0
    return min(max(floor(fraction * num + 0.5), 1), num - 1)


def _hash(seed: int, name: str, key: str) -> bytes:
    # surrogateescape: a file name need not be text
    return hashlib.blake2b(f"{seed}\0{name}\0{key}".encode(errors="surrogateescape"), digest_size=16).digest()
