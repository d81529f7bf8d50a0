"""What training and inference see of a user: the latest items of its history, and which of them are to be found.

B users, L longest history of a batch, I items, F features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.data.batches import Augment, Batch, Padded
from shared.data.draws import Draws
from shared.data.prepared import Prepared
from shared.data.table import Ragged

from .keys import id_keys
from .ranking import Keys, Score, figures, hits, recommend


def latest(rows: Ragged, most: int) -> Ragged:
    """The last `most` values of each row."""
    lengths = np.minimum(rows.lengths, most)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return Ragged(np.asarray(rows.values)[np.repeat(rows.offsets[1:] - lengths, lengths) + within], offsets)


def reader(rows: Ragged, most: int, device: torch.device | str) -> Callable[[Tensor], Batch]:
    """A function from users (B,) to items (B, L) int64, 0 where padded, and items_mask (B, L) bool."""
    pad = Padded(latest(rows, most), device)

    def read(index: Tensor) -> Batch:
        items, mask = pad(index.to(device))
        return {"items": items.long(), "items_mask": mask}

    return read


def hide(seed: int, share: float) -> Augment:
    """Cuts each history at a random place, drawn anew in every epoch: what is before it is shown, and the next items, a
    share of the whole, are hidden (B, L) bool: to be found. Those after them are left out of items_mask, so a model is
    asked what it will be asked later. A history of one item hides nothing; of others at least one, and one is shown.
    """

    def augment(batch: Batch, epoch: float) -> Batch:
        mask = batch["items_mask"]
        length, place = mask.sum(1, keepdim=True), torch.arange(mask.shape[1], device=mask.device)
        draws = Draws(seed, int(epoch), batch["sample"]).uniform()[:, None]
        cut = 1 + (draws * (length - 1)).long()
        seen = mask & (place < cut + (share * length).round().clamp_min(1))
        return batch | {"items_mask": seen, "hidden": seen & (place >= cut)}

    return augment


def to_left(items: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Items (B, L) and which are kept (B, L) bool -> the kept ones moved to the left, in order, and their mask."""
    order = (~kept).int().argsort(dim=1, stable=True)
    return items.gather(1, order), kept.gather(1, order)


def feature_matrix(features: list[list[int]], num_features: int) -> tuple[Tensor, Tensor]:
    """Features of each item, by number -> values and offsets (I + 1,) int64, as EmbeddingBag takes them."""
    assert all(place < num_features for of in features for place in of)
    ragged = Ragged.of(features, np.int64)
    return torch.from_numpy(ragged.values.astype(np.int64)), torch.from_numpy(ragged.offsets)


def score_of(model: Any, max_history: int, device: torch.device) -> Score:
    """The scores of all items for users by their histories, as every model is evaluated: (B, I) on the CPU."""

    @torch.no_grad()
    def score(given: Ragged) -> Tensor:
        batch = reader(given, max_history, device)(torch.arange(len(given.lengths)))
        found: Tensor = model.scores(model(batch["items"], batch["items_mask"]))
        return found.cpu()

    return score


@dataclass(frozen=True)
class Asked:
    """Users N of a split, what they begin with, and what they should be recommended.

    Args:
        ids: of the users.
        given, wanted: items of each, by position in the catalogue.
        items: what items.json holds.
    """

    ids: Sequence[str]
    given: Ragged
    wanted: Ragged
    items: Mapping[str, Any]

    @classmethod
    def of(cls, prepared: Prepared, split: str) -> "Asked":
        """The users of a prepared split."""
        table = prepared.table(split)
        items = prepared.read("items.json")
        return cls(table.strings("id"), table.ragged("items"), table.ragged("wanted"), items)

    def select(self, rows: np.ndarray) -> "Asked":
        """Some users, in that order."""
        ids = [self.ids[row] for row in rows.tolist()]
        return Asked(ids, self.given.select(rows), self.wanted.select(rows), self.items)

    @cached_property
    def titles(self) -> list[str]:
        """Of the items; their ids where none is known."""
        return [title or one for title, one in zip(self.items["titles"], self.items["ids"], strict=True)]

    @cached_property
    def keys(self) -> Keys:
        return Keys(id_keys(self.ids), id_keys(self.items["ids"]))

    def measure(self, score: Score) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Ranked items (N, K), and the figures of each user."""
        listed = recommend(score, self.given, self.keys)
        found = hits(listed, self.wanted, len(self.items["ids"]))
        return listed, figures(found, self.wanted.lengths)
