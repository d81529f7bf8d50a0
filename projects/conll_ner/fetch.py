"""Fetch stage: the embedded sample or official CoNLL-2003 -> data/raw/conll_ner/.

    python -m projects.conll_ner.fetch                         # the sample, no network
    python -m projects.conll_ner.fetch fetch.source=official   # CoNLL-2003 from $DATASET_MIRROR, verified

With data of your own this stage goes.
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

        write_sample(folder, params)
    else:
        from .official import bring_conll2003

        bring_conll2003(folder)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
