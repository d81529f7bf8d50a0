"""Grids of images, as pictures: over training of the same noise and labels, seen again and again."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shared.core.files import replace_folder

ROWS, COLUMNS = 8, 10  # of a grid; classes go along a row
GREY = 96  # between images
Frame = dict[str, Any]  # step, epoch, image: (C, H, W) uint8


def grid(images: Tensor, columns: int = COLUMNS) -> Tensor:
    """(N, C, S, S) uint8 -> (C, rows * S, columns * S) uint8, row by row; what is left of the last row is black."""
    missing = -len(images) % columns
    padded = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    num, channels, side, _ = padded.shape
    cells = padded.view(num // columns, columns, channels, side, side)
    return cells.permute(2, 0, 3, 1, 4).reshape(channels, num // columns * side, columns * side)


def spaced(images: Tensor) -> Tensor:
    """(N, C, S, S) uint8 -> (N, C, S + 1, S + 1): with a grey line between one image and the next of a grid."""
    return F.pad(images, (0, 1, 0, 1), value=GREY)


def picture(image: Tensor) -> Image.Image:
    """(C, H, W) uint8 -> grey or RGB."""
    return Image.fromarray(image.permute(1, 2, 0).squeeze(2).contiguous().numpy())


def write_frames(folder: Path, frames: list[Frame]) -> None:
    """Replaces a folder by 000.png, 001.png, ... and index.json: file, step and epoch of each."""
    with replace_folder(folder) as new:
        names = [f"{number:03}.png" for number in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            picture(frame["image"]).save(new / name)
        index = [{"file": name, "step": f["step"], "epoch": f["epoch"]} for name, f in zip(names, frames, strict=True)]
        (new / "index.json").write_text(json.dumps(index, indent=1) + "\n")
