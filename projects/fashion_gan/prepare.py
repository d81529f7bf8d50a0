"""Prepare stage: data/raw/fashion_gan/ -> data/prepared/fashion_gan/ (tables for training).

    python -m projects.fashion_gan.prepare                         # as params.yaml says
    python -m projects.fashion_gan.prepare prepare.image_size=32   # larger squares

Accepts, and recognises by itself:
    <image>                          images of any format and size in one folder, without classes
    <class>/...                      a folder a class
    {train,valid,test}/...           either, split already; valid and test may be missing

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Files become
squares as prepare.fit, prepare.ground and prepare.white say; what is lost is counted and printed. Everything wrong
with the data is listed at once, and nothing is written then.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.core.cli import answer_help, run_stage
from shared.core.errors import UserError
from shared.core.paths import Project, show
from shared.image import classes

from .params import Params, num_doublings

LEAST = {"train": 16, "test": 10}  # images: fewer would be memorised, and the metrics would mean nothing
BATCH_SIZE, UPDATES, GRIDS = 64, 4000, 20  # suggested for your own images: about what the sample takes


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


def check_counts(root: Path, counts: Mapping[str, int]) -> None:
    """Raises UserError where a split has too few images."""
    for split, least in LEAST.items():
        found = counts.get(split, 0)
        if found < least:
            raise UserError(
                f"{show(root)}: {found} image{'' if found == 1 else 's'} for {split}",
                expected=f"at least {LEAST['train']} for train and {LEAST['test']} for test; hundreds to learn from",
                fix="add images",
            )


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own images. Raises one UserError with everything that is wrong."""
    values, data = classes.suggest(root, labelled=False)
    side = max(size for size in range(8, values["prepare.image_size"] + 1) if num_doublings(size))
    counts = {name: len(split["id"]) for name, split in data.splits(classes.SUGGESTED_SPLITS).items()}
    check_counts(root, counts)
    batch = min(BATCH_SIZE, counts["train"] // 2)
    epochs = math.ceil(UPDATES / (counts["train"] // batch))
    return values | {
        "prepare.image_size": side,
        "train.batch_size": batch,
        "train.micro_batch_size": batch,
        "train.epochs": float(epochs),
        "train.sample_epochs": float(math.ceil(epochs / GRIDS)),
    }


def main(params: Params) -> None:
    project = Project.of(__file__)
    check_size(params.prepare.image_size)
    data = classes.read(project.raw, params.prepare, labelled=False)
    check_counts(project.raw, {name: len(split["id"]) for name, split in data.splits(params.prepare).items()})
    classes.leave_images(project.prepared, data, params.prepare)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
