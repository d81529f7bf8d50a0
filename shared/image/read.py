"""Image files for a project's predict.py: finding and naming them, and a predictor that reads them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.errors import Problems, UserError
from shared.core.find import find_named, listed_in
from shared.core.paths import reason_of
from shared.core.predict import Adapter, Item, Predict, printable, ranked
from shared.image.files import IMAGE_SUFFIXES, read_image
from shared.image.params import Reading

if TYPE_CHECKING:
    from torch import Tensor

Classify = Callable[["Tensor"], "Tensor"]  # (N, C, H, W) uint8 -> (N, K) logits


def image_predictor(classify: Classify, config: dict[str, Any]) -> Predict:
    """Paths of image files -> the ranked classes of each, or why it cannot be read.

    Args:
        classify: images as `prepare` makes them -> logits.
        config: of the weights: classes, and how images are read (see params.py, Reading).
    """
    import numpy as np
    import torch

    reading = Reading(**{key: config[key] for key in Reading.model_fields})

    def predict(paths: list[str | Path]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        images: list[np.ndarray] = []
        for path in paths:
            try:
                images.append(read_image(Path(path), reading).transpose(2, 0, 1))
                found.append({})
            except UserError as error:
                found.append({"error": reason_of(error, path)})
        if images:
            rows = iter(classify(torch.from_numpy(np.stack(images))).double().softmax(dim=1).tolist())
            found = [one or ranked(next(rows), config["classes"]) for one in found]
        return found

    return predict


def find_images(paths: Iterable[str | Path], problems: Problems) -> Iterator[Path]:
    """The given files, and the images inside given folders, see `find_named`."""
    return find_named(paths, IMAGE_SUFFIXES, "images", problems)


def name_images(inputs: Sequence[str], problems: Problems, *, suffix: bool) -> dict[Path, Path]:
    """Each image and the relative path that names it in an output folder: its path below the folder that was given, or
    the name of a file that was given itself.

    Args:
        problems: gets a second image of one name, which is left out: it would overwrite the first.
        suffix: whether names keep the suffix of the file.
    """
    images: dict[Path, Path] = {}
    for word in inputs:
        for path in find_images([word], problems):
            name = path.relative_to(word) if Path(word).is_dir() else Path(path.name)
            name = name if suffix else name.with_suffix("")
            if images.setdefault(name, path) != path:
                other = printable(str(images[name]))
                problems.add(printable(str(path)), f"the same name as {other}, expected another")
    return {path: name for name, path in images.items()}


def _read(words: Sequence[str], files: Sequence[Path], problems: Problems) -> Iterator[list[Item]]:
    found = find_images([*words, *listed_in(files, problems)], problems)
    yield [Item({"file": str(path)}, path) for path in found]


IMAGES = Adapter(_read, "image files, and folders searched for images")
