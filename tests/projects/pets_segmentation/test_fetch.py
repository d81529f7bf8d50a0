"""The sample is the same for one seed and carries its evidence; official files are arranged by their lists."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from projects.pets_segmentation.fetch import arrange
from projects.pets_segmentation.params import Fetch
from projects.pets_segmentation.sample import CLASSES, write_sample
from shared.core.errors import UserError

PARAMS = Fetch(source="sample", seed=1, num_train=10, num_test=12)


def test_one_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_sample(tmp_path / name, PARAMS.model_copy(update={"seed": seed}))
        made.append([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.png"))])
    assert made[0] == made[1] != made[2]


def test_the_evidence_is_a_sign_beside_a_signed_disc(tmp_path: Path) -> None:
    write_sample(tmp_path, PARAMS)
    signed = CLASSES.index("signed disc")
    found = sorted((tmp_path / "test/evidence").iterdir())
    assert found
    for path in found:
        evidence, mask = (
            np.asarray(Image.open(tmp_path / "test" / kind / path.name)) for kind in ("evidence", "masks")
        )
        assert (mask[evidence == 2] == signed).all()
        assert (mask[evidence == 1] == 0).all()
        assert min((evidence == 1).sum(), (evidence == 2).sum()) > 5


def test_official_files_are_arranged_by_their_lists_and_missing_ones_are_named(tmp_path: Path) -> None:
    found, folder = tmp_path / "found", tmp_path / "folder"
    for place in ("images", "annotations/trimaps"):
        (found / place).mkdir(parents=True)
    for stem in ("Abyssinian_1", "pug_2", "unlisted"):
        (found / f"images/{stem}.jpg").write_bytes(b"")
        (found / f"annotations/trimaps/{stem}.png").write_bytes(b"")
    (found / "annotations/trainval.txt").write_text("#Image CLASS-ID\nAbyssinian_1 1 1 1\n")
    (found / "annotations/test.txt").write_text("pug_2 2 2 1\n")
    arrange(found, folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["classes.txt", "test/images/pug_2.jpg", "test/masks/pug_2.png",
                     "train/images/Abyssinian_1.jpg", "train/masks/Abyssinian_1.png"]  # fmt: skip
    with pytest.raises(UserError, match=r"images/pug_2\.jpg: no such file, but test\.txt lists it"):
        arrange(found, tmp_path / "again")
