"""A trained model on new images, from the shell and from Python.

    python -m projects.cifar_cnn.predict photo.jpg folder/    # files, and all images inside folders
    python -m projects.cifar_cnn.predict folder/ --top 3      # the three most probable classes of each
    python -m projects.cifar_cnn.predict folder/ --json       # a JSON object a line, for programs

    from projects.cifar_cnn.predict import Predictor
    for prediction in Predictor().predict(["photo.jpg"]):
        print(prediction.label, prediction.probability)

Images that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

import argparse
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import Problems
from shared.params import load
from shared.paths import Project
from shared.stage import errors_for_people

from .params import Params

if TYPE_CHECKING:
    import numpy as np

BATCH = 256  # images in memory at once


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


class Predictor:
    """The trained model with the preprocessing it was evaluated with, test-time augmentation included.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from .model import load_model  # torch takes seconds to import: --help must not wait for it

        project = Project.of(__file__)
        folder = folder or project.folder / "results" / "train"
        self.model, self.config = load_model(folder, f"dvc repro projects/{project.name}")
        self.views = load(Params, Path(__file__).with_name("params.yaml")).evaluate.views

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
        from shared.data.image import read_image

        for start in range(0, len(paths), BATCH):
            good: list[Path] = []
            images: list[np.ndarray] = []
            for path in paths[start : start + BATCH]:
                with problems.collect():
                    images.append(read_image(path, self.config["image_size"], self.config["channels"]))
                    good.append(path)
            if good:
                yield from self._batch(good, images)

    def _batch(self, paths: list[Path], images: "list[np.ndarray]") -> Iterator[Prediction]:
        import numpy as np
        import torch

        from .data import to_float
        from .model import predict_logits

        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        probability = predict_logits(self.model, to_float(pixels), self.views).double().softmax(dim=1)
        for path, row in zip(paths, probability, strict=True):
            order = row.argsort(descending=True, stable=True).tolist()
            yield Prediction(path, [(self.config["classes"][k], float(row[k])) for k in order])


def find_images(paths: Iterable[str | Path], problems: Problems) -> list[Path]:
    """Files as they are given, and the images inside folders, sorted by path. Hidden files are left out.

    A path that does not exist and a folder without images are noted in `problems`.
    """
    from shared.data.image import SUFFIXES

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


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; --help prints this module's docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m projects.{Project.of(__file__).name}.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, help="image files, and folders searched for images")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="classes to show of each image (default 1)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if arguments.top < 1:
        parser.error(f"--top {arguments.top}: at least 1")
    return arguments


def main(words: list[str] | None = None) -> None:
    """The command line of predict. Raises UserError at the end where some paths could not be read."""
    arguments = parse(words)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    predictor, problems = Predictor(arguments.model), Problems("predict")
    paths = find_images(arguments.paths, problems)
    width = max((columns(printable(str(path))) for path in paths), default=0)
    for prediction in predictor.each(paths, problems):
        line = as_json(prediction, arguments.top) if arguments.json else as_text(prediction, arguments.top, width)
        print(line, flush=True)
    problems.raise_if_any()


if __name__ == "__main__":
    with errors_for_people():
        main()
