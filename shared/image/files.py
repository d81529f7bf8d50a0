"""Image files -> arrays, in the same way for training data and for prediction."""

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from tqdm import tqdm

from shared.core.errors import Problems, UserError
from shared.core.paths import show
from shared.image.losses import Seen, border_level, cut_share, grey_end, is_even
from shared.image.params import Reading

MIN_SIDE_PX = 4  # below, a picture is a tracking pixel or an icon gone wrong, not a sample
MAX_PIXELS = 80_000_000  # a file of a few KB can claim billions; PIL only raises above 179 million
WHOLE_PX = 100_000  # larger than any image: none is reduced by decoding
REDUCING_GAP = 3.0  # a cheap first reduction stops at this multiple of the target, so that nothing is lost visibly
IMAGE_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".ico",
    ".heic", ".heif", ".svg", ".jxl",  # not readable: reported as a problem rather than skipped silently
}  # fmt: skip
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation -> what makes the picture upright
_FOREIGN = {  # how files begin that people take for images -> what they are, and what to do
    b"PK\3\4": ("a zip archive", "images: unpack it"),
    b"\x1f\x8b": ("a gzip archive", "images: unpack it"),
    b"Rar!": ("a RAR archive", "images: unpack it"),
    b"7z\xbc\xaf": ("a 7z archive", "images: unpack it"),
    b"%PDF": ("a PDF", "PNG or JPEG: export its pages"),
    b"<!doctype html": ("a web page", "the image itself: download it again"),
    b"<html": ("a web page", "the image itself: download it again"),
    b"<svg": ("a vector drawing (SVG)", "PNG: export it"),
    b"<?xml": ("XML, perhaps a vector drawing (SVG)", "PNG: export it"),
    b"version https://git-lfs": ("a pointer of Git LFS", "the image itself: git lfs pull"),
    b"\x93numpy": ("a NumPy array", "PNG or TIFF: save it as an image"),
    b"\xff\x0a": ("JPEG XL", "JPEG or PNG: convert it"),
    b"\0\0\0\x0cjxl": ("JPEG XL", "JPEG or PNG: convert it"),
}
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of metadata; the pixels count
# PIL only warns between its limit and twice its limit; this makes it refuse, as MAX_PIXELS does.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def read_image(path: Path, reading: Reading) -> np.ndarray:
    """Reads one image file of any kind as a square.

    Rotated as EXIF says, transparency laid on a grey level, more than 8 bits scaled to 8, then made a square and
    resized with antialiasing, all as `reading` says. An image that has that size already keeps its exact values. Of
    several pages or frames the first is read.

    Returns:
        (size, size, channels) uint8.

    Raises:
        UserError: the file cannot be read, is no image, is damaged, has numbers of an unknown range, or is smaller or
            larger than the limits above.
    """
    return read_seen(path, reading)[0]


def read_seen(path: Path, reading: Reading) -> tuple[np.ndarray, Seen]:
    """As `read_image`, and what else was seen in the file."""
    whole, seen = load_upright(path, reading.image_size, reading)
    square = to_square(whole, reading.image_size, reading.fit, reading.ground)
    return np.asarray(square).reshape(reading.image_size, reading.image_size, reading.channels), seen


def load_upright(path: Path, px: int, reading: Reading) -> tuple[Image.Image, Seen]:
    """The whole image upright, L or RGB, perhaps reduced by decoding, though not to less than `px`; and what was seen.

    Raises:
        UserError: as `read_image`.
    """
    with opened(path) as image:
        image.draft(None, (round(REDUCING_GAP * px),) * 2)  # JPEG only: decodes large photographs reduced, 10x faster
        turn = TURNS.get(orientation(image))  # before decoding, which forgets it
        image.load()
        deep = image.mode.startswith(("I", "F"))
        brightest = float(np.asarray(image).max()) if deep else None
        clear = image.has_transparency_data and _is_clear(image)
        flat = _opaque(path, image, reading).convert("L" if reading.channels == 1 else "RGB")
        end = grey_end(np.asarray(image)) if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB") else 0.0
        whole = flat.transpose(turn) if turn is not None else flat
        pages = _pages(image)
    even, border = is_even(whole), None if clear else border_level(whole)
    return whole, Seen(show(path), cut_share(whole.size), clear, pages, brightest, end, even, border)


