"""Fetch stage: the embedded sample, Speech Commands or the Free Spoken Digits -> data/raw/speech_commands/.

    python -m projects.speech_commands.fetch                       # as params.yaml says: the sample, no network
    python -m projects.speech_commands.fetch fetch.source=official # Speech Commands 2, 2.4 GB
    DATASET_MIRROR=../datasets python -m projects.speech_commands.fetch fetch.source=fsdd   # from a mirror

All lie there as your own data would: the sample and Speech Commands as a folder a class, the digits as recordings and
a table of path, label, speaker and split. A copy for your own data has no such stage: put them where
`prepare` looks, see data/README.md.
"""

from shared.core.cli import answer_help
from shared.data.source import fetch_stage

from .digits import bring_digits
from .official import bring_commands
from .params import Params
from .sample import write_sample

if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": bring_commands, "fsdd": bring_digits}, Params, __file__)
