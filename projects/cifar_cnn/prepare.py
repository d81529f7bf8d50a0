"""Prepare stage: data/raw/cifar_cnn/ -> data/prepared/cifar_cnn/ (arrays for training).

    python -m projects.cifar_cnn.prepare                         # as params.yaml says
    python -m projects.cifar_cnn.prepare prepare.image_size=64   # larger squares

Accepts, and recognises by itself:
    <class>/...                      images of any format and size, a folder a class
    {train,valid,test}/<class>/...   the same, split already; valid and test may be missing
    evidence/<class>/<image>         beside either: masks of what decides, for every test image

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Everything wrong
with the data is listed at once, and nothing is written then.
"""

from pathlib import Path
from typing import Any

from shared.core.cli import run
from shared.core.paths import Project
from shared.image import classes as image_classes
from shared.image.cifar import FOLDER, read_cifar10
from shared.image.params import PrepareImages

from .params import Params

PROJECT = Project.of(__file__)
SMALL = 0.75  # of the side: how much smaller the first epochs may see the images


def read(root: Path, params: PrepareImages) -> image_classes.ImageClasses:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    if (root / FOLDER).is_dir():
        return image_classes.from_official(*read_cifar10(root), params)
    return image_classes.read_folder(root, params)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of one's own images. Raises one UserError with everything that is wrong."""
    values = image_classes.suggest(root)
    return values | {"train.small_px": max(16, round(SMALL * values["prepare.image_size"]))}


def main(params: Params) -> None:
    image_classes.prepare(PROJECT, read, params.prepare)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
