"""Fetch stage: the embedded digits or Fashion-MNIST -> data/raw/fashion_gan/.

    python -m projects.fashion_gan.fetch                          # the sample, no network
    python -m projects.fashion_gan.fetch fetch.source=official    # Fashion-MNIST, 30 MB

Official files are looked for in $DATASET_MIRROR first, and each is verified. With data of your own this stage goes.
"""

from pathlib import Path

from shared.core.cli import answer_help
from shared.data.source import bring, fetch_stage
from shared.image.digits import write_digits
from shared.image.official import OFFICIAL

from .params import Fetch, Params


def sample(folder: Path, params: Fetch) -> None:
    write_digits(folder)


def official(folder: Path, params: Fetch) -> None:
    bring(OFFICIAL["fashion_mnist"], folder)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": sample, "official": official}, Params, __file__)
