"""Images of any size as tiles of one size, and what was predicted for tiles as one image again.

Prepare and predict cut images alike: `fitted`, `cut`.

H, W height and width of an image, h, w those of a tile, T tiles, K classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shared.data.table import Table

AT_ONCE = 8  # tiles that go through the network at once


def fitted(whole: Image.Image, tile: tuple[int, int], fit: str, resampling: Image.Resampling) -> Image.Image:
    """fit=tile: the image itself; fit=scale: scaled to fit into a tile, its shape kept."""
    if fit == "tile":
        return whole
    factor = min(tile[0] / whole.height, tile[1] / whole.width)
    size = (max(1, round(factor * whole.width)), max(1, round(factor * whole.height)))
    return whole if size == whole.size else whole.resize(size, resampling)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin, so that they cover a length, and neighbours share `overlap` or more.

    >>> starts(100, 40, 10), starts(30, 40, 10)
    ([0, 30, 60], [0])
    """
    if length <= tile:
        return [0]
    number = -(-(length - overlap) // (tile - overlap))
    return [round(at * (length - tile) / (number - 1)) for at in range(number)]


def places(height: int, width: int, tile: tuple[int, int], overlap: int) -> list[tuple[int, int]]:
    """Top and left of each tile."""
    return list(product(starts(height, tile[0], overlap), starts(width, tile[1], overlap)))


def cut(image: np.ndarray, tile: tuple[int, int], overlap: int, fill: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Top, left and the tile (h, w, ...) of an image (H, W, ...); what lies outside of it is `fill`."""
    for top, left in places(image.shape[0], image.shape[1], tile, overlap):
        part = image[top : top + tile[0], left : left + tile[1]]
        missing = (tile[0] - part.shape[0], tile[1] - part.shape[1])
        borders = [(0, missing[0]), (0, missing[1]), *[(0, 0)] * (image.ndim - 2)]
        yield top, left, np.pad(part, borders, constant_values=fill) if any(missing) else part


def ramp(height: int, width: int) -> Tensor:
    """(h, w) float64: the weight of a tile's pixels where tiles overlap, falling linearly to its borders."""
    sides = [torch.arange(side, dtype=torch.float64) + 1 for side in (height, width)]
    rows, columns = (torch.minimum(side, side.flip(0)) for side in sides)
    return rows[:, None] * columns


def join(tiles: Iterable[tuple[int, int, Tensor]], height: int, width: int) -> Tensor:
    """Top, left and values (K, h, w) of each tile -> (K, H, W), where tiles overlap their weighted mean: no seams."""
    total: Tensor | None = None
    weights = torch.zeros(height, width, dtype=torch.float64)
    for top, left, values in tiles:
        if total is None:
            total = values.new_zeros(len(values), height, width)
            weights, weight = weights.to(values), ramp(*values.shape[1:]).to(values)
        rows, columns = min(height - top, values.shape[1]), min(width - left, values.shape[2])
        total[:, top : top + rows, left : left + columns] += (values * weight)[:, :rows, :columns]
        weights[top : top + rows, left : left + columns] += weight[:rows, :columns]
    assert total is not None, "an image without a tile"
    return total / weights


def predict_image(
    predict: Callable[[Tensor], Tensor], tiles: Tensor, at: Sequence[tuple[int, int]], height: int, width: int
) -> Tensor:
    """(K, H, W) probabilities of an image of any size, some tiles at a time.

    Args:
        predict: (t, C, h, w) -> probabilities (t, K, h, w).
        tiles: (T, C, h, w), from `cut`.
        at: top and left of each.
    """
    found = (values for some in tiles.split(AT_ONCE) for values in predict(some))  # type: ignore[no-untyped-call]
    return join(((top, left, values) for (top, left), values in zip(at, found, strict=True)), height, width)


def count_images(table: Table) -> int:
    return int(table.fixed("number")[-1]) + 1


def rows_of(table: Table, number: int) -> np.ndarray:
    """(T,) int64: the tiles of an image, by its number."""
    return np.flatnonzero(table.fixed("number") == number)


def whole(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    """A column of tiles (T, ..., h, w) -> that of their image (..., H, W)."""
    values, (height, width) = table.fixed(name), table.fixed("size")[rows[0]].tolist()
    found = np.zeros((*values.shape[1:-2], height, width), values.dtype)
    for row, (top, left) in zip(rows.tolist(), table.fixed("place")[rows].tolist(), strict=True):
        part = found[..., top : top + values.shape[-2], left : left + values.shape[-1]]
        part[...] = values[row][..., : part.shape[-2], : part.shape[-1]]
    return found
