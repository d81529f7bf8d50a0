"""An embedded sample: 1,797 real handwritten digits, 8x8 px, from scikit-learn.

A part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998), in its file order. The last
360 are the test images: they are by other writers, and so harder than a shuffled split.
"""

from pathlib import Path

import numpy as np
from PIL import Image

NUM_TEST = 360
INK = 16  # the darkest value in the set


def write_digits(folder: Path) -> None:
    """Writes the digits as an image folder, {train,test}/<digit>/<number>.png: white ink on black, as in MNIST."""
    from sklearn.datasets import load_digits  # takes seconds: --help must not wait for it

    digits = load_digits()
    images = (digits.images * (255 / INK)).round().astype(np.uint8)
    for number, (image, label) in enumerate(zip(images, digits.target.tolist(), strict=True)):
        split = "test" if number >= len(images) - NUM_TEST else "train"
        path = folder / split / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
