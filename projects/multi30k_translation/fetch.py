"""Fetch stage: the embedded sample or official Multi30k -> data/raw/multi30k_translation/.

    python -m projects.multi30k_translation.fetch                         # as params.yaml says: the sample, no network
    python -m projects.multi30k_translation.fetch fetch.source=official   # Multi30k, 1 MB from its owner
    python -m projects.multi30k_translation.fetch fetch.source=official fetch.language=fr    # French instead of German
    DATASET_MIRROR=../datasets python -m projects.multi30k_translation.fetch fetch.source=official   # or from a mirror

Official are the captions of task 1 (Elliott et al. 2016), English and another language, not tokenised: 29,000 pairs for
training, 1,014 for validation, and test_2016_flickr, 1,000. A copy for your own data has no such stage: put them where
`prepare` looks, see data/README.md.
"""

from pathlib import Path

from shared.core.cli import answer_help
from shared.data.source import Official, bring, fetch_stage

from .params import Fetch, Params
from .sample import write_sample

SPLITS = {"train": "train", "val": "valid", "test_2016_flickr": "test"}
URL = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
CHECKSUMS = {  # MD5 of train, val and test_2016_flickr; those of fr and cs as torchtext 0.18 lists them
    "en": ("0065d13af80720a55ca8153d126e6627", "2b69aa9253948ac9f67e94917272dd40", "ff2c0fcb4893a13bd73414306bc250ae"),
    "de": ("81ff90b99829c0cd4b1b587d394afd39", "6e0e229eb049e3fc99a1ef02fb2d5f91", "efd67d314d98489b716b145475101932"),
    "fr": ("6cb767741dcad3931f966fefbc05203f", "93fc564584b7e5ba410c761ea5a1c682", "08dc7cd4a662f31718412de95ca9bfe3"),
    "cs": ("d9a5fc268917725a2b0efce3a0cc8607", "83cdc082f646b769095615384cf5c0ca", "3104872229daa1bef3b401d44dd2220b"),
}


def official(folder: Path, params: Fetch) -> None:
    """Multi30k's files, named by their splits."""
    names = {
        f"{stem}.{language}.gz": (f"{split}.{language}.gz", checksum)
        for language in ("en", params.language)
        for (stem, split), checksum in zip(SPLITS.items(), CHECKSUMS[language], strict=True)
    }
    files = {name: checksum for name, (_, checksum) in names.items()}
    bring(Official("multi30k", URL, checksum=None, files=files), folder)
    for name, (renamed, _) in names.items():
        (folder / name).rename(folder / renamed)


if __name__ == "__main__":
    answer_help(__name__, __doc__, __file__)
    fetch_stage({"sample": write_sample, "official": official}, Params, __file__)
