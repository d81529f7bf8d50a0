"""The Free Spoken Digit recordings as a table of own data."""

import shutil
import tempfile
from pathlib import Path

from shared.audio.fsdd import find_spoken_digits
from shared.core.files import write_tsv, writing

from .params import Fetch


def bring_digits(folder: Path, params: Fetch) -> None:
    """Puts the recordings below `folder`, and index.csv with path, label, speaker and split. From a mirror only.

    Raises:
        UserError: see `find_spoken_digits`.
    """
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        found = find_spoken_digits(Path(scratch), params.test_speakers)
        (folder / "recordings").mkdir()
        rows = []
        for one in found:
            name = f"recordings/{one.path.name}"
            shutil.copyfile(one.path, folder / name)
            rows.append([name, one.digit, one.speaker, one.split(params.test_speakers)])
        write_tsv(folder / "index.csv", ["path", "label", "speaker", "split"], rows)
