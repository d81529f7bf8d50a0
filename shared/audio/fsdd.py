"""The Free Spoken Digit recordings (https://github.com/Jakobovski/free-spoken-digit-dataset), from a mirror only."""

import re
from pathlib import Path
from typing import NamedTuple

from shared.core.errors import UserError
from shared.data.archive import extract, is_archive
from shared.data.source import MIRROR, mirror_folder

NAME, URL = "fsdd", "https://github.com/Jakobovski/free-spoken-digit-dataset"
NUM_RECORDINGS = 3000
TEST_NUMBERS = 5  # recordings 0 to 4 of each speaker and digit are the test split, as its owner says
_FILE = re.compile(r"([0-9])_([a-z]+)_([0-9]+)\.wav")


class SpokenDigit(NamedTuple):
    """A recording of `digit`, "0" to "9". The official split is by `number`: below TEST_NUMBERS is test."""

    path: Path
    digit: str
    speaker: str
    number: int

    def split(self, test_speakers: list[str]) -> str:
        """train or test: of the speakers named everything is test; where none is named, the official split holds."""
        is_test = self.speaker in test_speakers if test_speakers else self.number < TEST_NUMBERS
        return "test" if is_test else "train"


def find_spoken_digits(scratch: Path, test_speakers: list[str]) -> list[SpokenDigit]:
    """All recordings of the mirror, in the order of their names.

    Args:
        scratch: an empty folder, where archives of the mirror are unpacked.
        test_speakers: are checked to be among the speakers.

    Raises:
        UserError: no mirror, not all recordings in it, or a speaker that is not among them.
    """
    mirror = mirror_folder(NAME)
    if mirror is None:
        raise UserError(
            f"{NAME}: no mirror", expected=f"${MIRROR}/{NAME}/ with the recordings, or one archive of them",
            fix=f"download {URL} there, and set {MIRROR}",
        )  # fmt: skip
    for path in sorted(mirror.iterdir()):
        if is_archive(path):
            extract(path, scratch)
    paths = {path.name: path for root in (mirror, scratch) for path in root.rglob("*.wav")}
    found = [
        SpokenDigit(path, match[1], match[2], int(match[3]))
        for name, path in sorted(paths.items())
        if (match := _FILE.fullmatch(name))
    ]
    if len(found) != NUM_RECORDINGS:
        raise UserError(f"{mirror}: {len(found):,} recordings", expected=f"{NUM_RECORDINGS:,}, as of version 1.0.10")
    speakers = {one.speaker for one in found}
    if unknown := sorted(set(test_speakers) - speakers):
        raise UserError(f"fetch.test_speakers: {', '.join(unknown)}", expected=f"some of {', '.join(sorted(speakers))}")
    return found
