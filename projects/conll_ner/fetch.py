"""Fetch stage: the embedded sample or official CoNLL-2003 -> data/raw/conll_ner/.

    python -m projects.conll_ner.fetch                         # as params.yaml says: the sample, no network
    python -m projects.conll_ner.fetch fetch.source=official   # CoNLL-2003 from $DATASET_MIRROR, verified

CoNLL-2003, English (Tjong Kim Sang & De Meulder 2003) is newswire with persons, places, organisations and the rest. Its
text is Reuters' and licensed for research: nobody may offer it for download, so it is looked for in the mirror alone.
With data of your own this stage goes: put it where `prepare` looks, see data/README.md.
"""

import gzip
import zlib
from pathlib import Path

from shared.core.cli import answer_help
from shared.core.errors import UserError
from shared.core.paths import show
from shared.data.source import MIRROR, Official, fetch_stage, mirror_folder, verify

from .params import Fetch, Params
from .sample import write_sample

CONLL = Official(
    name="conll2003",
    url="https://www.clips.uantwerpen.be/conll2003/ner/",
    checksum=None,
    files={
        "eng.train": "eac0822f501353f265383ddf1edb0dcd42a1b6eefd3e383d7074db98c38eb41c",
        "eng.testa": "aedc4ccbd1ae9795feaa0e86fe72d195b0258abed9d705b630d1c889276fac1e",
        "eng.testb": "0632f32c090ef31c223135b7fee3187a7cf8e65c4015c7866bb7783428cdd9a6",
    },
)


def official(folder: Path, params: Fetch) -> None:
    """The three files, plain, each verified. Raises UserError: no mirror, files that are missing, damaged or others."""
    mirror = mirror_folder(CONLL.name)
    if mirror is None:
        raise UserError(
            f"{CONLL.name}: not in ${MIRROR}, and nobody may offer it for download (the text is Reuters')",
            expected=f"{', '.join(CONLL.files)} (plain or .gz) in ${MIRROR}/{CONLL.name}/",
            fix=f"build them as {CONLL.url} says, from Reuters RCV1; put them there and run again",
        )
    print(f"{CONLL.name}: from {show(mirror)}")
    for name in CONLL.files:
        for path in sorted([*mirror.rglob(name), *mirror.rglob(f"{name}.gz")])[:1]:
            (folder / name).write_bytes(_plain(path))
    verify(CONLL, folder)


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{show(path)}: damaged, expected a gzip file", fix="build it again") from None


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
