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
from shared.data.archive import extract
from shared.data.source import Official, bring, fetch_stage

from .params import Fetch, Params
from .sample import write_sample

VOC = Official(
    name="voc2007",
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    checksum=None,
    files={  # md5, as torchvision gives them
        "VOCtrainval_06-Nov-2007.tar": "c52e279531787c972589f7e41ab4ae64",
        "VOCtest_06-Nov-2007.tar": "b6e924de25625d8de591ea690078ad9f",
    },
)
WANTED = ("JPEGImages", "Annotations", "ImageSets")


def official(folder: Path, params: Fetch) -> None:
    """Both archives of VOC 2007, merged into one folder: they share no image. Raises UserError as `bring` does."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        bring(VOC, Path(scratch))
        for name in VOC.files:
            extract(Path(scratch, name), Path(scratch))  # the second adds its files to the first's folders
        for part in WANTED:
            (Path(scratch) / "VOCdevkit" / "VOC2007" / part).rename(folder / part)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
