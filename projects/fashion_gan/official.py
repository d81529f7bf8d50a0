"""The public data sets to choose from: Fashion-MNIST, MNIST, CIFAR-10."""

from pathlib import Path

from shared.data.arrays import Split

from shared.image import cifar, mnist

OFFICIAL = mnist.OFFICIAL | {"cifar10": cifar.CIFAR10}


def is_official(root: Path) -> bool:
    """Whether a raw folder holds one of the three."""
    return (root / cifar.FOLDER).is_dir() or (root / mnist.LABELS.format(mnist.TRAIN)).exists()


def read_official(root: Path) -> tuple[list[str], Split, Split]:
    """Class names, training images and test images of the one that is there.

    Raises:
        UserError: a file is missing or has a wrong checksum.
    """
    return cifar.read_cifar10(root) if (root / cifar.FOLDER).is_dir() else mnist.read_official(root)
