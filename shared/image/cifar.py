"""CIFAR-10 as its owner publishes it (Krizhevsky 2009): 50,000 + 10,000 photographs of 32x32 px, 10 classes."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from shared.data.arrays import Split
from shared.data.source import Official, verify

FOLDER = "cifar-10-batches-py"
_TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
_TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
_META = {"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"}

CIFAR10 = Official(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    checksum="c58f30108f718f92721af3b95e74349a",
    files={f"{FOLDER}/{name}": md5 for name, md5 in (_TRAIN | _TEST | _META).items()},
)


def read_cifar10(root: Path) -> tuple[list[str], Split, Split]:
    """Reads `cifar-10-batches-py/` below `root`.

    Returns:
        The class names, the 50,000 training images and the 10,000 test images. Ids are the owner's file names,
        unique over both.

    Raises:
        UserError: a file is missing or has a wrong checksum; nothing is unpickled then.
    """
    verify(CIFAR10, root)
    classes = _load(root, "batches.meta")["label_names"]
    return classes, _read_batches(root, list(_TRAIN)), _read_batches(root, list(_TEST))


def _read_batches(root: Path, names: list[str]) -> Split:
    batches = [_load(root, name) for name in names]
    return Split(
        images=np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32),
        labels=np.concatenate([batch["labels"] for batch in batches]).astype(np.int64),
        ids=[filename for batch in batches for filename in batch["filenames"]],
    )


def _load(root: Path, name: str) -> dict[str, Any]:
    """Unpickles the very bytes whose checksum was right, so that no one changes the file in between."""
    data = (root / FOLDER / name).read_bytes()
    assert hashlib.md5(data).hexdigest() == CIFAR10.files[f"{FOLDER}/{name}"]
    batch: dict[str, Any] = pickle.loads(data, encoding="latin1")
    return batch
