"""Fetch stage: the embedded digits or official MNIST -> data/raw/mnist_cnn/.

    python -m projects.mnist_cnn.fetch                                                   # the sample, no network
    python -m projects.mnist_cnn.fetch fetch.source=official                             # MNIST, 11 MB from a mirror
    python -m projects.mnist_cnn.fetch fetch.source=official fetch.dataset=fashion_mnist # Fashion-MNIST, 30 MB

Official files are looked for in $DATASET_MIRROR first, and each is verified. With data of your own this stage goes.
"""

from pathlib import Path

from shared.core.cli import answer_help
from shared.data.source import bring, fetch_stage
from shared.image.official import OFFICIAL

from .params import Fetch, Params
from .sample import write_sample


def sample(folder: Path, params: Fetch) -> None:
    write_sample(folder)


def official(folder: Path, params: Fetch) -> None:
    bring(OFFICIAL[params.dataset], folder)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": sample, "official": official}, Params, __file__)
