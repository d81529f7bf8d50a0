"""Labels worth a second look: a picture among pictures of one other class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from .copies import Group
from .near_duplicates import describe, nearest

NEIGHBOURS, AGREEING = 10, 9  # a label is worth a look when 9 of the 10 nearest pictures have one other


class Hint(NamedTuple):
    """A picture whose neighbours have another label: `agreeing` of `neighbours` are `other`."""

    picture: int
    other: str
    agreeing: int
    neighbours: int


def find_hints(
    classes: Sequence[str], thumbnails: np.ndarray, groups: Sequence[Group]
) -> tuple[list[Hint], float | None]:
    """Pictures of which nearly all nearest neighbours (by coarse form and colour) have one other label.

    Of each group of copies only the first counts, so that copies do not vouch for each other.

    Returns:
        Hints, those with most agreeing neighbours first, and the accuracy of the vote of the neighbours.
    """
    copies = {member for group in groups for member in group.members[1:]}
    kept = np.array([number for number in range(len(classes)) if number not in copies])
    if len(kept) <= 2 * NEIGHBOURS:
        return [], None
    names, labels = np.unique(np.asarray(classes)[kept], return_inverse=True)
    votes = _votes(torch.from_numpy(describe(thumbnails[kept])), torch.from_numpy(labels), len(names))
    most, winner = votes.max(axis=1), votes.argmax(axis=1)
    suspicious = np.flatnonzero((winner != labels) & (most >= AGREEING))
    hints = [Hint(int(kept[row]), str(names[winner[row]]), int(most[row]), NEIGHBOURS) for row in suspicious]
    return sorted(hints, key=lambda hint: -hint.agreeing), float((winner == labels).mean())


def _votes(features: torch.Tensor, labels: torch.Tensor, num_classes: int) -> np.ndarray:
    """(N, num_classes): how many of the nearest neighbours of each have each label."""
    blocks = [columns for _, _, columns in nearest(features, features, NEIGHBOURS)]
    return torch.nn.functional.one_hot(labels[torch.cat(blocks)], num_classes).sum(1).numpy()
