"""New images from the trained generator, from the shell and from Python.

    python -m projects.fashion_gan.predict out.png                              # one image
    python -m projects.fashion_gan.predict out.png --seed 3 --number 16         # sixteen, in one picture
    python -m projects.fashion_gan.predict folder/ --number 100                 # a file an image
    python -m projects.fashion_gan.predict out.png --class Sandal --number 8    # of one class

    from projects.fashion_gan.predict import load_sampler
    images = load_sampler()(seed=3, number=16)    # (16, C, S, S) uint8

An image is a function of the seed and its number alone: asking for more of them changes none.
"""

import argparse
import difflib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import Project

if TYPE_CHECKING:  # takes seconds: --help must not wait for it
    from torch import Tensor

PROJECT = Project.of(__file__)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BLOCK = 16  # images go through the network in blocks of this size, filled up: the same sums for any number of them


def load_sampler(folder: Path | None = None) -> "Callable[..., Tensor]":
    """`sample(seed=0, number=1, class_name=None)` -> (number, C, S, S) uint8: the first images of a seed, of a class or
    of classes as frequent as in the training images. Raises UserError on a class that the generator does not know.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import torch
    from torch.nn import functional as F

    from .data import Latent, draw_latent
    from .model import generate, load_model

    networks, config = load_model(folder or PROJECT.results("train"))
    form = config["model"]["latent_size"], config["class_counts"]

    def sample(seed: int = 0, number: int = 1, class_name: str | None = None) -> "Tensor":
        drawn = [draw_latent(seed, 1, *form, "predict", index) for index in range(number)]
        noise, label, place = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        if class_name is not None:
            label = torch.full((number,), class_index(class_name, config["classes"], config["model"]["conditional"]))
        fill = -number % BLOCK
        filled = Latent(F.pad(noise, (0, 0, 0, fill)), F.pad(label, (0, fill)), place)
        return generate(networks["generator"], filled, BLOCK)[:number]

    return sample


def class_index(name: str, classes: Sequence[str], conditional: bool) -> int:
    """Raises UserError where there is no such class, or the generator is not conditional."""
    if not conditional or len(classes) == 1:
        raise UserError(f"class {name!r}: this generator is not conditional", fix="leave the class out")
    if name not in classes:
        near = difflib.get_close_matches(name, classes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        raise UserError(f"no class {name!r}", expected=", ".join(classes), fix=hint)
    return list(classes).index(name)


def save(out: str, images: "Tensor", seed: int) -> None:
    """Writes one picture of all images, or a file each into a folder. Raises UserError where that cannot be written."""
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    path = Path(out)
    if path.suffix:
        files = {path: make_grid(images, math.ceil(math.sqrt(len(images))), padding=0)}
    else:
        files = {path / f"seed{seed}_{number:04}.png": image for number, image in enumerate(images)}
    try:
        for file, pixels in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            to_pil_image(pixels).save(file)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}", fix="name another place") from None


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog=f"python -m projects.{PROJECT.name}.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="a picture of all images (.png, .jpg, .webp, .bmp), or a folder: a file each")
    parser.add_argument("--seed", type=int, default=0, help="what the images are drawn from (default 0)")
    parser.add_argument("--number", type=int, default=1, metavar="N", help="of images (default 1)")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="of all images")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if arguments.number < 1:
        parser.error(f"--number {arguments.number}: at least 1")
    if Path(arguments.out).suffix.lower() not in ("", *SUFFIXES):
        parser.error(f"{arguments.out}: ends in none of {', '.join(SUFFIXES)}; a folder's name has no dot")
    images = load_sampler(arguments.model)(arguments.seed, arguments.number, arguments.class_name)
    save(arguments.out, images, arguments.seed)
    print(f"{arguments.out}: {len(images)} image{'s' * (len(images) > 1)} of {images.shape[-1]} px a side")


if __name__ == "__main__":
    with errors_for_people():
        main()
