"""Prepare stage: data/raw/speech_commands/ -> data/prepared/speech_commands/ (tables for training).

    python -m projects.speech_commands.prepare                        # as params.yaml says
    python -m projects.speech_commands.prepare prepare.rate_hz=16000  # another rate

Accepts, and detects automatically:
    <class>/...                      recordings of any rate, depth and number of channels, one folder per class
    {train,valid,test}/<class>/...   the same, split already; valid and test may be missing
    <name>.csv, .tsv, .jsonl         a path and a label per row; columns speaker and split are obeyed where they exist
    evidence.csv                     beside either: path, start_s, end_s, low_hz, high_hz of what decides

WAV, FLAC, OGG, Opus, MP3, AIFF, AU and CAF. Recordings of one speaker (the column, or prepare.speaker_pattern of the
names) stay in one split. What has no valid or test split is split by prepare.valid_fraction and
prepare.test_fraction. Everything wrong with the data is listed at once, and nothing is written then.
"""

from pathlib import Path
from typing import Any

from shared.audio import classes
from shared.core.cli import answer_help, load_params, run_stage
from shared.core.paths import Project

from .params import Params


def suggest(root: Path) -> dict[str, Any]:
    """The params that suit a folder of your own recordings. Raises one UserError with everything that is wrong."""
    return classes.suggest(root, load_params(Params, __file__, []).prepare)


def main(params: Params) -> None:
    classes.prepare(Project.of(__file__), params.prepare)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    run_stage(main, Params, __file__)
