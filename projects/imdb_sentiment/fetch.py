"""Fetch stage: the embedded sample or the official IMDB reviews -> data/raw/imdb_sentiment/.

    python -m projects.imdb_sentiment.fetch                         # as params.yaml says: the sample, no network
    python -m projects.imdb_sentiment.fetch fetch.source=official   # IMDB, 84 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.imdb_sentiment.fetch fetch.source=official   # or from a mirror

Both become train.jsonl and test.jsonl: id, text, label a line. With data of your own this stage goes: put it where
`prepare` looks, see data/README.md.
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
        from .official import write_official

        write_official(folder)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
