"""Prepare stage: data/raw/imdb_sentiment/ -> data/prepared/imdb_sentiment/ (tokens for training).

    python -m projects.imdb_sentiment.prepare                         # as params.yaml says
    python -m projects.imdb_sentiment.prepare prepare.max_tokens=200  # shorter texts

Accepts, and detects automatically:
    <name>.csv, .tsv, .jsonl, .json      a text and its class per row, in the columns prepare.text_column, label_column
    {train,valid,test}.csv, .tsv, ...    the same, split already; valid and test may be missing
    <class>/<name>.txt                   one file per text, one folder per class
    {train,valid,test}/<class>/...       the same, split already

Any of them may be gzipped (.gz), UTF-8 or UTF-16, with any separator. A column `split` is obeyed where no name of a
file says it; columns without names are called 1, 2, ... What has no valid or test part is split by
prepare.valid_fraction and prepare.test_fraction. Everything wrong with the data is listed at once, and nothing is
written then.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torchtext is imported, which takes seconds

from pathlib import Path
from typing import Any

from shared.core.cli import run_stage
from shared.core.paths import Project
from shared.text import classes

from .params import Params


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit your own texts. Raises one UserError with everything that is wrong."""
    return classes.suggest(root)


def main(params: Params) -> None:
    classes.prepare(Project.of(__file__), params.prepare)


if __name__ == "__main__":
    run_stage(main, Params, __file__)
