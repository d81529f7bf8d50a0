"""Image files -> thumbnails of the whole picture, with what the file said of itself."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from shared.core.errors import Problems, UserError

# Not read_image: that cuts to the central square, but what it cuts off tells pictures apart.
from shared.image.files import REDUCING_GAP, opaque, opened, upright_size
from shared.image.folder import ImageFile

from .near_duplicates import SIDE


class Picture(NamedTuple):
    """One readable image.

    Args:
        file: where it lies, its class and split.
        width, height: px, upright.
        mode: PIL's: RGB, L, P and so on.
    """

    file: ImageFile
    width: int
    height: int
    mode: str


def read_pictures(files: Sequence[ImageFile]) -> tuple[list[Picture], np.ndarray, list[str]]:
    """Decodes images in threads, each once, and keeps thumbnails only.

    Returns:
        The readable ones in the order of `files`, their thumbnails (N, S, S, 3) uint8 (the whole picture, whatever
        its shape), and one sentence for each of the others.
    """
    problems, pictures = Problems("images"), list[Picture]()
    thumbnails = np.empty((len(files), SIDE, SIDE, 3), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:
        for read in tqdm(pool.map(_read, files), total=len(files), unit="image", disable=None):
            with problems.collect():
                if isinstance(read, UserError):
                    raise read
                picture, thumbnails[len(pictures)] = read
                pictures.append(picture)
    return pictures, thumbnails[: len(pictures)], problems.found


def _read(file: ImageFile) -> tuple[Picture, np.ndarray] | UserError:
    try:
        with opened(file.path) as image:
            width, height, mode = *upright_size(image), image.mode
            image.draft(None, (round(REDUCING_GAP * SIDE),) * 2)
            flat = opaque(ImageOps.exif_transpose(image)).convert("RGB")
            if flat.size != (SIDE, SIDE):
                flat = flat.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
            return Picture(file, width, height, mode), np.asarray(flat)
    except UserError as error:
        return error


def pixel_hash(path: Path) -> bytes:
    """Of the decoded picture, upright; the same for a PNG and a BMP of one picture.

    Raises:
        UserError: the file cannot be read.
    """
    with opened(path) as image:
        flat = opaque(ImageOps.exif_transpose(image)).convert("RGB")
        return hashlib.sha256(flat.tobytes()).digest()
