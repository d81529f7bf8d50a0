"""Any image file becomes the same kind of array, or one clear sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import Problems, UserError
from shared.image import files
from shared.image.files import MAX_PIXELS, image_size
from shared.image.losses import Seen, loss_lines
from shared.image.params import Reading

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)


def reading(size: int, channels: int = 3, **changes: object) -> Reading:
    values = {"image_size": size, "channels": channels, "fit": "crop", "ground": 128, "white": 65535.0}
    return Reading.model_validate(values | changes)


def read_image(path: Path, size: int, channels: int = 3, **changes: object) -> np.ndarray:
    return files.read_image(path, reading(size, channels, **changes))


def read_mask(path: Path, size: int, image: Path, **changes: object) -> np.ndarray:
    return files.read_mask(path, reading(size, **changes), image)


def see(path: Path, **changes: object) -> Seen:
    return files.read_seen(path, reading(16, **changes))[1]


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


# --- metadata, and what a reading says ------------------------------------------------------------------------------

TOP = np.zeros((40, 40, 3), dtype=np.uint8)
TOP[:20] = 255  # white above, when upright


def raw_exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block of (tag, type, count, value of four bytes), as it stands in the file, right or wrong."""
    table = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


SIDE = (0x0112, 3, 1, b"\6\0\0\0")  # orientation 6: turn by 90 degrees clockwise
ODD = [
    (0x011A, 2, 3, b"72\0\0"),  # XResolution as text
    (0x011A, 5, 1, b"\xff\xff\xff\x7f"),  # a rational beyond the end of the file
    (0x8769, 2, 2, b"x\0\0\0"),  # the place of the EXIF part as text
    (0x0132, 7, 4, b"\xff\xfe\0\1"),  # a date of raw bytes
]


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_badly_typed_tag_leaves_a_good_orientation_in_force(
    tmp_path: Path, odd: tuple[int, int, int, bytes], suffix: str
) -> None:
    path = save(tmp_path / f"a.{suffix}", np.rot90(TOP), exif=raw_exif(SIDE, odd), quality=95)
    assert np.abs(read_image(path, 40).astype(int) - TOP).max() < 12


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0" * 2 + raw_exif(SIDE),
        raw_exif((0x0112, 3, 1, b"\x09\0\0\0")),
        raw_exif((0x0112, 2, 2, b"6\0\0\0")),
    ],
)
def test_an_orientation_that_cannot_be_read_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    path = save(tmp_path / "a.jpg", TOP, exif=exif, quality=95)
    assert np.abs(read_image(path, 40).astype(int) - TOP).max() < 12


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_size_pixels_and_mask_of_a_turned_image_agree(tmp_path: Path, turn: int, suffix: str) -> None:
    upright = Image.fromarray(np.pad(TOP, ((0, 0), (0, 20), (0, 0))))  # 60 wide, 40 high
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]  # PIL's numbers of the inverse turns
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = turn
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif, quality=98)
    assert image_size(path) == (60, 40)
    assert np.abs(read_image(path, 40).astype(int) - np.asarray(upright)[:, 10:50]).max() < 20
    mask = read_mask(save(tmp_path / "mask.png", np.asarray(upright)[..., 0] > 0), 40, path)
    assert np.array_equal(mask, np.asarray(upright)[:, 10:50, 0] > 0)


def test_pad_and_squash_keep_what_a_crop_leaves_out(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 30:] = 255
    path = save(tmp_path / "a.png", wide)
    assert read_image(path, 10).max() == 0
    padded = read_image(path, 40, fit="pad", ground=200)
    assert np.array_equal(padded[15:25], wide)
    assert (padded[:15] == 200).all()
    assert (padded[25:] == 200).all()
    squashed = read_image(path, 40, fit="squash")
    assert (squashed[:, 32:].min(), squashed[:, :28].max()) == (255, 0)
    mask = save(tmp_path / "mask.png", wide[..., 0])
    assert np.array_equal(read_mask(mask, 40, path, fit="pad", ground=200), padded[..., 0] == 255)


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_transparency_is_laid_on_the_ground(tmp_path: Path, ground: int) -> None:
    path = save(tmp_path / "a.png", flat("RGBA", (9, 9, 9, 0)))
    assert (read_image(path, 20, ground=ground) == ground).all()


