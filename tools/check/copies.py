"""Groups of pictures that are copies of each other."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

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
    edges = np.concatenate([np.stack([np.arange(len(same)), same], axis=1), ends])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(same), len(same)))
    parts = connected_components(graph, directed=False)[1].tolist()
    pairs: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for end, likeness, mirrored in zip(ends[:, 0].tolist(), near.likeness, near.mirrored, strict=True):
        pairs[parts[end]].append((float(likeness), bool(mirrored)))
    members: dict[int, list[int]] = defaultdict(list)
    for number, part in enumerate(parts):
        members[part].append(number)
    groups = [_group(some, pairs[part]) for part, some in members.items() if len(some) > 1]
    return sorted(groups, key=lambda group: (-len(group.members), group.members))


def _group(members: list[int], pairs: list[tuple[float, bool]]) -> Group:
    if not pairs:
        return Group("exact", members, 1.0)
    kind = "mirrored" if any(mirrored for _, mirrored in pairs) else "near"
    return Group(kind, members, min(likeness for likeness, _ in pairs))


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
