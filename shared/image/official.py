"""Public sets of labelled images, as their owners publish them.

CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 photographs of 32x32 px, 10 classes. MNIST (LeCun, Cortes, Burges 1998) and
Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey images of 28x28 px, 10 classes.
"""

import gzip
import hashlib
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shared.core.errors import UserError
from shared.core.files import checksum_of
from shared.core.paths import show
from shared.data.source import Official, verify

FOLDER = "cifar-10-batches-py"
_CIFAR_TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
_CIFAR_TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
_CIFAR_META = {"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"}

IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
TRAIN, TEST = "train", "t10k"
HEADER_BYTES = {IMAGES: 16, LABELS: 8}  # of the idx format, before the values
MNIST_SIDE_PX = 28

OFFICIAL = {
    "cifar10": Official(
        name="cifar10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        checksum="c58f30108f718f92721af3b95e74349a",
        files={f"{FOLDER}/{name}": md5 for name, md5 in (_CIFAR_TRAIN | _CIFAR_TEST | _CIFAR_META).items()},
    ),
    "mnist": Official(
        name="mnist",
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        checksum=None,
        files={
            IMAGES.format(TRAIN): "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            LABELS.format(TRAIN): "d53e105ee54ea40749a09fcbcd1e9432",
            IMAGES.format(TEST): "9fb629c4189551a2d022fa330f9573f3",
            LABELS.format(TEST): "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": Official(
        name="fashion_mnist",
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        checksum=None,
        files={
            IMAGES.format(TRAIN): "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            LABELS.format(TRAIN): "25c81989df183df01b3e8a0aad5dffbe",
            IMAGES.format(TEST): "bef4ecab320f06d8554ea6380940ec79",
            LABELS.format(TEST): "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}
CLASSES = {
    "mnist": [str(digit) for digit in range(10)],
    "fashion_mnist": [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ],
}  # fmt: skip


class Part(NamedTuple):
    """The train or test part of a set: images (N, C, H, W) uint8, labels (N,) int64, N ids."""

    split: str
    images: np.ndarray
    labels: np.ndarray
    ids: Sequence[str]


def is_official(root: Path) -> bool:
    """Whether a raw folder holds one of the three sets."""
    return (root / FOLDER).is_dir() or (root / LABELS.format(TRAIN)).is_file()


def read_official(root: Path) -> tuple[list[str], list[Part]]:
    """Class names, and the train and test parts of the set that lies in a folder.

    Raises:
        UserError: a file is missing or has a wrong checksum; nothing is unpickled then.
    """
    if (root / FOLDER).is_dir():
        verify(OFFICIAL["cifar10"], root)
        parts = [_cifar_part(root, "train", list(_CIFAR_TRAIN)), _cifar_part(root, "test", list(_CIFAR_TEST))]
        return _unpickled(root, "batches.meta")["label_names"], parts
    is_fashion = (
        checksum_of(root / LABELS.format(TRAIN), "0" * 32) == OFFICIAL["fashion_mnist"].files[LABELS.format(TRAIN)]
    )
    name = "fashion_mnist" if is_fashion else "mnist"
    verify(OFFICIAL[name], root)
    return CLASSES[name], [_mnist_part(root, "train", TRAIN), _mnist_part(root, "test", TEST)]


def _cifar_part(root: Path, split: str, names: Sequence[str]) -> Part:
    batches = [_unpickled(root, name) for name in names]
    return Part(
        split,
        images=np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32),
        labels=np.concatenate([batch["labels"] for batch in batches]).astype(np.int64),
        ids=[filename for batch in batches for filename in batch["filenames"]],
    )


def _unpickled(root: Path, name: str) -> dict[str, Any]:
    """Unpickles the very bytes whose checksum is right, so that no one changes the file in between."""
    data = (root / FOLDER / name).read_bytes()
    if hashlib.md5(data).hexdigest() != OFFICIAL["cifar10"].files[f"{FOLDER}/{name}"]:
        raise UserError(f"{show(root / FOLDER / name)}: wrong checksum: not read", fix="fetch the data again")
    batch: dict[str, Any] = pickle.loads(data, encoding="latin1")
    return batch


def _mnist_part(root: Path, split: str, part: str) -> Part:
    images, labels = _mnist_values(root, part)
    ids = [f"{part}/{number:05}" for number in range(len(labels))]
    return Part(split, images.reshape(-1, 1, MNIST_SIDE_PX, MNIST_SIDE_PX), labels.astype(np.int64), ids)


def _mnist_values(root: Path, part: str) -> Iterator[np.ndarray]:
    for kind in (IMAGES, LABELS):
        data = gzip.decompress((root / kind.format(part)).read_bytes())
        yield np.frombuffer(data, np.uint8, offset=HEADER_BYTES[kind])
