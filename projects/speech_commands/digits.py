"""The Free Spoken Digit recordings (https://github.com/Jakobovski/free-spoken-digit-dataset) as a table of own data."""

import csv
import re
import shutil
import tempfile
from pathlib import Path

from shared.core.errors import UserError
from shared.core.files import writing
from shared.data.archive import extract, is_archive
from shared.data.source import MIRROR, mirror_folder

from .params import Fetch

NAME, URL = "fsdd", "https://github.com/Jakobovski/free-spoken-digit-dataset"
NUM_RECORDINGS = 3000
TEST_INDICES = 5  # recordings 0 to 4 of each speaker and digit are the test split, as its owner says
_FILE = re.compile(r"([0-9])_([a-z]+)_([0-9]+)\.wav")


def bring_digits(folder: Path, params: Fetch) -> None:
    """Puts the recordings below `folder`, and index.csv with path, label, speaker and split. From a mirror only.

    Raises:
        UserError: no mirror, or not all recordings in it.
    """
    mirror = mirror_folder(NAME)
    if mirror is None:
        raise UserError(
            f"{NAME}: no mirror", expected=f"${MIRROR}/{NAME}/ with the recordings, or one archive of them",
            fix=f"download {URL} there, and set {MIRROR}",
        )  # fmt: skip
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        archives = [path for path in sorted(mirror.iterdir()) if is_archive(path)]
        for path in archives:
            extract(path, Path(scratch))
        found = {path.name: path for root in (mirror, Path(scratch)) for path in root.rglob("*.wav")
                 if _FILE.fullmatch(path.name)}  # fmt: skip
        if len(found) != NUM_RECORDINGS:
            raise UserError(
                f"{mirror}: {len(found):,} recordings", expected=f"{NUM_RECORDINGS:,}, as of version 1.0.10"
            )
        (folder / "recordings").mkdir()
        with (folder / "index.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["path", "label", "speaker", "split"])
            for name, path in sorted(found.items()):
                shutil.copyfile(path, folder / "recordings" / name)
                digit, speaker, index = _FILE.fullmatch(name).groups()  # type: ignore[union-attr]
                split = "test" if int(index) < TEST_INDICES else "train"
                table.writerow([f"recordings/{name}", digit, speaker, split])
