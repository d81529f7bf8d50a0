"""The data check finds copies whatever was done to their files, leaves other images alone, and names what is wrong."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared.data.folder import SampleFile
from tools.check.__main__ import as_lines, holds_images, locate, main
from tools.check.blocks import finding_blocks, with_rest
from tools.check.findings import Findings, examine, find_hints
from tools.check.near_copies import LEAST_LIKENESS, SIDE, align, find_pairs, likeness, warp

DRAW = np.random.default_rng(0)
COUNT, PX = 60, 96
HOSTILE = "<script>alert(1)<&\x1b[2J.png"


def picture(draw: np.random.Generator) -> Image.Image:
    """What photographs have in common: a spectrum that falls as 1/f, some colour, and a shape with edges."""
    waves = np.hypot(np.fft.fftfreq(PX)[:, None], np.fft.fftfreq(PX)) + 1 / PX
    noise = np.fft.ifft2(np.fft.fft2(draw.normal(size=(3, PX, PX))) / waves).real
    noise = noise[:1] + 0.3 * noise[1:].repeat(2, axis=0)[:3]
    rows, columns = np.indices((PX, PX)) - draw.uniform(0.3, 0.7, (2, 1, 1)) * PX
    shape = np.hypot(rows, columns * draw.uniform(0.5, 2)) < draw.uniform(0.1, 0.3) * PX
    values = noise / noise.std() * 40 + 128 + shape * draw.uniform(-80, 80, (3, 1, 1))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


PICTURES = [picture(DRAW) for _ in range(COUNT)]
THUMBNAILS = np.stack([small(image) for image in PICTURES])


def saved(image: Image.Image, kind: str, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(buffer).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 40": lambda image: saved(image, "JPEG", 40),
    "webp": lambda image: saved(image, "WEBP", 60),
    "half": lambda image: image.resize((PX // 2, PX // 2), Image.Resampling.LANCZOS),
    "double": lambda image: image.resize((2 * PX, 2 * PX), Image.Resampling.LANCZOS),
    "5% off each side": lambda image: image.crop((5, 5, PX - 5, PX - 5)),
    "5% off two sides": lambda image: image.crop((5, 5, PX, PX)),
    "cropped, the old size": lambda image: image.resize((PX, PX), box=(5, 1, PX - 2, PX - 4)),
}


# --- pairs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_copy_is_found_with_its_original_and_nothing_else(kind: str, mirrored: bool) -> None:
    copies = np.stack([small(COPIES[kind](image)) for image in PICTURES[:20]])
    pairs = find_pairs(np.concatenate([THUMBNAILS, copies[:, :, ::-1] if mirrored else copies]))
    assert sorted(map(tuple, pairs.ends.tolist())) == [(number, COUNT + number) for number in range(20)]
    assert (pairs.mirrored == mirrored).all()
    assert (pairs.likeness >= LEAST_LIKENESS).all()


@pytest.mark.parametrize("count", [1, 2, COUNT])
def test_different_images_noise_and_single_colours_are_no_copies(count: int) -> None:
    noise = DRAW.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    flat = np.broadcast_to(DRAW.integers(0, 256, (count, 1, 1, 3), dtype=np.uint8), noise.shape)
    assert len(find_pairs(THUMBNAILS[:count]).ends) == 0
    assert len(find_pairs(np.concatenate([noise, flat])).ends) == 0


def test_the_same_shape_in_another_colour_is_another_image() -> None:
    shape = np.indices((SIDE, SIDE)).sum(axis=0)[..., None] // 9 % 2
    red, blue = (np.uint8(shape * np.array(colour))[None] for colour in ([200, 30, 30], [30, 80, 200]))
    assert likeness(red, red, np.array([False])) == pytest.approx(1, abs=0.01)
    assert likeness(red, blue, np.array([False])) == 0


def test_a_symmetric_image_and_its_copy_are_not_called_mirrored() -> None:
    symmetric = np.concatenate([THUMBNAILS[0][:, : SIDE // 2], THUMBNAILS[0][:, SIDE // 2 - 1 :: -1]], axis=1)
    brighter = np.minimum(symmetric, 250) + 3
    pairs = find_pairs(np.stack([symmetric, brighter.astype(np.uint8), *THUMBNAILS[1:5]]))
    assert (pairs.ends.tolist(), pairs.mirrored.tolist()) == ([[0, 1]], [False])


def test_alignment_recovers_scale_and_shift_and_marks_what_lies_outside() -> None:
    planes = torch.from_numpy(THUMBNAILS[:, None, :, :, 1] / np.float32(255))
    change = torch.tensor([[-0.08, 0.03], [-0.04, -0.05]]).expand(COUNT, 2, 2)
    moved, inside = warp(planes, change)
    assert inside.all()
    torch.testing.assert_close(align(planes, moved).median(0).values, change[0], atol=0.005, rtol=0)
    _, inside = warp(planes, torch.tensor([[0, 0.5], [0, 0]]).expand(COUNT, 2, 2))
    assert inside.mean().item() == pytest.approx(0.75)  # half a side is 1: a shift by a quarter of the side


# --- folders ------------------------------------------------------------------------------------------------------


def fill(root: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """3 images, all different, in each of two classes of each split, as PNG."""
    numbers = iter(range(COUNT))
    for folder in [root / split / name for split in splits for name in "ab"]:
        folder.mkdir(parents=True)
        for number in [next(numbers) for _ in range(3)]:
            PICTURES[number].save(folder / f"{number}.png")
    return root


def copy(root: Path, of: str, name: str) -> None:
    (root / name).write_bytes((root / of).read_bytes())


def groups(found: Findings) -> list[tuple[str, list[str]]]:
    return [(group.kind, [file.id for file in group.members]) for group in found.groups]


def test_a_folder_without_copies_is_fine(tmp_path: Path) -> None:
    found = examine(fill(tmp_path))
    assert (found.groups, found.leaks, found.damaged, found.problems, len(found.images)) == ([], [], [], [], 12)


def test_copies_of_one_image_are_one_group_and_only_the_same_bytes_are_exact(tmp_path: Path) -> None:
    fill(tmp_path)
    copy(tmp_path, "train/a/0.png", "train/a/again.png")
    copy(tmp_path, "train/a/1.png", "train/a/x1.png")
    PICTURES[1].save(tmp_path / "train/a/small.jpg", quality=60)
    PICTURES[4].transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "train/b/flipped.jpg", quality=80)
    found = examine(tmp_path)
    assert groups(found) == [
        ("exact", ["train/a/0.png", "train/a/again.png"]),
        ("near", ["train/a/1.png", "train/a/small.jpg", "train/a/x1.png"]),
        ("mirrored", ["train/b/4.png", "train/b/flipped.jpg"]),
    ]
    assert LEAST_LIKENESS <= found.groups[1].likeness < found.groups[0].likeness == 1


@pytest.mark.parametrize(
    ("name", "leaks", "classes"),
    [("train/a/x.jpg", False, ["a"]), ("train/b/x.jpg", False, ["a", "b"]), ("test/a/x.jpg", True, ["a"])],
)
def test_only_copies_in_two_splits_leak(tmp_path: Path, name: str, leaks: bool, classes: list[str]) -> None:
    PICTURES[0].save(fill(tmp_path) / name, quality=80)
    found = examine(tmp_path)
    assert [group.classes for group in found.groups] == [classes]
    assert found.leaks == (found.groups if leaks else [])


@pytest.mark.parametrize("splits", [(".",), ("train",), ("train", "valid")])
def test_without_test_near_copies_leak_and_exact_ones_do_not(tmp_path: Path, splits: tuple[str, ...]) -> None:
    fill(tmp_path, splits)
    copy(tmp_path, f"{splits[0]}/a/0.png", f"{splits[0]}/a/x.png")
    PICTURES[3].save(tmp_path / splits[0] / "b/x.jpg", quality=80)
    found = examine(tmp_path)
    assert [group.kind for group in found.groups] == ["exact", "near"]
    assert found.leaks == found.groups[1:]


def test_what_prepare_refuses_is_a_fault(tmp_path: Path) -> None:
    """The same file under two classes, or in two splits."""
    copy(fill(tmp_path), "train/a/0.png", "train/b/x.png")
    copy(tmp_path, "train/a/1.png", "test/a/x.png")
    found = examine(tmp_path)
    assert sorted(line.rpartition(", ")[2] for line in found.problems) == ["in another split", "under another class"]
    assert list(found.faults.values()) == [0, 2, 1, 1]


def test_images_without_classes_are_checked_and_called_so(tmp_path: Path) -> None:
    for number in range(4):
        PICTURES[number].save(tmp_path / f"{number}.png")
    PICTURES[0].save(tmp_path / "again.jpg", quality=80)
    found = examine(tmp_path)
    assert found.what.startswith("images without classes: 5 ")
    assert (found.problems, [group.kind for group in found.leaks]) == ([], ["near"])


@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_files_of_more_bits_are_read_as_make_new_reads_them(tmp_path: Path, white: int) -> None:
    fill(tmp_path)
    for number in (20, 21):
        grey = np.asarray(PICTURES[number].convert("L")).astype(np.int32)
        Image.fromarray(grey * white // max(1, grey.max())).save(tmp_path / f"train/a/{number}.tiff")
    PICTURES[20].convert("L").save(tmp_path / "train/a/plain.png")
    found = examine(tmp_path)
    assert found.damaged == []
    assert groups(found) == [("near", ["train/a/20.tiff", "train/a/plain.png"])]
    assert any(f"numbers up to {white:,}, with {white:,} as white" in note for note in found.notes)


def test_images_are_compared_whole_and_upright(tmp_path: Path) -> None:
    fill(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    turned = PICTURES[30].resize((96, 48))
    turned.rotate(90, expand=True).save(tmp_path / "train/a/turned.jpg", exif=exif, quality=95)
    turned.save(tmp_path / "train/a/upright.png")
    for name, sides in (("train/a/wide.png", PICTURES[21]), ("train/b/wide.png", PICTURES[22])):
        wide = Image.new("RGB", (3 * PX, PX))  # the central squares are equal
        for place, part in enumerate((sides, PICTURES[20], sides)):
            wide.paste(part, (PX * place, 0))
        wide.save(tmp_path / name)
    assert groups(examine(tmp_path)) == [("near", ["train/a/turned.jpg", "train/a/upright.png"])]


def test_a_wrong_label_is_hinted_at() -> None:
    patterns = DRAW.integers(0, 200, (2, 4, 4, 3)).repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    labels = np.repeat([0, 1], 150)
    images = (patterns[labels] + DRAW.integers(0, 55, (300, SIDE, SIDE, 3))).astype(np.uint8)
    files = [SampleFile(Path(str(number)), str(number), "ab"[label], None) for number, label in enumerate(labels)]
    assert find_hints(files, images, np.arange(300)) == ([], 1.0)
    files[7] = SampleFile(Path("7"), "7", "b", None)
    hints, trust = find_hints(files, images, np.arange(300))
    assert (hints, trust) == ([(files[7], "a")], pytest.approx(299 / 300))
    assert find_hints(files, images, np.arange(10, 15)) == ([], None)


# --- page and command line ----------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def call(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["check", *map(str, words)])
        try:
            return main()
        except SystemExit as end:
            return int(end.code or 0)

    return call


@pytest.mark.parametrize(("extra", "status"), [("", 0), (f"test/a/{HOSTILE}", 1), ("train/a/bad.png", 1)])
def test_exit_status_and_page(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str], extra: str, status: int
) -> None:
    root = fill(tmp_path / "data")
    (root / "train/a/notes.txt").write_text("mine")
    if status:
        copy(root, "train/a/0.png" if "script" in extra else "train/a/notes.txt", extra)
    assert run(root, "--page", tmp_path / "deep/page.html") == status
    told, html = capsys.readouterr().out, (tmp_path / "deep/page.html").read_text(encoding="utf-8")
    assert "page: " in told
    assert "\x1b" not in told
    assert "left out, no images by their suffix: 1 file (1 .txt; first: " in told
    assert all(Path(extra).name[8:15] in text for text in (told, html))
    assert "<script" not in html
    assert "All projects" not in html
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert html.count("<img") == (2 if "script" in extra else 0)


def test_what_cannot_be_checked_is_one_error(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("empty", "bad/a"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bad/a/1.png").write_bytes(b"")
    for folder, message in [
        ("empty", "no labelled images, no texts that can be read"),
        ("bad", "none of its 1 images can be read"),
        ("missing", "no such file or folder"),
    ]:
        assert run(tmp_path / folder, "--page", tmp_path / "page.html") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
    assert [run(), run("--unknown")] == [2, 2]


def test_a_project_means_its_raw_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.check.__main__.ROOT", tmp_path)
    monkeypatch.setattr("shared.core.paths.ROOT", tmp_path)
    (tmp_path / "data/raw/flowers").mkdir(parents=True)
    assert locate(str(tmp_path / "projects/flowers")) == (tmp_path / "data/raw/flowers", "flowers")
    assert locate(str(tmp_path / "data/raw/flowers")) == (tmp_path / "data/raw/flowers", None)


def sample(name: str, class_name: str) -> SampleFile:
    return SampleFile(Path(name), name, class_name, None)


@pytest.mark.parametrize("count", [20, 21, 199, 201, 1234])
def test_long_lists_are_cut_with_true_counts(count: int) -> None:
    """The page and the terminal count what they leave out, each for itself."""
    problems = [f"problem {number}" for number in range(count)]
    found = Findings("images", [sample("a/1.png", "a")], problems, [], [], [], None, [])
    blocks = list(finding_blocks(found, Path("album")))
    told = "\n".join(as_lines(blocks))
    page = [block["text"] for block in with_rest(blocks) if "and" in block.get("text", "") and "more" in block["text"]]
    assert ("problem 19\n" in told, "problem 20\n" in told) == (True, False)
    assert re.findall(r"\.\.\. and (.*) more", told) == ([f"{count - 20:,}"] if count > 20 else [])
    assert page == ([f"... and {count - 200:,} more"] if count > 200 else [])


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (["a/1.png", "a/1.txt", "b/2.jpg", "b/2.txt"], True),  # labels beside each image
        (["images/1.png", "images/2.jpg", "labels/1.txt", "labels/2.txt", "boxes/1.json", "boxes/2.json"], True),
        (["1.jpg", "2.jpg", "3.jpg", "train.csv"], True),
        (["a/1.png"], True),
        (["reviews.csv", "chart.png"], False),
        (["pos/1.txt", "pos/2.txt", "neg/3.txt", "neg/logo.gif"], False),
        (["train.jsonl.gz"], False),
        ([".cache/1.png", "@eaDir/2.png", "a.conll"], False),
        ([], False),
    ],
)
def test_images_and_texts_are_told_apart(tmp_path: Path, names: list[str], images: bool) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert holds_images(tmp_path) == images
