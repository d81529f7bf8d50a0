"""Fetch stage: the embedded digits or an official data set -> data/raw/fashion_gan/.

    python -m projects.fashion_gan.fetch                                              # the sample, no network
    python -m projects.fashion_gan.fetch fetch.source=official                        # Fashion-MNIST, 30 MB
    python -m projects.fashion_gan.fetch fetch.source=official fetch.dataset=cifar10  # CIFAR-10, 170 MB; or mnist

Official files are looked for in $DATASET_MIRROR first, and each is verified. With data of your own this stage goes.
"""

from functools import partial
from pathlib import Path

from shared.core.cli import run
from shared.core.paths import Project
from shared.data.source import fetch

from .params import Fetch, Params


def main(params: Params) -> None:
    assert params.fetch is not None, "own data are not fetched"
    fetch(Project.of(__file__), params.fetch.source, partial(_bring, params.fetch))


def _bring(params: Fetch, folder: Path) -> None:
    # Imported where needed: neither source should cost the other's start.
    if params.source == "sample":
        from .sample import write_sample

        write_sample(folder)
    else:
        from shared.data.source import bring

        from .official import OFFICIAL

        bring(OFFICIAL[params.dataset], folder)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
