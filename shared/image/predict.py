"""The command line of every project's predict.py for images: which files, what is printed, what cannot be read.

Nothing here imports torch before it is needed: --help must not wait seconds for it.
"""

import argparse
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.errors import Problems

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 256  # images in memory at once

Classify = Callable[["Tensor"], "Tensor"]  # (N, C, H, W) uint8 -> (N, K) logits


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file: the classes with their probabilities, most probable first."""

    path: Path
    ranked: list[tuple[str, float]]

    @property
    def label(self) -> str:
        return self.ranked[0][0]

    @property
    def probability(self) -> float:
        return self.ranked[0][1]


class ImagePredictor:
    """A trained classifier on image files.

    Args:
        classify: images as `prepare` makes them -> logits.
        config: of the weights: classes, image_size, channels.
    """

    def __init__(self, classify: Classify, config: dict[str, Any]) -> None:
        self.classify, self.config = classify, config

    def predict(self, paths: Iterable[str | Path]) -> list[Prediction]:
        """Predictions of image files and of all images inside folders.

        Raises:
            UserError: names every file that cannot be read.
        """
        problems = Problems("predict")
        predictions = list(self.each(find_images(paths, problems), problems))
        problems.raise_if_any()
        return predictions

    def each(self, paths: Sequence[Path], problems: Problems) -> Iterator[Prediction]:
        """Predictions one by one, for any number of files; what cannot be read is noted in `problems`."""
        import numpy as np
        import torch

        from shared.image.files import read_image

        for start in range(0, len(paths), BATCH):
            good, images = [], []
            for path in paths[start : start + BATCH]:
                with problems.collect():
                    images.append(read_image(path, self.config["image_size"], self.config["channels"]))
                    good.append(path)
            if good:
                pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
                yield from self._ranked(good, self.classify(pixels).double().softmax(dim=1))

    def _ranked(self, paths: Sequence[Path], probabilities: "Tensor") -> Iterator[Prediction]:
        for path, row in zip(paths, probabilities, strict=True):
            order = row.argsort(descending=True, stable=True).tolist()
            yield Prediction(path, [(self.config["classes"][k], float(row[k])) for k in order])


def find_images(paths: Iterable[str | Path], problems: Problems) -> list[Path]:
    """Files as they are given, and the images inside folders, sorted by path. Hidden files are left out.

    A path that does not exist and a folder without images are noted in `problems`.
    """
    from shared.image.files import SUFFIXES

    found: list[Path] = []
    for path in map(Path, paths):
        inside = [path] if path.is_file() else sorted(file for file in path.rglob("*") if _is_image(file, SUFFIXES))
        if not inside:
            problems.add(path, "no images inside" if path.is_dir() else "no such file or folder")
        found += inside
    return found


def _is_image(path: Path, suffixes: set[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()


def as_json(prediction: Prediction, top: int) -> str:
    """One line: file, label, probability, and `top` most probable classes."""
    ranked = [{"label": label, "probability": round(value, 6)} for label, value in prediction.ranked[:top]]
    return json.dumps({"file": str(prediction.path), **ranked[0], "top": ranked}, ensure_ascii=False)


def as_text(prediction: Prediction, top: int, width: int) -> str:
    """One line: the file's name padded to `width` columns, then `top` classes, padded alike."""
    widest = max(columns(printable(label)) for label, _ in prediction.ranked)
    ranked = (f"{value:6.1%} {pad(label, widest)}" for label, value in prediction.ranked[:top])
    return "  ".join([pad(str(prediction.path), width), *ranked]).rstrip()


def pad(text: str, width: int) -> str:
    """The printable form of a text, padded to a number of terminal columns."""
    text = printable(text)
    return text + " " * (width - columns(text))


def printable(text: str) -> str:
    """Escapes what would move the cursor or cannot be encoded: names come from strangers."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def columns(text: str) -> int:
    """Columns that a terminal takes for a text: two for wide East Asian signs, none for combining ones."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def parse(words: Sequence[str] | None, module: str, doc: str) -> argparse.Namespace:
    """The command line; --help prints the project's docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, help="image files, and folders searched for images")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="classes to show of each image (default 1)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if arguments.top < 1:
        parser.error(f"--top {arguments.top}: at least 1")
    return arguments


def main(load: Callable[[Path | None], ImagePredictor], module: str, doc: str, words: Sequence[str] | None) -> None:
    """Predicts what the command line names. Raises UserError at the end where some paths could not be read.

    Args:
        load: folder of the weights (None: what the train stage left) -> the predictor.
        module: name of the project's module, as `python -m` takes it.
        doc: its docstring.
        words: of the command line; None: sys.argv.
    """
    arguments = parse(words, module, doc)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    predictor, problems = load(arguments.model), Problems("predict")
    paths = find_images(arguments.paths, problems)
    width = max((columns(printable(str(path))) for path in paths), default=0)
    for prediction in predictor.each(paths, problems):
        line = as_json(prediction, arguments.top) if arguments.json else as_text(prediction, arguments.top, width)
        print(line, flush=True)
    problems.raise_if_any()
