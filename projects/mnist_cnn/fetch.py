"""Fetch stage: the embedded digits or official MNIST -> data/raw/mnist_cnn/.

    python -m projects.mnist_cnn.fetch                                                   # the sample, no network
    python -m projects.mnist_cnn.fetch fetch.source=official                             # MNIST, 11 MB from a mirror
    python -m projects.mnist_cnn.fetch fetch.source=official fetch.dataset=fashion_mnist # Fashion-MNIST, 30 MB

Official files are looked for in $DATASET_MIRROR first, and each is verified. With data of your own this stage goes.
"""

import json
from pathlib import Path

from shared.files import replace_folder
from shared.paths import Project, show
from shared.stage import run

from .params import Fetch, Params


def main(params: Params) -> None:
    """Replaces the raw data, which appear whole or not at all."""
    target = Project.of(__file__).raw
    with replace_folder(target) as folder:
        _bring(params.fetch, folder)
        (folder / "source.json").write_text(json.dumps({"source": params.fetch.source}) + "\n")
    print(f"fetch: {params.fetch.source} -> {show(target)}")


def _bring(params: Fetch, folder: Path) -> None:
    # Imported where needed: neither source should cost the other's start.
    if params.source == "sample":
        from .sample import write_sample

        write_sample(folder)
    else:
        from shared.data.sources import bring

        from .official import OFFICIAL

        bring(OFFICIAL[params.dataset], folder)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
