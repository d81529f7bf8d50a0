"""Fetch stage: the embedded digits or Fashion-MNIST -> data/raw/fashion_gan/.

    python -m projects.fashion_gan.fetch                          # the sample, no network
    python -m projects.fashion_gan.fetch fetch.source=official    # Fashion-MNIST, 30 MB

Official files are looked for in $DATASET_MIRROR first, and each is verified. With data of your own this stage goes.
"""

from pathlib import Path

from shared.core.cli import run
from shared.core.paths import Project
from shared.data.raw import fetch
from shared.data.source import bring
from shared.image.mnist import OFFICIAL

from .params import Params
from .sample import write_sample


def main(params: Params) -> None:
    def write(folder: Path) -> None:
        write_sample(folder) if params.fetch.source == "sample" else bring(OFFICIAL["fashion_mnist"], folder)

    fetch(Project.of(__file__), params.fetch.source, write)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
