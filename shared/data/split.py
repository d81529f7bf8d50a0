"""Stable splits: whether a sample is held out depends on its key, not on its position in a list."""

import hashlib
from collections.abc import Mapping, Sequence
from math import floor

import numpy as np

from shared.core.errors import UserError

SPLITS = ("train", "valid", "test")
SPLIT_NAMES = {  # names of folders and files -> the split
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


def divide(
    given: Sequence[str | None],
    keys: Sequence[str],
    *,
    fractions: Mapping[str, float],
    seed: int,
    labels: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The splits as the data give them; those that they do not give are drawn from train, test first.

    Args:
        given: (N,) the split that the data give each sample; None counts as train.
        keys: (N,) samples of one key stay in one split: copies, a speaker, a document, a user.
        fractions: of the splits that may be drawn, "test" and "valid": share of the keys; 0: the split is left out.
        seed: of the draws.
        labels: (N,) integers, the same for all samples of a key: the same share of each class is held out; None: the
            samples are of one class.

    Returns:
        Split -> (n,) int64 rows, ascending. A split of fraction 0 that the data do not give is missing.

    Raises:
        UserError: a split came out empty.
    """
    named = np.array([split or "train" for split in given], dtype="<U5")
    for name in ("test", "valid"):
        fraction = fractions.get(name, 0.0)
        if fraction and not (named == name).any():
            rest = np.flatnonzero(named == "train")
            some = [keys[row] for row in rest.tolist()]
            classes = np.zeros(len(rest), int) if labels is None else labels[rest]
            named[rest[hold_out(some, classes, fraction, seed, name)]] = name
    rows = {name: np.flatnonzero(named == name) for name in SPLITS}
    for name in SPLITS:
        if not len(rows[name]) and (name == "train" or fractions.get(name, 0.0)):
            raise UserError(
                f"{name}: no sample is left for this split, of {len(named)} samples in {len(set(keys))} "
                "groups that stay together",
                expected="more data" if name == "train" else f"more data, or a {name} split of your own",
                fix="prepare.valid_fraction=0 does without one" if name == "valid" else "",
            )
    return {name: chosen for name, chosen in rows.items() if len(chosen)}


def hold_out(keys: Sequence[str], labels: np.ndarray, fraction: float, seed: int, name: str) -> np.ndarray:
    """Chooses what goes to another split, class by class.

    The rule: within each class, keys are ordered by a hash of (seed, name, key), and the first round(fraction * n) of
    the n keys are held out; at least one where the class has two keys, and never all, so that every class keeps one in
    what remains. A new key therefore moves at most one other of its class, and samples that share a key stay together.

    Args:
        keys: (N,).
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
