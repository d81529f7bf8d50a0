"""CoNLL-2003, English (Tjong Kim Sang & De Meulder 2003): newswire with persons, places, organisations and the rest.

The annotation is public, the text is Reuters' and licensed for research: nobody may hand it out, so it is looked for in
$DATASET_MIRROR and never downloaded.
"""

import gzip
import hashlib
import zlib
from pathlib import Path

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.data.source import MIRROR, mirror_folder

NAME = "conll2003"
URL = "https://www.clips.uantwerpen.be/conll2003/ner/"
FILES = {  # sha256, not compressed
    "eng.train": "eac0822f501353f265383ddf1edb0dcd42a1b6eefd3e383d7074db98c38eb41c",
    "eng.testa": "aedc4ccbd1ae9795feaa0e86fe72d195b0258abed9d705b630d1c889276fac1e",
    "eng.testb": "0632f32c090ef31c223135b7fee3187a7cf8e65c4015c7866bb7783428cdd9a6",
}


def bring_conll2003(folder: Path) -> None:
    """Puts the three files below `folder`, plain, each verified.

    Raises:
        UserError: there is no mirror, a file is missing or is not the official one.
    """
    mirror = mirror_folder(NAME)
    if mirror is None:
        raise UserError(
            f"{NAME}: not in ${MIRROR}, and free for nobody to hand out (the text is Reuters')",
            expected=f"{', '.join(FILES)} (plain or .gz) in ${MIRROR}/{NAME}/",
            fix=f"build them as {URL} says, from Reuters RCV1; put them there and run again",
        )
    print(f"{NAME}: from {show(mirror)}")
    problems = Problems(show(mirror))
    found = {name: _read(mirror, name, problems) for name in FILES}
    problems.raise_if_any(fix=f"build the files again as {URL} says")
    for name, data in found.items():
        (folder / name).write_bytes(data)


def _read(mirror: Path, name: str, problems: Problems) -> bytes:
    paths = [*sorted(mirror.rglob(name)), *sorted(mirror.rglob(f"{name}.gz"))]
    if not paths:
        problems.add(name, f"no such file, nor {name}.gz")
        return b""
    data = paths[0].read_bytes()
    try:
        data = gzip.decompress(data) if paths[0].suffix == ".gz" else data
    except (OSError, EOFError, zlib.error):
        problems.add(paths[0].name, "damaged, expected a gzip file")
        return b""
    if (checksum := hashlib.sha256(data).hexdigest()) != FILES[name]:
        problems.add(paths[0].name, f"wrong checksum: found {checksum}, expected {FILES[name]} of {name}")
    return data
