"""Prepare stage: data/raw/fashion_gan/ -> data/prepared/fashion_gan/ (arrays that training reads as they are).

    python -m projects.fashion_gan.prepare                         # as params.yaml says
    python -m projects.fashion_gan.prepare prepare.image_size=32   # larger squares

Accepts, and recognises by itself:
    <image>                          images of any format and size in one folder, without classes
    <class>/...                      a folder a class
    {train,valid,test}/...           either, split already; valid and test may be missing

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Everything wrong
with the data is listed at once, and nothing is written then.
"""

import math
from pathlib import Path
from typing import Any

from shared.core.cli import run
from shared.core.errors import UserError
from shared.core.paths import Project, show
from shared.image import classes as image_classes
from shared.image.mnist import LABELS, TRAIN, read_official  # fetch
from shared.image.params import PrepareImages

from .params import Params, num_doublings

PROJECT = Project.of(__file__)
LEAST_TRAIN, LEAST_TEST = 16, 10  # images: fewer would be memorised, and the metrics would mean nothing
BATCH_SIZE, UPDATES, GRIDS = 64, 4000, 20  # suggested for one's own images: about what the sample takes


def read(root: Path, params: PrepareImages) -> image_classes.ImageClasses:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    check_size(params.image_size)
    if (root / LABELS.format(TRAIN)).exists():  # fetch
        data = image_classes.from_official(*read_official(root), params)
    else:
        data = image_classes.read_folder(root, params, labelled=False)
    for name, least in (("train", LEAST_TRAIN), ("test", LEAST_TEST)):
        found = len(data.splits[name]) if name in data.splits else 0
        if found < least:
            raise UserError(
                f"{show(root)}: {found} image{'' if found == 1 else 's'} for {name}",
                expected=f"at least {LEAST_TRAIN} for train and {LEAST_TEST} for test; hundreds to learn from",
                fix="add images",
            )
    return data


def check_size(side: int) -> None:
    """Raises UserError on a side that the generator cannot make, naming the next ones that it can."""
    if num_doublings(side) is None:
        below = max(size for size in range(8, side) if num_doublings(size))
        above = next(size for size in range(side, 2 * side) if num_doublings(size))
        raise UserError(
            f"prepare.image_size: {side} px cannot be made by doubling 4, 5, 6 or 7 px",
            expected=f"{below} or {above}",
            fix=f"prepare.image_size={above}",
        )


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of one's own images. Raises one UserError with everything that is wrong."""
    values = image_classes.suggest(root, labelled=False)
    side = max(size for size in range(8, values["prepare.image_size"] + 1) if num_doublings(size))
    number = len(read(root, image_classes.SUGGESTED_SPLITS).splits["train"])
    batch = min(BATCH_SIZE, number // 2)
    epochs = math.ceil(UPDATES / (number // batch))
    return values | {
        "prepare.image_size": side,
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(epochs),
        "train.sample_epochs": float(math.ceil(epochs / GRIDS)),
    }


def main(params: Params) -> None:
    image_classes.prepare(PROJECT, read, params.prepare)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
