"""Prepare stage: data/raw/imdb_sentiment/ -> data/prepared/imdb_sentiment/ (tokens for training).

    python -m projects.imdb_sentiment.prepare                         # as params.yaml says
    python -m projects.imdb_sentiment.prepare prepare.max_tokens=200  # shorter texts

Accepts, and recognises by itself:
    <name>.csv, .tsv, .jsonl             a text and a class name a row, in the columns prepare.text_column, label_column
    {train,valid,test}.csv, .tsv, .jsonl the same, split already; valid and test may be missing
    <class>/<name>.txt                   a file a text, a folder a class
    {train,valid,test}/<class>/...       the same, split already

Any of them may be packed (.gz). What has no valid or test part is split by prepare.valid_fraction and
prepare.test_fraction. Everything wrong with the data is listed at once, and nothing is written then.
"""

import time
from pathlib import Path
from typing import Any

from shared.core.cli import run
from shared.core.paths import Project, show
from shared.text import classes as text_classes
from shared.text.params import PrepareTexts

from .params import Params

PROJECT = Project.of(__file__)


def read(root: Path, params: PrepareTexts) -> text_classes.TextClasses:
    """All of the raw data. Raises one UserError with everything that is wrong."""
    return text_classes.read(root, params)


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit one's own texts. Raises one UserError with everything that is wrong."""
    return text_classes.suggest(root)


def main(params: Params) -> None:
    """Reads everything, and only then replaces the prepared data."""
    start = time.perf_counter()
    data = read(PROJECT.raw, params.prepare)
    manifest = text_classes.write(PROJECT.prepared, data, params.prepare)
    for line in text_classes.describe(data, manifest):
        print(line)
    print(f"prepare: -> {show(PROJECT.prepared)} in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
