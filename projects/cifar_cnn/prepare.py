"""Prepare stage: data/raw/cifar_cnn/ -> data/prepared/cifar_cnn/ (tables for training).

    python -m projects.cifar_cnn.prepare                         # as params.yaml says
    python -m projects.cifar_cnn.prepare prepare.image_size=64   # larger squares

Accepts, and detects automatically:
    <class>/...                      images of any format and size, one folder per class
    {train,valid,test}/<class>/...   the same, split already; valid and test may be missing
    evidence/<class>/<image>         beside either: masks of the object, for every test image

What has no valid or test folder is split by prepare.valid_fraction and prepare.test_fraction. Files become
squares as prepare.fit, prepare.ground and prepare.white say; what is lost is counted and printed. Everything wrong
with the data is listed at once, and nothing is written then.
"""

from pathlib import Path
from typing import Any

from shared.core.cli import answer_help, run_stage
from shared.core.paths import Project
from shared.image import classes

from .params import Params

SMALL = 0.75  # of the side: how much smaller the first epochs may see the images


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own images. Raises one UserError with everything that is wrong."""
    values, data = classes.suggest(root)
    values |= {"train.small_px": max(16, round(SMALL * values["prepare.image_size"]))}
    for first, second in (pairs := classes.mirrored_classes(data)):
        print(f"{first} mirrored looks like {second}: train.flip is false, so that training mirrors none.")
    return values | ({"train.flip": False} if pairs else {})


def main(params: Params) -> None:
    classes.prepare(Project.of(__file__), params.prepare)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
