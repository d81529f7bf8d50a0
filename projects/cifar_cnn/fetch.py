"""Fetch stage: the embedded sample or the official CIFAR-10 -> data/raw/cifar_cnn/.

    python -m projects.cifar_cnn.fetch                         # as params.yaml says: the sample, no network
    python -m projects.cifar_cnn.fetch fetch.source=official   # CIFAR-10, 170 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.cifar_cnn.fetch fetch.source=official   # or from a mirror

The sample is a folder of images with the masks of its objects; CIFAR-10 is `cifar-10-batches-py/`, each file
verified. With data of your own this stage goes: put it where `prepare` looks, see data/README.md.
"""

from pathlib import Path

from shared.core.cli import answer_help
from shared.data.source import bring, fetch_stage
from shared.image.official import OFFICIAL

from .params import Fetch, Params
from .sample import write_sample


def official(folder: Path, params: Fetch) -> None:
    bring(OFFICIAL["cifar10"], folder)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
