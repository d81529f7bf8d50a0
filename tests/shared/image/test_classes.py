"""A folder of images becomes arrays with exact values, or one list of everything that is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.core.paths import Project
from shared.data.prepared import Prepared
from shared.data.table import Table
from shared.image import classes as image_classes
from shared.image.classes import mirrored_classes, suggest
from shared.image.params import PrepareImages
from tests.empty_root import checkout, everything_below

__all__ = ["checkout"]

PREPARED = "data/prepared/own"


def prepare(checkout: Path, size: int = 32) -> None:
    params = PrepareImages(
        fit="crop",
        ground=128,
        white=65535.0,
        seed=0,
        image_size=size,
        channels=3,
        valid_fraction=0.1,
        test_fraction=0.2,
    )
    image_classes.prepare(Project("own"), params)


def manifest_of(checkout: Path) -> dict[str, Any]:
    return Prepared(checkout / PREPARED).manifest


def split_of(checkout: Path, name: str) -> Table:
    return Prepared(checkout / PREPARED).table(name)


@pytest.fixture
def raw(checkout: Path) -> Path:
    folder = checkout / "data/raw/own"
    folder.mkdir(parents=True)
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def some_pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fill(root: Path, prefix: str = "", num: int = 10, first: int = 0) -> None:
    for label, name in enumerate(("cat", "dog")):
        for number in range(first, first + num):
            save(root / prefix / name / f"{number}.png", some_pixels(1000 * label + number, 32, 32, 3))


def names_by_split(checkout: Path) -> dict[str, list[str]]:
    manifest = manifest_of(checkout)
    return {name: split_of(checkout, name).strings("id")[:] for name in manifest["splits"]}


def test_class_folders_are_split_and_keep_their_exact_values(raw: Path, checkout: Path) -> None:
    fill(raw)
    prepare(checkout)
    manifest, seen = manifest_of(checkout), []
    assert (manifest["source"], manifest["classes"]) == ("own", ["cat", "dog"])
    for name, count in {"train": 14, "valid": 2, "test": 4}.items():
        split = split_of(checkout, name)
        assert (manifest["splits"][name]["count"], len(split)) == (count, count)
        assert np.bincount(split.fixed("label")).tolist() == [count // 2, count // 2]
        for image, label, id_ in zip(split.fixed("image"), split.fixed("label"), split.strings("id"), strict=True):
            assert id_.startswith(manifest["classes"][label])
            np.testing.assert_array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(raw / id_)))
        seen += split.strings("id")
    assert len(set(seen)) == 20


def test_mean_and_deviation_are_those_of_the_training_pixels(raw: Path, checkout: Path) -> None:
    fill(raw)
    prepare(checkout)
    pixels = split_of(checkout, "train").fixed("image") / 255
    manifest = manifest_of(checkout)
    np.testing.assert_allclose(manifest["mean"], pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(manifest["std"], pixels.std(axis=(0, 2, 3)), rtol=1e-9)


def test_given_splits_are_kept_and_a_missing_one_is_drawn_from_train(raw: Path, checkout: Path) -> None:
    fill(raw, "train")
    fill(raw, "val", num=3, first=50)
    prepare(checkout)
    ids = names_by_split(checkout)
    assert {len(ids["train"]), len(ids["test"])} == {16, 4}
    assert all(name.startswith("val/") for name in ids["valid"])
    assert all(name.startswith("train/") for name in ids["train"] + ids["test"])


def sample_with_evidence(raw: Path) -> None:
    fill(raw, "train")
    fill(raw, "test", num=3, first=50)
    for number in range(50, 53):
        for name in ("cat", "dog"):
            mask = np.zeros((32, 32), dtype=bool)
            mask[number - 50 : 9, 3:7] = True
            save(raw / "evidence" / name / f"{number}.png", mask)
    (raw / "source.json").write_text('{"source": "sample"}')


def test_a_sample_brings_its_evidence_for_test_only(raw: Path, checkout: Path) -> None:
    sample_with_evidence(raw)
    prepare(checkout)
    assert manifest_of(checkout)["source"] == "sample"
    test = split_of(checkout, "test")
    for mask, id_ in zip(test.fixed("evidence"), test.strings("id"), strict=True):
        np.testing.assert_array_equal(mask, np.asarray(Image.open(raw / id_.replace("test/", "evidence/"))))
    assert "evidence" not in split_of(checkout, "train")


def test_a_missing_mask_is_named(raw: Path, checkout: Path) -> None:
    sample_with_evidence(raw)
    (raw / "evidence/cat/51.png").unlink()
    with pytest.raises(UserError, match=r"evidence/cat/51\.png: no mask of test/cat/51\.png"):
        prepare(checkout)


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_all_problems_at_once_and_the_old_data_as_they_were(
    raw: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(raw, "train")
    prepare(checkout)
    before = manifest_of(checkout)

    whole = (raw / "train/cat/0.png").read_bytes()
    bad = {"truncated": whole[:-900], "zero": b"", "text": b"words", "leak": whole, "secret": whole + b"."}
    for name, content in bad.items():
        path = raw / ("test" if name == "leak" else "train") / "cat" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    save(raw / "train/dog/tiny.png", some_pixels(0, 1, 1, 3))
    save(raw / "train/dog/HUGE.png", some_pixels(0, 90, 90, 3))
    save(raw / "train/dog/huge.png", some_pixels(77, 32, 32, 3))
    monkeypatch.setattr("shared.image.files.MAX_PIXELS", 8000)
    open_ = Path.open

    def refuse(self: Path, *args: object, **options: object) -> object:
        if self.name == "secret.png":
            raise PermissionError(13, "Permission denied", str(self))
        return open_(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"^error: data/raw/own: 8 problems") as caught:
        prepare(checkout)
    for name in ("truncated", "zero", "text", "secret", "tiny", "HUGE", "leak"):
        assert f"{name}.png" in caught.value.what
    assert "'HUGE.png' and 'huge.png'" in caught.value.what
    assert manifest_of(checkout) == before
    assert everything_below(checkout / "data/prepared")[0] == "own"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "no such folder"),
        ([], "no images"),
        (["cat/1.png"], "one class only"),
        (["cat/1.png", "dog/1.png", "stray.png"], "stray.png: an image outside of a class folder"),
        (["train/cat/1.png", "train/dog/1.png", "test/1.png", "test/2.png"], "data/raw/own/test: 2 images outside"),
        (["train/1.png", "train/2.png", "test1/1.png", "test1/2.png"], "train: 2 images outside of a class"),
        (["train/cat/1.png", "train/dog/1.png", "pred/1.png"], "pred: beside train, .*move it elsewhere"),
        (["images/1.png", "masks/1.png"], "images and masks look like images with masks, not classes"),
        (["train/img/1.png", "train/gt/1_m.png"], "gt and img look like images with masks"),
        (["JPEGImages/1.png", "SegmentationClass/1.png", "labels/1.png"], "look like images with masks"),
    ],
)
def test_data_that_are_none(checkout: Path, names: list[str] | None, message: str) -> None:
    if names is not None:
        (checkout / "data/raw/own").mkdir(parents=True)
        for name in names:
            save(checkout / "data/raw/own" / name, some_pixels(0, 32, 32, 3))
    with pytest.raises(UserError, match=f"data/raw/own: (.|\n)*{message}"):
        prepare(checkout)
    assert not (checkout / "data/prepared").exists()


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "Photos.RAR"])
def test_data_still_packed(raw: Path, checkout: Path, name: str) -> None:
    (raw / name).write_bytes(b"PK\3\4")
    with pytest.raises(UserError, match=f"1 problem\n.*{name}: an archive, expected the images in it: unpack it"):
        prepare(checkout)
    with pytest.raises(UserError, match=f"{name}: a file(.|\n)*unpack it"):
        suggest(raw / name)


def test_masks_as_names_of_classes_are_fine(raw: Path, checkout: Path) -> None:
    for label, name in enumerate(("mask", "no_mask")):
        for number in range(10):
            save(raw / name / f"{number}.png", some_pixels(100 * label + number, 32, 32, 3))
    prepare(checkout)
    assert manifest_of(checkout)["classes"] == ["mask", "no_mask"]


def test_equal_names_in_all_classes_are_worth_a_word(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, name in enumerate(("left_eye", "right_eye")):
        for number, person in enumerate(("ada", "bo", "cy", "di", "ed", "flo")):
            save(raw / name / f"{person}.png", some_pixels(100 * label + number, 32, 32, 3))
    suggest(raw)
    assert "all classes hold the same 6 file names (ada, ...)" in capsys.readouterr().out


def test_what_is_lost_is_printed_and_stands_on_the_page(
    raw: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        save(raw / "ab"[number % 2] / f"{number}.png", some_pixels(number, 20, 60, 3))
        (raw / "ab"[number % 2] / f"{number}.txt").write_text("1 2")
    prepare(checkout)
    told = capsys.readouterr().out
    page = Prepared(checkout / PREPARED).read("page.json")
    for line in (
        "20 images not square: the crop leaves out 67% of their area on average, 67% at most (a/0.png); "
        "prepare.fit=pad keeps all.",
        "left out, no images by their suffix: 20 files (20 .txt; first: data/raw/own/a/0.txt).",
    ):
        assert line in told
        assert line in str(page)


# --- what is suggested ----------------------------------------------------------------------------------------------


def test_small_squares_keep_their_size_and_grey_needs_one_channel(raw: Path) -> None:
    for label, name in enumerate(("a", "b")):
        for number in range(20):
            save(raw / name / f"{number}.png", some_pixels(100 * label + number, 28, 28))
    assert suggest(raw)[0] == {
        "prepare.image_size": 28,
        "prepare.channels": 1,
        "prepare.fit": "crop",
        "prepare.ground": 128,
        "prepare.white": 65535.0,
        "train.batch_size": 8,
        "train.micro_batch_size": 8,
        "train.epochs": 100.0,  # three updates each
    }


@pytest.mark.parametrize(("sides", "expected"), [((20, 24), 32), ((50, 60), 48), ((300, 90), 64)])
def test_other_sizes_are_rounded_down_to_what_is_worth_its_time(
    raw: Path, sides: tuple[int, int], expected: int
) -> None:
    for number in range(8):
        save(raw / "ab"[number % 2] / f"{number}.png", some_pixels(number, *sides, 3))
    suggested = suggest(raw)[0]
    assert (suggested["prepare.image_size"], suggested["prepare.channels"]) == (expected, 3)
    assert suggested["train.batch_size"] == 4  # all there are to train on


def test_many_images_need_fewer_epochs(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(raw, num=60)
    monkeypatch.setattr(image_classes, "_UPDATES", 100)
    assert suggest(raw)[0]["train.epochs"] == round(100 / (86 // 8))


@pytest.mark.parametrize(
    ("pixels", "key", "value"),
    [
        (lambda seed: some_pixels(seed, 20, 50), "fit", "pad"),
        (lambda seed: some_pixels(seed, 30, 45), "fit", "crop"),
        (lambda seed: np.pad(some_pixels(seed, 20, 20), 4, constant_values=255), "ground", 255),
        (lambda seed: np.pad(some_pixels(seed, 20, 20), 4), "ground", 0),
        (lambda seed: some_pixels(seed, 20, 20), "ground", 128),
        (lambda seed: some_pixels(seed, 20, 20).astype(np.int32), "white", 255.0),
        (lambda seed: some_pixels(seed, 20, 20).astype(np.uint16) * 16, "white", 4095.0),
        (lambda seed: (some_pixels(seed, 20, 20) / 255).astype(np.float32), "white", 1.0),
        (lambda seed: some_pixels(seed, 20, 20).astype(np.uint16) * 257, "white", 65535.0),
    ],
)
def test_how_to_read_is_suggested_by_the_files(raw: Path, pixels: Any, key: str, value: object) -> None:
    for number in range(8):
        save(raw / "ab"[number % 2] / f"{number}.tiff", pixels(number))
    assert suggest(raw)[0][f"prepare.{key}"] == value


def test_what_was_taken_is_said(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(raw, "pets/train", num=3)
    fill(raw, "pets/test", num=2, first=50)
    suggest(raw)
    assert capsys.readouterr().out.splitlines() == [
        "10 images of 2 classes: cat (5), dog (5); splits: train 6, test 4; first: pets/test/cat/50.png.",
        "read from data/raw/own/pets, the only folder there.",
    ]


def ramp(seed: int, low: int, high: int) -> np.ndarray:
    """Brighter from left to right, or from right to left, and noise."""
    noise = np.random.default_rng(seed).integers(-20, 21, (24, 24))
    return (np.linspace(low, high, 24).round().astype(int)[None] + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("ends", "pairs"),
    [
        ([(60, 190), (190, 60)], [("a", "b")]),
        ([(60, 190), (60, 190)], []),
        ([(60, 190), (125, 125), (190, 60)], [("a", "c")]),
        ([(125, 125), (125, 125)], []),
        ([(60, 190), (110, 125)], []),
    ],
)
def test_classes_that_mirroring_exchanges_are_found(
    raw: Path, ends: list[tuple[int, int]], pairs: list[tuple[str, str]]
) -> None:
    for label, (low, high) in enumerate(ends):
        for number in range(12):
            save(raw / "abc"[label] / f"{number}.png", ramp(100 * label + number, low, high))
    assert mirrored_classes(suggest(raw)[1]) == pairs
