"""Fetch stage: the embedded sample or an official MovieLens -> data/raw/movielens_recommender/.

    python -m projects.movielens_recommender.fetch                         # as params.yaml says: the sample, no network
    DATASET_MIRROR=../datasets python -m projects.movielens_recommender.fetch fetch.source=official
    python -m projects.movielens_recommender.fetch fetch.source=official fetch.dataset=1m   # 6 MB from its owner

MovieLens (Harper & Konstan 2015) is GroupLens', for research: its terms forbid commercial use and handing it on. All is
verified. latest-small changes at its owner and is looked for in the mirror alone; 1M comes without titles, 100K has
them in some mirrors. A copy for your own data has no such stage: put them where `prepare` looks, see data/README.md.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from shared.core.cli import answer_help
from shared.core.errors import UserError
from shared.data.archive import extract
from shared.data.source import MIRROR, Official, bring, fetch_stage, mirror_folder

from .params import Fetch, Params
from .sample import write_sample

URL = "https://files.grouplens.org/datasets/movielens/"
OFFICIAL = {
    "latest-small": Official(
        name="movielens_latest_small",
        url=f"{URL}ml-latest-small.zip",
        checksum=None,
        files={
            "ratings.csv": "aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646",
            "movies.csv": "5a5f32dd9bb3797b8e728a1b98958789d2b13f294a69fdfbc5727f8a9611aa07",
        },
    ),
    "100k": Official(
        name="movielens_100k",
        url=f"{URL}ml-100k.zip",
        checksum="0e33842e24a9c977be4e0107933c0723",
        files={"u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"},
    ),
    "1m": Official("movielens_1m", URL, None, {"ml-1m.zip": "c4d9eecfca2ab87c1945afe126590906"}),
    "25m": Official("movielens_25m", URL, None, {"ml-25m.zip": "6b51fb2759a8657d3bfcbfc42b592ada"}),
}
ITEMS_100K = {"ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"}
WANTED = "ratings.dat", "ratings.csv", "movies.csv"  # of the archives of 1M and 25M


def official(folder: Path, params: Fetch) -> None:
    """Ratings and films. Raises UserError: no mirror and no network, files that are missing or others."""
    chosen = OFFICIAL[params.dataset]
    mirror = mirror_folder(chosen.name)
    if params.dataset == "latest-small" and mirror is None:
        raise UserError(
            f"{chosen.name}: not in ${MIRROR}, and its archive changes at its owner, so that it cannot be verified",
            expected=f"ratings.csv and movies.csv, or an archive of them, in ${MIRROR}/{chosen.name}/",
            fix=f"download {chosen.url}, put it there and run again; or fetch.dataset=100k",
        )
    if params.dataset in ("latest-small", "100k"):
        titles = ITEMS_100K if params.dataset == "100k" and mirror else {}
        bring(replace(chosen, files={**chosen.files, **titles}), folder)
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as scratch:
        bring(chosen, Path(scratch))
        for name in chosen.files:
            extract(Path(scratch, name), Path(scratch))
        for path in [path for path in Path(scratch).rglob("*") if path.name in WANTED]:
            path.replace(folder / path.name)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
