"""The embedded sample: the handwritten digits of shared/image/digits.py, as they are."""

from pathlib import Path

from shared.image.digits import write_digits


def write_sample(folder: Path) -> None:
    """Writes {train,test}/<digit>/<number>.png."""
    write_digits(folder)
