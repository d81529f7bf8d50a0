"""Image files for a project's predict.py: finding them, and a predictor that reads them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.errors import Problems, UserError
from shared.core.find import find_named
from shared.core.predict import Adapter, Item, Predict, ranked

if TYPE_CHECKING:
    from torch import Tensor

Classify = Callable[["Tensor"], "Tensor"]  # (N, C, H, W) uint8 -> (N, K) logits

_BEFORE = {"fit": "crop", "ground": 128, "white": 65535.0}  # of weights that do not say


def image_predictor(classify: Classify, config: dict[str, Any]) -> Predict:
    """Paths of image files -> the ranked classes of each, or why it cannot be read.

    Args:
        classify: images as `prepare` makes them -> logits.
        config: of the weights: classes, and how images are read (see params.py, Reading).
    """
    import numpy as np
    import torch

    from shared.image.files import read_image
    from shared.image.params import Reading

    reading = Reading(**{key: config.get(key, _BEFORE.get(key)) for key in Reading.model_fields})

    def predict(paths: list[str | Path]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        images: list[np.ndarray] = []
        for path in paths:
            try:
                images.append(read_image(Path(path), reading).transpose(2, 0, 1))
                found.append({})
            except UserError as error:
                expected = f" (expected {error.expected})" if error.expected else ""
                found.append({"error": error.what.removeprefix(f"{path}: ") + expected})
        if images:
            rows = iter(classify(torch.from_numpy(np.stack(images))).double().softmax(dim=1).tolist())
            found = [one or ranked(next(rows), config["classes"]) for one in found]
        return found

    return predict


def find_images(paths: Iterable[str | Path], problems: Problems) -> Iterator[Path]:
    """See `find_named`."""
    from shared.image.files import IMAGE_SUFFIXES  # with torch, for which --help must not wait

    return find_named(paths, IMAGE_SUFFIXES, "images", problems)


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    listed = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    yield [Item({"file": str(path)}, path) for path in find_images([*words, *listed], problems)]


IMAGES = Adapter(_read, "image files, and folders searched for images")
