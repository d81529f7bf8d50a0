"""Image files -> arrays, in the same way for training data and for prediction."""

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from shared.core.errors import Problems, UserError
from shared.core.paths import show

MIN_SIDE_PX = 4  # below, a picture is a tracking pixel or an icon gone wrong, not a sample
MAX_PIXELS = 80_000_000  # a file of a few KB can claim billions; PIL only raises above 179 million
BACKGROUND = 128  # grey: black drawings vanish on black, white ones on white, and normalisation maps it to about 0
REDUCING_GAP = 3.0  # a cheap first reduction stops at this multiple of the target, so that nothing is lost visibly
IMAGE_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".ico",
    ".heic", ".heif", ".svg",  # not readable: reported as a problem rather than skipped silently
}  # fmt: skip

# PIL only warns between its limit and twice its limit; this makes it refuse, as MAX_PIXELS does.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def read_image(path: Path, size: int, channels: int = 3) -> np.ndarray:
    """Reads one image file of any kind as a square.

    Rotated as EXIF says, 16 bits scaled to 8, transparency made mid grey, then cropped to the central square and
    resized with antialiasing. An image that is size x size already keeps its exact values. Of several frames the
    first is read.

    Args:
        path: the file.
        size: px, both sides of the result.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (size, size, channels) uint8.

    Raises:
        UserError: the file cannot be read, is no image, is damaged, or smaller or larger than the limits above.
    """
    with opened(path) as image:
        image.draft(None, (round(REDUCING_GAP * size),) * 2)  # JPEG only: decodes large photographs reduced, 10x faster
        flat = opaque(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
        return np.asarray(to_square(flat, size)).reshape(size, size, channels)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in px of an image as a person sees it, from its header alone. Raises UserError as read_image."""
    with opened(path) as image:
        return upright_size(image)


def read_mask(path: Path, size: int, image: Path) -> np.ndarray:
    """Reads the mask of an image: what is not black belongs to the object. Cropped and resized as the image is.

    Returns:
        (size, size) bool.

    Raises:
        UserError: as `read_image`; the mask is not of the image's size, or all black.
    """
    with opened(image) as picture:
        expected = upright_size(picture)
    with opened(path) as picture:
        object_ = np.asarray(opaque(picture).convert("L")) > 0
    height, width = object_.shape
    if (width, height) != expected:
        raise UserError(f"{show(path)}: {width}x{height} px, but its image is {expected[0]}x{expected[1]}")
    if not object_.any():
        raise UserError(f"{show(path)}: an empty mask: all black", expected="the object in white")
    return np.asarray(to_square(Image.fromarray(object_.astype(np.uint8) * 255), size)) >= 128


def to_square(image: Image.Image, size: int) -> Image.Image:
    """The central square of an image, resized with antialiasing; unchanged if it already is one."""
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=REDUCING_GAP)


def read_images(paths: Iterable[Path], size: int, channels: int, problems: Problems) -> np.ndarray:
    """Reads many images in threads: PIL decodes without the interpreter's lock.

    Args:
        problems: gets one entry for each file that cannot be read; its row of the result is then arbitrary.

    Returns:
        (N, channels, size, size) uint8, in the order of `paths`.
    """
    paths = list(paths)
    images = np.empty((len(paths), channels, size, size), dtype=np.uint8)

    def read(index: int) -> list[str]:
        found = Problems(paths[index])
        with found.collect():
            images[index] = read_image(paths[index], size, channels).transpose(2, 0, 1)
        return found.found

    with ThreadPoolExecutor() as pool:
        for found in tqdm(pool.map(read, range(len(paths))), total=len(paths), unit="image", disable=None):
            problems.found += found
    return images


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Opens an image and checks its size; the block decodes it.

    Raises:
        UserError: as `read_image`, also for errors of decoding inside the block.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise UserError(f"{show(path)}: an empty file (0 bytes)", expected="an image")
            with Image.open(file) as image:
                _check_size(path, image)
                yield image
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{show(path)}: too large", expected=f"at most {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UserError(f"{show(path)}: not an image that can be read", expected="PNG, JPEG or the like") from None
    except OSError as error:
        raise UserError(f"{show(path)}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # on damaged bytes, decoders raise exceptions of any kind
        raise UserError(f"{show(path)}: a damaged image: {error}") from None


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE_PX:
        raise UserError(f"{show(path)}: {width}x{height} px", expected=f"at least {MIN_SIDE_PX} px a side")
    if width * height > MAX_PIXELS:
        raise UserError(f"{show(path)}: {width}x{height} px is too large", expected=f"at most {MAX_PIXELS:,} pixels")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) in px after rotation as EXIF says."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # by 90 degrees, mirrored or not
    return (image.height, image.width) if turned else image.size


def opaque(image: Image.Image) -> Image.Image:
    """Any mode -> one without transparency and with 8 bits."""
    if image.mode.startswith(("I", "F")):
        return _to_8_bits(image)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        return Image.alpha_composite(ground, image.convert("RGBA"))
    return image


def _to_8_bits(image: Image.Image) -> Image.Image:
    # PIL's own convert("L") clips 16 bits at 255, which makes most of the picture white.
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its numbers have no known range; save it with 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
