"""A trained model on new images, from the shell and from Python.

    python -m projects.pets_segmentation.predict photo.jpg folder/ --out found/    # files, and all images in folders
    python -m projects.pets_segmentation.predict frames/ --out found/ --json       # one JSON object a line as well

    from projects.pets_segmentation.predict import load_predictor
    found = load_predictor()("photo.jpg")       # labels (H, W) uint8, shares: class -> share of the pixels

Writes found/masks/<name>.png (indexed, as large as the image), found/overlays/<name>.png and found/classes.txt: with
the images beside them as found/images/, the form that prepare reads. Frames of a video are a folder of images. Images
that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.cli import errors_for_people
from shared.core.errors import Problems, UserError
from shared.core.files import writing
from shared.core.paths import Project
from shared.image.read import find_images

if TYPE_CHECKING:
    import numpy as np

MAIN_CLASSES = 3  # that a line on the terminal names


def load_predictor(folder: Path | None = None) -> Callable[[str | Path], dict[str, Any]]:
    """A function from the path of an image to labels (H, W) uint8, as large as the image is seen, image (H, W, 3)
    uint8, and shares: class -> share of the pixels. It raises UserError where a file cannot be read.

    Predicts as evaluate measured it.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import numpy as np  # torch takes seconds to import: --help must not wait for it
    import torch
    from PIL import Image

    from shared.image.augment import to_float

    from .model import load_model, predict_probabilities
    from .tiles import cut, fitted, load, predict_image

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    size = (config["height"], config["width"])

    def predict(path: str | Path) -> dict[str, Any]:
        seen = load(Path(path), config["ground"], config["white"])
        pixels = np.asarray(fitted(seen, size, config["fit"], Image.Resampling.BICUBIC))
        tiles = list(cut(pixels, size, config["overlap_px"], config["ground"]))
        stacked = torch.from_numpy(np.stack([tile for _, _, tile in tiles]).transpose(0, 3, 1, 2).copy())
        found = predict_image(
            lambda some: predict_probabilities(model, to_float(some), config),
            stacked, [(top, left) for top, left, _ in tiles], *pixels.shape[:2],
        )  # fmt: skip
        labels = largest(found, (seen.height, seen.width))
        shares = np.bincount(labels.ravel(), minlength=len(config["classes"])) / labels.size
        return {
            "labels": labels,
            "image": np.asarray(seen),
            "shares": {name: round(float(share), 6) for name, share in zip(config["classes"], shares, strict=True)},
            "palette": [tuple(colour) for colour in config["palette"]],
        }

    return predict


def largest(probabilities: Any, size: tuple[int, int]) -> "np.ndarray":
    """(K, h, w) -> (H, W) uint8: the most probable class of each pixel of the larger or smaller image; one class at a
    time, so that large images need no K-fold memory."""
    import torch
    from torch.nn import functional as F

    if tuple(probabilities.shape[1:]) == size:
        return probabilities.argmax(0).to(torch.uint8).cpu().numpy()  # type: ignore[no-any-return]
    labels = torch.zeros(size, dtype=torch.uint8, device=probabilities.device)
    best = torch.full(size, -1.0, device=probabilities.device)
    for number, one in enumerate(probabilities):
        enlarged = F.interpolate(one[None, None].float(), size, mode="bilinear", align_corners=False)[0, 0]
        labels[enlarged > best] = number
        best = torch.maximum(best, enlarged)
    return labels.cpu().numpy()


def names_of(inputs: Sequence[str], problems: Problems) -> dict[Path, Path]:
    """Each image and its name in the output without a suffix: its path below the folder that was given."""
    found: dict[Path, Path] = {}
    for word in inputs:
        for path in find_images([word], problems):
            name = (path.relative_to(word) if Path(word).is_dir() else Path(path.name)).with_suffix("")
            if name in found:
                problems.add(path, f"the same name as {found[name]}, expected another")
            else:
                found[name] = path
    return {path: name for name, path in found.items()}


def main(words: Sequence[str] | None = None) -> None:
    from_file = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        f"python -m projects.{Project.of(__file__).name}.predict", None, __doc__, formatter_class=from_file
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image files, and folders searched for images")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the masks and overlays")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    given = parser.parse_args(words)
    predict, problems = load_predictor(given.model), Problems("predict")
    from shared.image.masks import save_indices
    from shared.training.weights import read_config

    from .params import Model
    from .pictures import overlay, save_picture_file

    config = read_config(given.model or Project.of(__file__).folder / "results" / "train", Model)
    for path, name in names_of(given.inputs, problems).items():
        try:
            found = predict(path)
        except UserError as error:
            problems.add(path, error.what.removeprefix(f"{path}: "))
            continue
        files = {kind: given.out / kind / name.with_suffix(".png") for kind in ("masks", "overlays")}
        with writing(given.out):
            for file in files.values():
                file.parent.mkdir(parents=True, exist_ok=True)
            save_indices(found["labels"], found["palette"], files["masks"])
            save_picture_file(overlay(found["image"], found["labels"], found["palette"]), files["overlays"])
            (given.out / "classes.txt").write_text("\n".join(config["classes"]) + "\n", encoding="utf-8")
        ranked = sorted(found["shares"].items(), key=lambda item: -item[1])
        if given.json:
            said = {"file": str(path), "mask": str(files["masks"]), "shares": found["shares"]}
            print(json.dumps(said, ensure_ascii=False), flush=True)
        else:
            print("  ".join(f"{share:6.1%} {one}" for one, share in ranked[:MAIN_CLASSES]), f" {path}", flush=True)
    problems.raise_if_any()


if __name__ == "__main__":
    with errors_for_people():
        main()
