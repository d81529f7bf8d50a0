"""Pictures of test images with boxes, for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.data.table import Table
from shared.image.boxes import draw_boxes, place_boxes
from shared.image.show import save_picture

SIDE_PX = 320  # that pictures are enlarged to
RIGHT, WRONG, TRUE = (0, 140, 0), (210, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Shown:
    """One picture: the row of the test split, what is said of it, the detections (n, 4) in the file's own pixels with
    their words, and whether each is right; `truth` is the object to be shown alone, None: all of the image."""

    image: int
    title: str
    note: str
    boxes: np.ndarray
    words: Sequence[str]
    right: Sequence[bool]
    truth: int | None = None


def draw_shown(shown: Sequence[Shown], test: Table, classes: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Draws them into a folder, which becomes `pictures/` of the stage: rows as `blocks.pictures` takes them."""
    rows, starts = [], test.ragged("label").offsets
    for number, one in enumerate(shown):
        whole, truth = enlarged(test, one.image), np.array(test.ragged("truth").row(one.image)).reshape(-1, 4)
        label = test.ragged("label").row(one.image)
        if one.truth is not None:
            chosen = [one.truth - int(starts[one.image])]
            truth, label = truth[chosen], label[chosen]
        names = [classes[which] if one.truth is not None else "" for which in label]
        drawn = draw_boxes(whole, on_picture(truth, test, one.image), names, [TRUE] * len(truth), 3)
        colours = [RIGHT if right else WRONG for right in one.right]
        drawn = draw_boxes(drawn, on_picture(one.boxes, test, one.image), list(one.words), colours)
        name = f"{number:03}.png"
        save_picture(drawn, folder / name)
        title = f"{test.strings('id')[one.image]}: {one.title}"
        rows.append(
            {"file": f"pictures/{name}", "caption": title, "alt": f"Image {title}; {one.note}", "note": one.note}
        )
    return rows


def factor_of(test: Table) -> int:
    """How much prepared images are enlarged."""
    return max(1, round(SIDE_PX / max(int(side) for side in test.fixed("image").shape[2:])))


def enlarged(test: Table, row: int) -> Image.Image:
    """A prepared image as a picture."""
    image = Image.fromarray(np.array(test.fixed("image")[row]).transpose(1, 2, 0))
    factor = factor_of(test)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def on_picture(boxes: np.ndarray, test: Table, row: int) -> np.ndarray:
    """Boxes in the file's own pixels -> in the picture's."""
    return place_boxes(boxes, test.fixed("place")[row]) * factor_of(test)
