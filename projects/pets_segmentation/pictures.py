"""Pictures of masks: over their image, beside it, and what is wrong in them.

H height, W width, K classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.image.masks import IGNORED, Colour
from shared.image.show import picture, save_picture

OPACITY = 0.6
GREY, WRONG = (128, 128, 128), (255, 0, 0)


def colours(labels: np.ndarray, palette: Sequence[Colour]) -> np.ndarray:
    """(H, W) class indices -> (H, W, 3) uint8; what is ignored is grey."""
    table = np.full((256, 3), GREY, np.uint8)
    table[: len(palette)] = palette
    found: np.ndarray = table[labels]
    return found


def overlay(image: np.ndarray, labels: np.ndarray, palette: Sequence[Colour]) -> np.ndarray:
    """An image (H, W, 3) uint8 under the colours of its classes, with white lines between them: (H, W, 3) uint8."""
    mixed = (1 - OPACITY) * image + OPACITY * colours(labels, palette)
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    mixed[edge] = 255
    return mixed.round().astype(np.uint8)


def errors(image: np.ndarray, actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The image in grey, wrong pixels in red, ignored ones dark: (H, W, 3) uint8."""
    grey = np.repeat(0.4 * image.mean(axis=2, keepdims=True) + 100, 3, axis=2)
    grey[actual == IGNORED] *= 0.5
    grey[(actual != predicted) & (actual != IGNORED)] = WRONG
    return grey.round().astype(np.uint8)


def strip(folder: Path, name: str, drawn: dict[str, np.ndarray], title: str) -> dict[str, Any]:
    """A row of pictures (H, W, 3) by caption, saved in a folder `pictures`."""
    files = []
    for number, (caption, pixels) in enumerate(drawn.items()):
        file = f"{name}-{number}.png"
        save_picture(picture(pixels.transpose(2, 0, 1)), folder / file)
        files.append({"file": f"pictures/{file}", "caption": caption, "alt": f"{caption} of {title}"})
    return {"title": title, "good": None, "pictures": files}


def legend(folder: Path, classes: Sequence[str], palette: Sequence[Colour]) -> dict[str, Any]:
    """A row with the colour of each class."""
    files = []
    for number, (name, colour) in enumerate(zip(classes, palette, strict=True)):
        Image.new("RGB", (48, 24), colour).save(folder / f"class-{number}.png")
        files.append({"file": f"pictures/class-{number}.png", "caption": name, "alt": f"The colour of {name}"})
    return {"title": "Colours of the classes", "good": None, "pictures": files}
