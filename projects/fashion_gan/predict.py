"""New images from the trained generator, from the shell and from Python.

    python -m projects.fashion_gan.predict out.png                              # one image
    python -m projects.fashion_gan.predict out.png --seed 3 --number 16         # sixteen, in one picture
    python -m projects.fashion_gan.predict folder/ --number 100                 # a file an image
    python -m projects.fashion_gan.predict out.png --class 3 --number 8         # of one class
    python -m projects.fashion_gan.predict out.png --grid                       # a row a class, the same noise in each
    python -m projects.fashion_gan.predict out.png --interpolate 3 7 --steps 8  # on the way from seed 3 to seed 7

    from projects.fashion_gan.predict import load_sampler
    images = load_sampler().sample(seed=3, number=16)    # (16, C, S, S) uint8

An image is a function of the seed and its number alone: asking for more of them changes none. What is there already is
left alone, unless --force is given.
"""

import argparse
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import Project, show

if TYPE_CHECKING:  # takes seconds: --help must not wait for it
    from torch import Tensor, nn

PROJECT = Project.of(__file__)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BLOCK = 16  # images go through the network in blocks of this size, filled up: the same sums for any number of them
COLUMNS = 8  # of --grid
STEPS = 8  # of --interpolate


@dataclass(frozen=True)
class Sampler:
    """A trained generator in eval mode, and the config it was trained with (see model.load_model)."""

    generator: "nn.Module"
    config: dict[str, Any]

    def sample(self, seed: int = 0, number: int = 1, class_name: str | None = None) -> "Tensor":
        """(number, C, S, S) uint8: the first images of a seed.

        Args:
            class_name: of all images; None: as the training images are spread.

        Raises:
            UserError: no such class, or the generator knows none.
        """
        noise, label = self._latents(seed, number)
        return self._made(noise, label if class_name is None else self._labels(class_name, number))

    def interpolate(self, start: int, end: int, steps: int = STEPS, class_name: str | None = None) -> "Tensor":
        """(steps, C, S, S) uint8, from the first image of one seed to that of another, of the class of the former.

        Raises:
            UserError: as `sample`.
        """
        from .latent import slerp

        (first, label), (last, _) = (self._latents(seed, 1) for seed in (start, end))
        labels = label.expand(steps) if class_name is None else self._labels(class_name, steps)
        return self._made(slerp(first[0], last[0], steps), labels)

    def classes(self, seed: int = 0, columns: int = COLUMNS) -> "Tensor":
        """(K * columns, C, S, S) uint8: all classes, each with the same noises. Raises UserError without classes."""
        import torch

        names, (noise, _) = self.config["classes"], self._latents(seed, columns)
        labels = [self._labels(name, columns) for name in names]
        return self._made(noise.repeat(len(names), 1), torch.cat(labels))

    @property
    def conditional(self) -> bool:
        """Whether it can be told the class."""
        told: bool = self.config["model"]["conditional"]
        return told and len(self.config["classes"]) > 1

    def _latents(self, seed: int, number: int) -> "tuple[Tensor, Tensor]":
        """Noises (N, L) and labels (N,), each drawn for its number."""
        import torch

        from .model import draw_labels, draw_noise

        size, counts = self.config["model"]["latent_size"], self.config["class_counts"]
        noise = [draw_noise(seed, 1, size, "predict", index) for index in range(number)]
        label = [draw_labels(seed, 1, counts, "predict", index) for index in range(number)]
        return torch.cat(noise), torch.cat(label)

    def _labels(self, class_name: str, number: int) -> "Tensor":
        import torch

        names = self.config["classes"]
        if not self.conditional:
            raise UserError(f"class {class_name!r}: this generator was not told classes", fix="leave the class out")
        if class_name not in names:
            near = difflib.get_close_matches(class_name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise UserError(f"no class {class_name!r}", expected=", ".join(names), fix=hint)
        return torch.full((number,), names.index(class_name))

    def _made(self, noise: "Tensor", label: "Tensor") -> "Tensor":
        from torch.nn import functional as F

        from .model import generate

        missing = -len(noise) % BLOCK
        filled = F.pad(noise, (0, 0, 0, missing)), F.pad(label, (0, missing))
        return generate(self.generator, *filled, BLOCK)[: len(noise)]


def load_sampler(folder: Path | None = None) -> Sampler:
    """The trained generator.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    from .model import load_model

    command = f"dvc repro projects/{PROJECT.name}"
    generator, _, config = load_model(folder or PROJECT.folder / "results" / "train", command)
    return Sampler(generator, config)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --help prints the docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m projects.{PROJECT.name}.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="a picture of all images (.png, .jpg, .webp, .bmp), or a folder: a file each")
    parser.add_argument("--seed", type=int, help="what the images are drawn from (default 0)")
    parser.add_argument("--number", type=int, metavar="N", help="of images; with --grid, in a row (default 1, 8)")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="of all images")
    parser.add_argument("--grid", action="store_true", help="a row a class, the same noise in each")
    parser.add_argument("--interpolate", type=int, nargs=2, metavar="SEED", help="from one seed to another")
    parser.add_argument("--steps", type=int, metavar="N", help=f"of --interpolate, at least 2 (default {STEPS})")
    parser.add_argument("--force", action="store_true", help="write over what is there")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of weights (default: results/train)")
    arguments = parser.parse_args(words)
    if mistake := _mistake(arguments):
        parser.error(mistake)
    return arguments


def _mistake(arguments: argparse.Namespace) -> str:
    """What does not go together; "" where all does."""
    steps, number = arguments.steps, arguments.number
    if number is not None and number < 1:
        return f"--number {number}: at least 1"
    if steps is not None and (steps < 2 or not arguments.interpolate):
        return f"--steps {steps}: at least 2, and with --interpolate"
    if arguments.interpolate and (arguments.grid or number is not None or arguments.seed is not None):
        return "--interpolate: without --grid and --seed, and with --steps in place of --number"
    if arguments.grid and arguments.class_name is not None:
        return "--grid: shows all classes, so it takes no --class"
    if Path(arguments.out).suffix and not is_file(arguments.out) and not is_folder(arguments.out):
        return f"{arguments.out}: ends in none of {', '.join(SUFFIXES)}; a folder's name ends in /"
    if arguments.grid and not is_file(arguments.out):
        return f"{arguments.out}: --grid makes one picture, so name a file"
    return ""


def is_folder(out: str) -> bool:
    """Whether a file an image is wanted."""
    return out.endswith("/") or Path(out).is_dir()


def is_file(out: str) -> bool:
    return not is_folder(out) and Path(out).suffix.lower() in SUFFIXES


def draw(sampler: Sampler, arguments: argparse.Namespace) -> "tuple[Tensor, int, list[str]]":
    """Images, the columns of a picture of them, and the names of files without their suffix."""
    seed = arguments.seed or 0
    if arguments.interpolate:
        start, end = arguments.interpolate
        images = sampler.interpolate(start, end, arguments.steps or STEPS, arguments.class_name)
        return images, len(images), [f"{start}_to_{end}_{index:04}" for index in range(len(images))]
    if arguments.grid and sampler.conditional:
        columns = arguments.number or COLUMNS
        return sampler.classes(seed, columns), columns, []
    number = arguments.number or (COLUMNS**2 if arguments.grid else 1)
    images = sampler.sample(seed, number, arguments.class_name)
    return images, math.ceil(math.sqrt(number)), [f"seed{seed}_{index:04}" for index in range(number)]


def save(out: str, images: "Tensor", columns: int, names: Sequence[str], force: bool) -> None:
    """Writes one picture or a file an image, each whole or not at all.

    Raises:
        UserError: something is there already and `force` is not set, or the disk refuses.
    """
    from .samples import grid, picture

    path = Path(out)
    if is_file(out):
        wanted = {path: grid(images, columns)}
    else:
        wanted = {path / f"{name}.png": image for name, image in zip(names, images, strict=True)}
    there = [file for file in wanted if file.exists()]
    if there and not force:
        raise UserError(f"{show(there[0])}: is there already", fix="name another place, or add --force")
    for file, pixels in wanted.items():
        _write(file, picture(pixels))


def _write(path: Path, image: Any) -> None:
    import io

    from shared.core.files import write_atomic

    file = io.BytesIO()
    image.save(file, {".jpg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:].upper()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"{show(path.parent)}: no folder can be made there: {error.strerror}"
        raise UserError(reason, fix="name another place") from None
    write_atomic(path, file.getvalue())


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    images, columns, names = draw(load_sampler(arguments.model), arguments)
    save(arguments.out, images, columns, names, arguments.force)
    side = images.shape[-1]
    print(f"{arguments.out}: {len(images)} image{'s' if len(images) > 1 else ''} of {side} x {side} px")


if __name__ == "__main__":
    with errors_for_people():
        main()
