"""Fetch stage: the embedded sample or strings of spoken digits -> data/raw/speech_ctc/.

    python -m projects.speech_ctc.fetch                        # as params.yaml says: the sample, no network
    DATASET_MIRROR=../datasets python -m projects.speech_ctc.fetch fetch.source=digits   # Free Spoken Digits

Both lie there as your own data would: recordings, a table of path, text, speaker and split, and words.csv, which says
when each word is said. A copy for your own data has no such stage: put them where `prepare` looks, see data/README.md.
"""

from shared.core.cli import answer_help
from shared.data.source import fetch_stage

from .digits import bring_strings
from .params import Params
from .sample import write_sample

if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "digits": bring_strings}, Params, __file__)
