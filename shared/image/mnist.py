"""MNIST (LeCun, Cortes, Burges 1998) and Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 images of 28x28 px, grey."""

import gzip
from pathlib import Path

import numpy as np

from shared.core.files import digest
from shared.data.arrays import Split
from shared.data.source import Official, verify

IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
TRAIN, TEST = "train", "t10k"
HEADER_BYTES = {IMAGES: 16, LABELS: 8}  # of the idx format, before the values
SIDE_PX = 28

OFFICIAL = {
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


def read_official(root: Path) -> tuple[list[str], Split, Split]:
    """Reads the four files of either set below `root`.

    Returns:
        The class names, the 60,000 training images and the 10,000 test images.

    Raises:
        UserError: a file is missing or has a wrong checksum.
    """
    labels = root / LABELS.format(TRAIN)
    is_fashion = labels.is_file() and digest(labels, like="0" * 32) == OFFICIAL["fashion_mnist"].files[labels.name]
    name = "fashion_mnist" if is_fashion else "mnist"
    verify(OFFICIAL[name], root)
    return CLASSES[name], _read(root, TRAIN), _read(root, TEST)


def _read(root: Path, part: str) -> Split:
    images, labels = (_values(root / kind.format(part), HEADER_BYTES[kind]) for kind in (IMAGES, LABELS))
    ids = [f"{part}/{number:05}" for number in range(len(labels))]
    return Split(images.reshape(-1, 1, SIDE_PX, SIDE_PX), labels.astype(np.int64), ids)


def _values(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)
