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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.cli import errors_for_people
from shared.core.errors import Problems, UserError
from shared.core.files import writing
from shared.core.paths import Project, reason_of
from shared.core.predict import printable, set_encoding
from shared.image.files import load_whole
from shared.image.read import name_images

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
    from .tiles import cut, fitted, predict_image

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    size = (config["height"], config["width"])

    def predict(path: str | Path) -> dict[str, Any]:
        seen = load_whole(Path(path), config["ground"], config["white"])
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


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m projects.pets_segmentation.predict", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image files, and folders searched for images")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the masks and overlays")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    given = parser.parse_args(words)
    set_encoding(given.json)
    with errors_for_people():
        predict, problems = load_predictor(given.model), Problems("predict")
        for path, name in name_images(given.inputs, problems, suffix=False).items():
            try:
                found = predict(path)
            except UserError as error:
                problems.add(printable(str(path)), reason_of(error, path))
                continue
            mask = given.out / "masks" / f"{name}.png"
            save(found, mask, given.out / "overlays" / f"{name}.png", given.out)
            if given.json:
                said = {"file": str(path), "mask": str(mask), "shares": found["shares"]}
                print(json.dumps(said, ensure_ascii=False), flush=True)
            else:
                print(_line(path, found["shares"]), flush=True)
        problems.raise_if_any()


def save(found: Mapping[str, Any], mask: Path, drawn: Path, out: Path) -> None:
    """The mask of an image and what it looks like over the image, as PNGs, and the names of the classes in `out`."""
    from PIL import Image

    from shared.image.masks import save_indices

    from .pictures import overlay

    with writing(out):
        for path in (mask, drawn):
            path.parent.mkdir(parents=True, exist_ok=True)
        save_indices(found["labels"], found["palette"], mask)
        Image.fromarray(overlay(found["image"], found["labels"], found["palette"])).save(drawn)
        (out / "classes.txt").write_text("\n".join(found["shares"]) + "\n", encoding="utf-8")


def _line(path: Path, shares: Mapping[str, float]) -> str:
    """The classes with the largest shares, for a terminal."""
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:MAIN_CLASSES]
    return f"{'  '.join(f'{share:6.1%} {printable(name)}' for name, share in ranked)}  {printable(str(path))}"


if __name__ == "__main__":
    main()
