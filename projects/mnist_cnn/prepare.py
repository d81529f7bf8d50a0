"""Prepare stage: data/raw/mnist_cnn/ -> data/prepared/mnist_cnn/ (arrays for training).

    python -m projects.mnist_cnn.prepare                         # as params.yaml says
    python -m projects.mnist_cnn.prepare prepare.image_size=32   # larger squares

Accepts, and recognises by itself:
    <class>/...                      images of any format and size, a folder a class
    {train,valid,test}/<class>/...   the same, split already; valid and test may be missing

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Everything wrong
with the data is listed at once, and nothing is written then.
"""

from pathlib import Path
from typing import Any

from shared.core.cli import run
from shared.core.paths import Project
from shared.image import classes as image_classes
from shared.image.mnist import LABELS, TRAIN, read_official
from shared.image.params import PrepareImages

from .params import Params

PROJECT = Project.of(__file__)


def read(root: Path, params: PrepareImages) -> image_classes.ImageClasses:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    if (root / LABELS.format(TRAIN)).exists():
        return image_classes.from_official(*read_official(root), params)
    return image_classes.read_folder(root, params)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of one's own images. Raises one UserError with everything that is wrong."""
    return image_classes.suggest(root)


def main(params: Params) -> None:
    image_classes.prepare(PROJECT, read, params.prepare)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
