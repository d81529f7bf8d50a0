"""New images from the trained generator, from the shell and from Python.

    python -m projects.fashion_gan.predict out.png                              # one image
    python -m projects.fashion_gan.predict out.png --seed 3 --number 16         # sixteen, in one picture
    python -m projects.fashion_gan.predict folder/ --number 100                 # a file an image
    python -m projects.fashion_gan.predict out.png --class Sandal --number 8    # of one class
    python -m projects.fashion_gan.predict folder/ --number 100 --json          # one JSON object a file, for programs

    from projects.fashion_gan.predict import load_predictor
    images = load_predictor()(seed=3, number=16)    # (16, C, S, S) uint8

An image is a function of the seed and its number alone: asking for more of them changes none.
"""

import argparse
import difflib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import Project

if TYPE_CHECKING:  # takes seconds: --help must not wait for it
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BLOCK = 16  # images go through the network in blocks of this size, filled up: the same sums for any number of them


def load_predictor(folder: Path | None = None) -> "Callable[..., Tensor]":
    """`sample(seed=0, number=1, class_name=None)` -> (number, C, S, S) uint8: the first images of a seed, of a class or
    of classes as frequent as in the training images. Raises UserError on a class that the generator does not know.

    Args:
        folder: of the weights; None: what the train stage left. Raises UserError where there are none.
    """
    import torch
    from torch.nn import functional as F

    from .data import Latents
    from .model import generate, load_model

    networks, config = load_model(folder or Project.of(__file__).folder / "results" / "train")

    def sample(seed: int = 0, number: int = 1, class_name: str | None = None) -> "Tensor":
        drawn = [Latents(config, seed).draw(1, "predict", index) for index in range(number)]
        latent = {name: torch.cat([one[name] for one in drawn]) for name in ("noise", "label")}
        if class_name is not None:
            latent["label"].fill_(class_index(class_name, config["classes"] if config["model"]["conditional"] else []))
        fill = -number % BLOCK
        filled = {"noise": F.pad(latent["noise"], (0, 0, 0, fill)), "label": F.pad(latent["label"], (0, fill))}
        return generate(networks.get_submodule("generator"), filled, BLOCK)[:number]

    return sample


def class_index(name: str, classes: list[str]) -> int:
    """Raises UserError where there is no such class."""
    if name in classes:
        return classes.index(name)
    near = difflib.get_close_matches(name, classes, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "" if classes else "leave it out: the generator has no classes"
    raise UserError(f"no class {name!r}", expected=", ".join(classes), fix=hint)


def main(words: Sequence[str] | None = None) -> None:
    from_file = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m projects.fashion_gan.predict", None, __doc__, formatter_class=from_file)
    parser.add_argument("out", help="a picture of all images (.png, .jpg, .webp, .bmp), or a folder: a file each")
    parser.add_argument("--seed", type=int, default=0, help="what the images are drawn from (default 0)")
    parser.add_argument("--number", type=int, default=1, metavar="N", help="of images (default 1)")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="of all images")
    parser.add_argument("--json", action="store_true", help="one JSON object a file, for programs")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    given = parser.parse_args(words)
    path = Path(given.out)
    if given.number < 1:
        parser.error(f"--number {given.number}: at least 1")
    if path.suffix.lower() not in ("", *SUFFIXES):
        parser.error(f"{given.out}: ends in none of {', '.join(SUFFIXES)}; a folder's name has no dot")
    images = load_predictor(given.model)(given.seed, given.number, given.class_name)
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    files = {path / f"seed{given.seed}_{number:04}.png": image for number, image in enumerate(images)}
    if path.suffix:
        files = {path: make_grid(images, math.ceil(math.sqrt(len(images))), padding=0)}
    try:
        for file, pixels in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            to_pil_image(pixels).save(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", fix="name another place") from None
    if given.json:
        drawn = {"seed": given.seed, "class": given.class_name, "number": len(images) if path.suffix else 1}
        print("\n".join(json.dumps({"file": str(file)} | drawn, ensure_ascii=False) for file in files))
        return
    print(f"{given.out}: {len(images)} image{'s' * (len(images) > 1)} of {images.shape[-1]} px a side")


if __name__ == "__main__":
    with errors_for_people():
        main()
