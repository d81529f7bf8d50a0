"""Any image file becomes the same kind of array, or one clear sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.image.files import MAX_PIXELS, read_image, read_images, read_mask

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)


def save(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **options)
    return path


def flat(mode: str, colour: object, size: tuple[int, int] = (20, 20)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


# --- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm", ".PNG"])
def test_an_image_of_the_wanted_size_keeps_its_exact_values(tmp_path: Path, suffix: str) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a{suffix}", PHOTO), 20), PHOTO)


@pytest.mark.parametrize(
    ("name", "image", "colour"),
    [
        ("grey.png", flat("L", 77), 77),
        ("bit.png", flat("1", 1), 255),
        ("16-bit.png", Image.fromarray(np.full((20, 20), 40000, dtype=np.uint16)), round(40000 / 257)),
        ("16-bit.tiff", Image.fromarray(np.full((20, 20), 65535, dtype=np.uint16)), 255),
        ("32-bit.tiff", Image.fromarray(np.full((20, 20), 2570, dtype=np.int32)), 10),
        ("cmyk.tiff", flat("CMYK", (0, 0, 0, 155)), 100),
        ("rgba.png", flat("RGBA", (250, 0, 0, 0)), 128),
        ("half.png", flat("RGBA", (0, 0, 0, 128)), 64),
        ("la.png", flat("LA", (200, 255)), 200),
        ("palette.png", flat("RGB", (9, 9, 9)).quantize(4), 9),
        ("gif.gif", flat("L", 33), 33),
    ],
)
def test_every_mode_becomes_8_bit_rgb_and_grey(tmp_path: Path, name: str, image: Image.Image, colour: int) -> None:
    path = save(tmp_path / name, image)
    for channels in (1, 3):
        pixels = read_image(path, 10, channels)
        assert pixels.shape == (10, 10, channels)
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - colour).max() <= 1


def test_a_palette_with_a_transparent_colour_is_laid_on_grey(tmp_path: Path) -> None:
    palette = flat("RGB", (200, 0, 0)).quantize(2)
    path = save(tmp_path / "a.png", palette, transparency=palette.getpixel((0, 0)))
    assert (read_image(path, 20) == 128).all()


def test_exif_orientation_turns_the_picture(tmp_path: Path) -> None:
    upright = np.zeros((40, 40, 3), dtype=np.uint8)
    upright[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise to see it upright
    path = save(tmp_path / "a.jpg", np.rot90(upright), exif=exif, quality=95)
    assert np.abs(read_image(path, 40).astype(int) - upright).max() < 10


def test_the_centre_is_kept_and_edges_are_cut(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = PHOTO[:8, :8]
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", wide), 8), PHOTO[:8, :8])


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(read_image(save(tmp_path / "a.png", board), 16).astype(int) - 127).max() <= 3


def test_a_large_jpeg_decoded_reduced_looks_the_same(tmp_path: Path) -> None:
    smooth = Image.fromarray(PHOTO).resize((1600, 1200), Image.Resampling.BICUBIC)
    path = save(tmp_path / "a.jpg", smooth, quality=95)
    whole = Image.open(path).crop((200, 0, 1400, 1200)).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.abs(read_image(path, 32).astype(int) - np.asarray(whole)).max() <= 6


def test_a_mask_follows_the_geometry_of_its_image(tmp_path: Path) -> None:
    mask = np.zeros((8, 24), dtype=bool)
    mask[2:6, 10:12] = True
    image = save(tmp_path / "image.png", np.zeros((8, 24, 3), dtype=np.uint8))
    np.testing.assert_array_equal(read_mask(save(tmp_path / "mask.png", mask), 8, image), mask[:, 8:16])


def test_masks_that_cannot_be_right(tmp_path: Path) -> None:
    image = save(tmp_path / "image.png", PHOTO)
    with pytest.raises(UserError, match=r"black\.png: an empty mask"):
        read_mask(save(tmp_path / "black.png", flat("1", 0)), 8, image)
    with pytest.raises(UserError, match=r"small\.png: 9x20 px, but its image is 20x20"):
        read_mask(save(tmp_path / "small.png", flat("1", 1, (9, 20))), 8, image)


# --- what is refused ----------------------------------------------------------------------------------------------


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, kind)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"these are words, not pixels\n", "not an image"),
        (encoded("png")[:-200], "a.png: "),
        (encoded("jpeg")[:-200], "truncated"),
        (encoded("png")[:30], "a.png: "),
        (bomb(1, 1), "1x1 px"),
        (bomb(3, 500), "3x500 px"),
        (bomb(9000, 9000), "9000x9000 px is too large"),  # over our limit, under PIL's
        (bomb(10_000, 10_000), "too large"),  # where PIL only warns
        (bomb(60_000, 60_000), "too large"),  # where PIL refuses
    ],
)
def test_a_bad_file_is_one_clear_error_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: ") as caught:
        read_image(path, 8)
    assert message in str(caught.value)
    assert MAX_PIXELS < 9000**2  # so that each of the three limits is met


def test_a_file_without_read_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    path = save(tmp_path / "a.png", PHOTO)
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the refusal is made up
    with pytest.raises(UserError, match=r"a\.png: cannot be read: Permission denied"):
        read_image(path, 8)


def test_pixels_without_a_known_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.tiff: .*no known range"):
        read_image(save(tmp_path / "a.tiff", np.ones((9, 9), dtype=np.float32)), 8)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "tiff", "bmp"])
def test_damaged_bytes_are_an_image_or_a_user_error_but_never_a_traceback(tmp_path: Path, kind: str) -> None:
    whole, problems = encoded(kind), Problems("data")
    for _ in range(40):
        damaged = bytearray(whole[: RNG.integers(1, len(whole) + 1)])
        for place in RNG.integers(0, len(damaged), 3):
            damaged[place] = RNG.integers(256)
        (tmp_path / "a").write_bytes(damaged)
        with problems.collect():
            assert read_image(tmp_path / "a", 8).shape == (8, 8, 3)
    assert all(line.startswith(f"{tmp_path}/a: ") for line in problems.found)


def test_many_files_keep_their_order_and_all_bad_ones_are_named(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{number}.png", flat("L", number)) for number in range(50)]
    for number in (7, 31):
        paths[number].write_bytes(b"")
    problems = Problems("data")
    images = read_images(paths, 8, 1, problems)
    assert [number for number in range(50) if (images[number] == number).all()] == [
        number for number in range(50) if number not in (7, 31)
    ]
    assert ["7.png" in problems.found[0], "31.png" in problems.found[1]] == [True, True]
