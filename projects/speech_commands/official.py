"""Speech Commands version 2 (Warden 2018, arXiv:1804.03209): its archive, verified, unpacked as it is.

35 words; validation_list.txt and testing_list.txt name the official splits, which prepare obeys.
"""

from pathlib import Path

from shared.core.errors import UserError
from shared.core.files import checksum_of, writing
from shared.core.paths import show
from shared.data.archive import extract, is_archive
from shared.data.source import Official, downloaded, mirror_folder

from .params import Fetch

COMMANDS = Official(
    "speech_commands_v0.02",
    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    {},  # its 105,829 recordings have no checksums of their own: the archive's holds for all
)


def bring_commands(folder: Path, params: Fetch) -> None:
    """Unpacks the official archive, of the mirror or of its owner, after its checksum was compared.

    Raises:
        UserError: no mirror and no network, or another archive.
    """
    mirror, checksum = mirror_folder(COMMANDS.name), str(COMMANDS.checksum)
    with writing(folder):
        if mirror is None:
            archive = downloaded(COMMANDS, COMMANDS.url, checksum)
            extract(archive, folder)
            archive.unlink(missing_ok=True)  # the recordings are the stage's out, so DVC keeps them
            return
        archives = [path for path in sorted(mirror.iterdir()) if is_archive(path)]
        for path in archives:
            if checksum_of(path, like=checksum) == checksum:
                extract(path, folder)
                return
        found = ", ".join(path.name for path in archives) or "no archive"
        raise UserError(
            f"{show(mirror)}: {found}", expected=f"the archive with sha256 {checksum}", fix=f"put {COMMANDS.url} there"
        )