@pytest.mark.parametrize(
    ("values", "white", "expected"),
    [
        (np.array([0, 100, 255], dtype=np.int32), 255.0, [0, 100, 255]),
        (np.array([0, 1000, 4095], dtype=np.uint16), 4095.0, [0, 62, 255]),
        (np.array([0.0, 0.5, 1.0], dtype=np.float32), 1.0, [0, 128, 255]),
        (np.array([0, 257, 65535], dtype=np.uint16), 65535.0, [0, 1, 255]),
    ],
)
def test_numbers_of_more_than_8_bits_fill_the_range_up_to_white(
    tmp_path: Path, values: np.ndarray, white: float, expected: list[int]
) -> None:
    path = save(tmp_path / "a.tiff", np.repeat(values, 8)[None].repeat(24, axis=0))
    assert read_image(path, 24, 1, white=white)[0, ::8, 0].tolist() == expected
    assert see(path, white=white).brightest == values.max()


def test_lab_of_scanners_has_its_colours(tmp_path: Path) -> None:
    lab = np.zeros((20, 20, 3), dtype=np.uint8)
    lab[...] = (136, 208 - 128, 195 - 128)  # red: L 53 of 100, a 80, b 67, signed in the file
    path = save(tmp_path / "a.tif", Image.frombytes("LAB", (20, 20), lab.tobytes()))
    assert np.abs(read_image(path, 20).astype(int) - (255, 0, 0)).max() < 12


# --- what is lost, and said -----------------------------------------------------------------------------------------


def cut_jpeg(path: Path) -> Path:
    """Ends in the middle, with an end marker: no decoder complains."""
    save(path, Image.fromarray(PHOTO).resize((128, 128)), quality=90)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    return path


def test_each_loss_is_counted_and_said(tmp_path: Path) -> None:
    pages = [flat("L", level) for level in (10, 20, 30)]
    seen = [
        see(save(tmp_path / "wide.png", RNG.integers(0, 256, (20, 80), dtype=np.uint8))),
        see(save(tmp_path / "clear.png", flat("RGBA", (9, 9, 9, 0)))),
        see(save(tmp_path / "pages.tif", Image.fromarray(PHOTO), save_all=True, append_images=pages)),
        see(save(tmp_path / "deep.png", RNG.integers(0, 4096, (20, 20)).astype(np.uint16))),
        see(cut_jpeg(tmp_path / "cut.jpg")),
        see(save(tmp_path / "black.png", flat("RGB", 0))),
        see(save(tmp_path / "photo.png", PHOTO)),
    ]
    lines = loss_lines(seen, reading(16))
    assert [line.split(":")[0] for line in lines] == [
        "1 image not square",
        "1 image of more than 8 bits",
        "1 image transparent",
        "1 image of several pages or frames, up to 4 (" + str(tmp_path / "pages.tif") + ")",
        "1 image ending in plain grey, up to " + f"{seen[4].grey_end:.0%} of the height ({tmp_path / 'cut.jpg'})",
        f"2 images of one even colour, with nothing to see (first{lines[-1][lines[-1].index(':') :]}".split(":")[0],
    ]
    assert "75% of their area" in lines[0]
    assert "brightest grey level: 16 of 255" in lines[1]
    assert 0.3 < seen[4].grey_end < 0.7
    assert loss_lines(seen[-1:], reading(16)) == []


@pytest.mark.parametrize(
    ("name", "image", "lost"),
    [
        ("grey.png", flat("RGB", (128, 128, 128)), "even"),  # no JPEG, and all of it
        ("opaque.png", flat("RGBA", (9, 9, 9, 255)), "even"),  # an alpha channel that hides nothing
        ("film.gif", flat("L", 33), "even"),
    ],
)
def test_what_is_not_lost_is_not_said(tmp_path: Path, name: str, image: Image.Image, lost: str) -> None:
    (line,) = loss_lines([see(save(tmp_path / name, image))], reading(16))
    assert lost in line


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
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400), "HEIC, a phone's format"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom" + bytes(400), "a video"),
        (b"\r\n <!DOCTYPE html><title>404</title>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\3\4" + bytes(100), "a zip archive"),
        (bytes(128) + b"DICM" + bytes(100), "DICOM"),
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
    for values, white in ((np.ones((9, 9), dtype=np.float32), 65535.0), (np.full((9, 9), 255, np.int32), 65535.0),
                          (np.full((9, 9), 300, np.int32), 255.0), (np.full((9, 9), -1, np.int32), 255.0),
                          (np.full((9, 9), np.nan, np.float32), 1.0)):  # fmt: skip
        with pytest.raises(UserError, match=r"a\.tiff: .*no known range"):
            read_image(save(tmp_path / "a.tiff", values), 8, white=white)


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
    images, seen = files.read_images({path.stem: path for path in paths}, reading(8, 1), problems)
    assert [one.id for one in seen] == [str(number) for number in range(50) if number not in (7, 31)]
    assert [number for number in range(50) if (images[number] == number).all()] == [
        number for number in range(50) if number not in (7, 31)
    ]
    assert ["7.png" in problems.found[0], "31.png" in problems.found[1]] == [True, True]
