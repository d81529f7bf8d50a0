"""Fetch stage: the embedded sample or the official Oxford-IIIT Pet -> data/raw/pets_segmentation/.

    python -m projects.pets_segmentation.fetch                         # as params.yaml says: the sample, no network
    python -m projects.pets_segmentation.fetch fetch.source=official   # Oxford-IIIT Pet, 810 MB from its owner
    DATASET_MIRROR=../datasets python -m projects.pets_segmentation.fetch fetch.source=official   # or from a mirror

Oxford-IIIT Pet (Parkhi et al. 2012): 3,680 + 3,669 photographs of cats and dogs, each with a trimap: 1 the pet, 2 the
background, 3 the border between them. Both archives are verified. What is left is the form of a user's own data:
{train,test}/{images,masks}/ and classes.txt. A copy for your own data has no such stage: put them where `prepare`
looks, see data/README.md.
"""

import tempfile
from pathlib import Path

from shared.core.cli import answer_help
from shared.core.errors import Problems
from shared.core.paths import show
from shared.data.archive import extract
from shared.data.source import Official, bring, fetch_stage

from .params import Fetch, Params
from .sample import write_sample

PETS = Official(
    name="oxford_iiit_pet",
    url="https://www.robots.ox.ac.uk/~vgg/data/pets/data/",
    checksum=None,
    files={
        "images.tar.gz": "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        "annotations.tar.gz": "95a8c909bbe2e81eed6a22bccdf3f68f",
    },
)
LISTS = {"train": "trainval.txt", "test": "test.txt"}
CLASSES = "1 pet\n2 background\n3 border\n"


def official(folder: Path, params: Fetch) -> None:
    """Raises UserError: no mirror and no network, a wrong checksum, a listed image or trimap that is missing."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        bring(PETS, Path(scratch))
        for name in PETS.files:
            extract(Path(scratch, name), Path(scratch))
        arrange(Path(scratch), folder)


def arrange(found: Path, folder: Path) -> None:
    """Moves what the official lists name into {train,test}/{images,masks}/; the archives hold more."""
    problems = Problems(show(found))
    for split, name in LISTS.items():
        lines = (found / "annotations" / name).read_text(encoding="utf-8").splitlines()
        stems = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        for kind, place, suffix in (("images", "images", ".jpg"), ("masks", "annotations/trimaps", ".png")):
            (folder / split / kind).mkdir(parents=True)
            for stem in stems:
                source = found / place / f"{stem}{suffix}"
                if source.is_file():
                    source.replace(folder / split / kind / source.name)
                else:
                    problems.add(f"{place}/{source.name}", f"no such file, but {name} lists it")
    problems.raise_if_any(fix="get the data again")
    (folder / "classes.txt").write_text(CLASSES, encoding="utf-8")


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
