"""Groups of pictures that are copies of each other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .near_duplicates import find_pairs
from .pictures import Picture, pixel_hash


class Group(NamedTuple):
    """Pictures that are copies of each other.

    Args:
        kind: exact (the same bytes or pixels), near, or mirrored (near, some of them with left and right exchanged).
        members: numbers of the pictures, two or more.
        likeness: of the least alike pair that connects them; 1 for exact copies.
    """

    kind: str
    members: list[int]
    likeness: float


def find_groups(pictures: Sequence[Picture], thumbnails: np.ndarray) -> list[Group]:
    """Groups of copies, connected through exact and near ones; those with most members first."""
    same = exact_copies(pictures, thumbnails)
    firsts = np.unique(same)
    near = find_pairs(thumbnails[firsts])
    ends = firsts[near.ends]
    parts = connected([*enumerate(same.tolist()), *ends.tolist()])
    pairs: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for end, likeness, mirrored in zip(ends[:, 0].tolist(), near.likeness, near.mirrored, strict=True):
        pairs[parts[end]].append((float(likeness), bool(mirrored)))
    members: dict[int, list[int]] = defaultdict(list)
    for number, part in sorted(parts.items()):
        members[part].append(number)
    groups = [_group(some, pairs[part]) for part, some in members.items() if len(some) > 1]
    return sorted(groups, key=lambda group: (-len(group.members), group.members))


def _group(members: list[int], pairs: list[tuple[float, bool]]) -> Group:
    if not pairs:
        return Group("exact", members, 1.0)
    kind = "mirrored" if any(mirrored for _, mirrored in pairs) else "near"
    return Group(kind, members, min(likeness for likeness, _ in pairs))


def connected(pairs: Iterable[Sequence[int]]) -> dict[int, int]:
    """The number of the part that each end of a pair belongs to: the smallest end in it.

    >>> connected([(0, 0), (1, 2), (3, 2)])
    {0: 0, 1: 1, 2: 1, 3: 1}
    """
    parent: dict[int, int] = {}

    def root(end: int) -> int:
        while parent.setdefault(end, end) != end:
            parent[end] = end = parent[parent[end]]  # halves the way for the next one
        return end

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {end: root(end) for end in sorted(parent)}


def exact_copies(pictures: Sequence[Picture], thumbnails: np.ndarray) -> np.ndarray:
    """(N,) int64: for each picture the first that has the same pixels, or itself.

    Only what shares size and thumbnail is decoded again in full, so that a folder without copies is read once.
    """
    keys = [
        (picture.width, picture.height, thumbnail.tobytes())
        for picture, thumbnail in zip(pictures, thumbnails, strict=True)
    ]
    counts, same = Counter(keys), np.arange(len(pictures))
    first: dict[object, int] = {}
    for number, key in enumerate(keys):
        if counts[key] > 1:
            same[number] = first.setdefault((key[:2], pixel_hash(pictures[number].file.path)), number)
    return same
