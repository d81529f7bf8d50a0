"""Fetch stage: the embedded sample or the official IMDB reviews -> data/raw/imdb_sentiment/.

    python -m projects.imdb_sentiment.fetch                         # as params.yaml says: the sample, no network
    python -m projects.imdb_sentiment.fetch fetch.source=official   # IMDB, 84 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.imdb_sentiment.fetch fetch.source=official   # or from a mirror

Both become train.jsonl and test.jsonl: id, text, label a line. With data of your own this stage goes: put it where
`prepare` looks, see data/README.md.
"""

from shared.core.cli import answer_help
from shared.data.source import fetch_stage

from .official import write_official
from .params import Params
from .sample import write_sample

if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": write_official}, Params, __file__)
