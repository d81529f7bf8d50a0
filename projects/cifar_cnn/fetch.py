"""Fetch stage: the embedded sample or the official CIFAR-10 -> data/raw/cifar_cnn/.

    python -m projects.cifar_cnn.fetch                         # as params.yaml says: the sample, no network
    python -m projects.cifar_cnn.fetch fetch.source=official   # CIFAR-10, 170 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.cifar_cnn.fetch fetch.source=official   # or from a mirror

The sample is a folder of images with the masks of its objects; CIFAR-10 is `cifar-10-batches-py/`, each file
verified. With data of your own this stage goes: put it where `prepare` looks, see data/README.md.
"""

from functools import partial
from pathlib import Path

from shared.core.cli import run
from shared.core.paths import Project
from shared.data.raw import fetch

from .params import Fetch, Params


def main(params: Params) -> None:
    assert params.fetch is not None, "own data are not fetched"
    fetch(Project.of(__file__), params.fetch.source, partial(_bring, params.fetch))


def _bring(params: Fetch, folder: Path) -> None:
    # Imported where needed: neither source should cost the other's start.
    if params.source == "sample":
        from .sample import write_sample

        write_sample(folder, params)
    else:
        from shared.data.source import bring
        from shared.image.cifar import CIFAR10

        bring(CIFAR10, folder)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
