"""Fetch stage: the embedded sample or the official Pascal VOC 2007 -> data/raw/voc_detection/.

    python -m projects.voc_detection.fetch                         # as params.yaml says: the sample, no network
    python -m projects.voc_detection.fetch fetch.source=official   # VOC 2007, 900 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.voc_detection.fetch fetch.source=official   # or from a mirror

Both are folders in Pascal VOC's form. A copy for your own data has no such stage: put them where `prepare` looks, see
data/README.md.
"""

import tempfile
from pathlib import Path

from shared.core.cli import answer_help
from shared.core.errors import UserError
from shared.core.files import checksum_of
from shared.data.archive import extract
from shared.data.source import Official, downloaded, fetch_stage, mirror_folder

from .params import Fetch, Params
from .sample import write_sample

URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
ARCHIVES = {  # md5, as torchvision gives them
    "VOCtrainval_06-Nov-2007.tar": "c52e279531787c972589f7e41ab4ae64",
    "VOCtest_06-Nov-2007.tar": "b6e924de25625d8de591ea690078ad9f",
}
WANTED = ("JPEGImages", "Annotations", "ImageSets")


def official(folder: Path, params: Fetch) -> None:
    """Both archives of VOC 2007, each verified, merged into one folder: they share no image."""
    mirror = mirror_folder("voc2007")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        for name, checksum in ARCHIVES.items():
            whole = Official("voc2007", URL + name, checksum, {})
            archive = mirror / name if mirror else downloaded(whole, whole.url, checksum)
            if not archive.is_file():
                raise UserError(f"{archive}: no such file", fix=f"put {whole.url} there")
            if (found := checksum_of(archive, like=checksum)) != checksum:
                raise UserError(f"{archive}: wrong checksum: found {found}, expected {checksum}")
            extract(archive, Path(scratch))  # the second adds its files to the first's folders
            if not mirror:
                archive.unlink()
        for part in WANTED:
            (Path(scratch) / "VOCdevkit" / "VOC2007" / part).rename(folder / part)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