def load_whole(path: Path, ground: int, white: float, least_px: int = WHOLE_PX) -> Image.Image:
    """The whole image upright, RGB, in its own pixels, or reduced by decoding, though not to less than `least_px`.

    Args:
        ground, white: see `Reading`.

    Raises:
        UserError: as `read_image`.
    """
    reading = Reading(image_size=1024, channels=3, fit="pad", ground=ground, white=white)  # size and fit: not used
    return load_upright(path, least_px, reading)[0]


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in px of an image as a person sees it, from its header alone. Raises UserError as read_image."""
    with opened(path) as image:
        return upright_size(image)


def largest_number(path: Path) -> float | None:
    """The largest number of a file of more than 8 bits; None for others. Raises UserError as read_image."""
    with opened(path) as image:
        return float(np.asarray(image).max()) if image.mode.startswith(("I", "F")) else None


def read_mask(path: Path, reading: Reading, image: Path) -> np.ndarray:
    """Reads the mask of an image: what is not black belongs to the object. Made a square as the image is.

    Returns:
        (size, size) bool.

    Raises:
        UserError: as `read_image`; the mask is not of the image's size, or all black.
    """
    with opened(image) as picture:
        expected = upright_size(picture)
    with opened(path) as picture:
        turn = TURNS.get(orientation(picture))
        picture.load()
        values = picture if picture.mode.startswith(("I", "F")) else _opaque(path, picture, reading).convert("L")
        object_ = np.asarray(values.transpose(turn) if turn is not None else values) > 0
    height, width = object_.shape
    if (width, height) != expected:
        raise UserError(f"{show(path)}: {width}x{height} px, but its image is {expected[0]}x{expected[1]}")
    if not object_.any():
        raise UserError(f"{show(path)}: an empty mask: all black", expected="the object in white")
    mask = Image.fromarray(object_.astype(np.uint8) * 255)
    return np.asarray(to_square(mask, reading.image_size, reading.fit, ground=0)) >= 128


def to_square(image: Image.Image, size: int, fit: str, ground: int) -> Image.Image:
    """An 8-bit L or RGB image as a square, resized with antialiasing; unchanged if it already is one.

    Args:
        fit: crop: the central square; pad: the whole, with borders of the grey level `ground`; squash: the whole.
    """
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if fit == "pad" and width != height:
        small = (max(1, round(size * width / max(image.size))), max(1, round(size * height / max(image.size))))
        whole = image.resize(small, Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
        square = Image.new(image.mode, (size, size), (ground,) * len(image.getbands()))
        square.paste(whole, ((size - small[0]) // 2, (size - small[1]) // 2))
        return square
    box = (left, top, left + side, top + side) if fit == "crop" else None
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=REDUCING_GAP)


def read_images(paths: Mapping[str, Path], reading: Reading, problems: Problems) -> tuple[np.ndarray, list[Seen]]:
    """Reads many images in threads: PIL decodes without the interpreter's lock.

    Args:
        paths: name in messages -> file.
        problems: gets one entry for each file that cannot be read; its row of the result is then arbitrary.

    Returns:
        (N, channels, size, size) uint8, in the order of `paths`, and what was seen in those that can be read.
    """
    names, files = list(paths), list(paths.values())
    images = np.empty((len(files), reading.channels, reading.image_size, reading.image_size), dtype=np.uint8)

    def read(index: int) -> tuple[list[str], Seen | None]:
        found, seen = Problems(files[index]), None
        with found.collect():
            pixels, seen = read_seen(files[index], reading)
            images[index] = pixels.transpose(2, 0, 1)
            seen = replace(seen, id=names[index])
        return found.found, seen

    every = []
    with ThreadPoolExecutor() as pool:
        for found, seen in tqdm(pool.map(read, range(len(files))), total=len(files), unit="image", disable=None):
            problems.found += found
            every += [seen] if seen else []
    return images, every


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
            try:
                opened_image = Image.open(file)
            except UnidentifiedImageError:
                file.seek(0)
                raise _not_an_image(path, file.read(256)) from None
            with opened_image as image:
                _check_size(path, image)
                yield image
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{show(path)}: too large", expected=f"at most {MAX_PIXELS:,} pixels") from None
    except OSError as error:
        raise UserError(f"{show(path)}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # on damaged bytes, decoders raise exceptions of any kind
        raise UserError(f"{show(path)}: a damaged image: {error}") from None


def _not_an_image(path: Path, head: bytes) -> UserError:
    """Says what a file is by its first bytes, whatever its name."""
    if head[4:8] == b"ftyp":
        if head[8:12] in _HEIC:
            return UserError(f"{show(path)}: HEIC, a phone's format", expected="JPEG or PNG: convert it")
        return UserError(f"{show(path)}: a video or another MP4 container", expected="an image")
    if head[128:132] == b"DICM":
        return UserError(f"{show(path)}: DICOM", expected="PNG or TIFF of 8 or 16 bits: convert it")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for mark, (what, expected) in _FOREIGN.items():
        if head.startswith(mark) or start.startswith(mark):
            return UserError(f"{show(path)}: {what}, not an image", expected=expected)
    return UserError(f"{show(path)}: not an image that can be read", expected="PNG, JPEG or the like")


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE_PX:
        raise UserError(f"{show(path)}: {width}x{height} px", expected=f"at least {MIN_SIDE_PX} px a side")
    if width * height > MAX_PIXELS:
        raise UserError(f"{show(path)}: {width}x{height} px is too large", expected=f"at most {MAX_PIXELS:,} pixels")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied, 1 to 8; 1 where EXIF cannot be read: pixels count, not their
    metadata. Not ImageOps.exif_transpose, which writes all tags anew and fails on any that is badly typed."""
    if image.format == "TIFF":  # PIL applies it while decoding, and has exchanged the sides already
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1
    except Exception:  # of any kind, as decoders raise them
        return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) in px after rotation as EXIF says."""
    return (image.height, image.width) if orientation(image) >= 5 else image.size


def _is_clear(image: Image.Image) -> bool:
    """Whether some pixel lets see what is behind it."""
    alpha: Any = image.convert("RGBA").getchannel("A").getextrema()
    return bool(alpha[0] < 255)


def _pages(image: Image.Image) -> int:
    """Number of pages or frames. The further pictures of MPO are a phone's previews."""
    try:
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except Exception:  # of any kind: a later page is damaged, the first was read
        return 1


def _opaque(path: Path, image: Image.Image, reading: Reading) -> Image.Image:
    """Any mode -> one without transparency and with 8 bits."""
    if image.mode.startswith(("I", "F")):
        return _to_8_bits(path, image, reading.white)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (reading.ground,) * 3 + (255,))
        return Image.alpha_composite(ground, image.convert("RGBA"))
    if image.mode == "LAB":  # which PIL's own convert cannot
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        assert converted is not None
        return converted
    return image


def _to_8_bits(path: Path, image: Image.Image, white: float) -> Image.Image:
    # PIL's own convert("L") clips 16 bits at 255, which makes most of the picture white.
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    unknown = not image.mode.startswith("I;16")  # 32 bits and floats have no range of their own
    if not (low >= 0 and high <= white) or (unknown and 0 < high < white / 256):
        raise UserError(
            f"{show(path)}: its numbers, {low:g} to {high:g}, have no known range (0 to {white:g} is expected)",
            expected="prepare.white: the number that is white; or 8 or 16 bits",
        )
    return Image.fromarray(np.rint(values / white * 255).astype(np.uint8))
