"""The data check names what would spoil a training, and its exit status says whether there is such a thing."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.core.paths import ROOT
from tests.shared.data.test_near_duplicates import PICTURES, SIDE
from tools.check.__main__ import lines, locate, main, parse
from tools.check.copies import Group
from tools.check.findings import balance, caution, class_counts, examine, modes, sizes
from tools.check.labels import find_hints
from tools.check.page import page

HOSTILE = "<script>alert(1)<&.png"


def fill(root: Path, classes: str = "ab", splits: tuple[str, ...] = ("train", "test"), each: int = 3) -> Path:
    """Pictures that are all different, as PNG."""
    numbers = iter(range(len(PICTURES)))
    for split in splits:
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for _ in range(each):
                number = next(numbers)
                PICTURES[number].save(folder / f"{number}.png")
    return root


def copy(root: Path, of: str, name: str) -> None:
    (root / name).write_bytes((root / of).read_bytes())


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["check", *map(str, words)])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0)


def ids(root: Path) -> list[list[str]]:
    found = examine(root)
    return [[found.pictures[member].file.id for member in group.members] for group in found.groups]


# --- copies -------------------------------------------------------------------------------------------------------


def test_a_folder_without_copies_is_fine(tmp_path: Path) -> None:
    found = examine(fill(tmp_path))
    assert (found.groups, found.unreadable, found.problems, found.is_fine) == ([], [], [], True)


def test_the_same_bytes_or_pixels_are_exact_copies(tmp_path: Path) -> None:
    fill(tmp_path)
    copy(tmp_path, "train/a/0.png", "train/a/again.png")
    PICTURES[4].save(tmp_path / "train/b/4.bmp")
    found = examine(tmp_path)
    assert [group.kind for group in found.groups] == ["exact", "exact"]
    assert ids(tmp_path) == [["train/a/0.png", "train/a/again.png"], ["train/b/4.bmp", "train/b/4.png"]]


def test_near_and_exact_copies_of_one_picture_are_one_group(tmp_path: Path) -> None:
    fill(tmp_path)
    copy(tmp_path, "train/a/0.png", "train/a/again.png")
    PICTURES[0].save(tmp_path / "train/a/small.jpg", quality=60)
    (group,) = examine(tmp_path).groups
    assert (group.kind, len(group.members)) == ("near", 3)
    assert 0.75 <= group.likeness < 1


@pytest.mark.parametrize(
    ("name", "leaks", "contradicts", "fine"),
    [("train/a/x.jpg", 0, 0, True), ("train/b/x.jpg", 0, 1, True), ("test/a/x.jpg", 1, 0, False)],
)
def test_only_copies_in_two_splits_leak(tmp_path: Path, name: str, leaks: int, contradicts: int, fine: bool) -> None:
    PICTURES[0].save(fill(tmp_path) / name, quality=80)
    found = examine(tmp_path)
    assert (len(found.groups), len(found.leaks), len(found.contradictions)) == (1, leaks, contradicts)
    assert found.is_fine == fine


def test_without_splits_nothing_leaks(tmp_path: Path) -> None:
    fill(tmp_path, splits=(".",))
    copy(tmp_path, "a/0.png", "b/x.png")
    found = examine(tmp_path)
    assert (found.has_splits, found.leaks, len(found.contradictions)) == (False, [], 1)


def test_many_near_copies_come_with_a_caution_and_exact_ones_do_not(tmp_path: Path) -> None:
    found = examine(fill(tmp_path))
    numbers = list(range(len(found.pictures)))
    assert "100% of the images" in caution(replace(found, groups=[Group("near", numbers, 0.8)]))
    assert caution(replace(found, groups=[Group("near", numbers[:1], 0.8)])) == ""
    assert caution(replace(found, groups=[Group("exact", numbers, 1.0)])) == ""


def test_a_wide_copy_is_compared_whole(tmp_path: Path) -> None:
    fill(tmp_path)
    one, other, third = PICTURES[20], PICTURES[21], PICTURES[22]
    for name, right in (("train/a/wide.png", other), ("train/b/wide.png", third)):
        wide = Image.new("RGB", (288, 96))  # the central squares are equal
        for place, part in enumerate((right, one, right)):
            wide.paste(part, (96 * place, 0))
        wide.save(tmp_path / name)
    assert ids(tmp_path) == []


def test_a_turned_picture_is_compared_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    wide = PICTURES[30].resize((96, 48))
    wide.rotate(90, expand=True).save(fill(tmp_path) / "train/a/turned.jpg", exif=exif, quality=95)
    wide.save(tmp_path / "train/a/upright.png")
    assert ids(tmp_path) == [["train/a/turned.jpg", "train/a/upright.png"]]
    assert {(picture.width, picture.height) for picture in examine(tmp_path).pictures} == {(96, 96), (96, 48)}


# --- counts and files ---------------------------------------------------------------------------------------------


def test_counts_sizes_and_balance(tmp_path: Path) -> None:
    fill(tmp_path)
    Image.fromarray(np.uint8(np.indices((40, 30))[0] * 6)).save(tmp_path / "train/b/grey.png")
    found = examine(tmp_path)
    assert class_counts(found) == {"a": {"train": 3, "test": 3}, "b": {"train": 4, "test": 3}}
    assert balance(found) == (0.75, ["a", "b"])
    assert sizes(found) == {"width": [30, 96, 96], "height": [40, 96, 96]}
    assert modes(found) == {"RGB": 12, "L": 1}


def test_every_damaged_file_is_named_and_left_out(tmp_path: Path) -> None:
    fill(tmp_path)
    for number in range(30):
        (tmp_path / f"train/a/bad{number}.png").write_bytes(b"no picture")
    (tmp_path / "train/a/notes.txt").write_text("mine")
    found = examine(tmp_path)
    assert (len(found.unreadable), len(found.pictures), found.is_fine) == (30, 12, False)
    assert found.ignored == [tmp_path / "train/a/notes.txt"]
    text, html = "\n".join(lines(found)), page(found)
    assert "30 damaged" in text
    assert "... and 10 more" in text
    assert all(f"bad{number}.png" in html for number in range(30))


# --- labels -------------------------------------------------------------------------------------------------------


def test_a_picture_among_those_of_another_class_is_hinted_at() -> None:
    draw = np.random.default_rng(1)
    patterns = draw.integers(0, 200, (2, 4, 4, 3)).repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    labels = np.repeat([0, 1], 20)
    images = (patterns[labels] + draw.integers(0, 55, (40, SIDE, SIDE, 3))).astype(np.uint8)
    names = ["ab"[label] for label in labels]
    assert find_hints(names, images, []) == ([], 1.0)
    names[7] = "b"
    (hint,), accuracy = find_hints(names, images, [])
    assert (hint.picture, hint.other, hint.agreeing) == (7, "a", 10)
    assert accuracy == pytest.approx(39 / 40)
    assert find_hints(names, images, [Group("exact", [6, 7], 1.0)])[0] == []  # a copy: told as such


def test_few_pictures_give_no_hints(tmp_path: Path) -> None:
    found = examine(fill(tmp_path))
    assert (found.hints, found.neighbour_accuracy) == ([], None)


# --- page and command line ----------------------------------------------------------------------------------------


def test_the_page_escapes_names_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    fill(tmp_path, classes="a\u00e9")
    copy(tmp_path, "train/a/0.png", f"test/a/{HOSTILE}")
    html = page(examine(tmp_path))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;&amp;.png" in html
    assert html.lstrip().startswith("<!DOCTYPE html>")
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert str(ROOT) not in html


def test_samples_are_capped(tmp_path: Path) -> None:
    html = page(examine(fill(tmp_path, splits=(".",), each=12)))
    assert html.count("<img") == 2 * 8
    assert html.count("… and 4 more.") == 2


@pytest.mark.parametrize(("extra", "status"), [("", 0), ("test/a/leak.png", 1), ("train/a/bad.png", 1)])
def test_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], extra: str, status: int
) -> None:
    root = fill(tmp_path / "data")
    if "leak" in extra:
        copy(root, "train/a/0.png", extra)
    elif extra:
        (root / extra).write_bytes(b"")
    assert run(monkeypatch, root, "--page", tmp_path / "deep/page.html") == status
    assert "page: " in capsys.readouterr().out
    assert "Data check" in (tmp_path / "deep/page.html").read_text(encoding="utf-8")


def test_what_cannot_be_checked_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "raw/cifar-10-batches-py"
    archive.mkdir(parents=True)
    (archive / "data_batch_1").write_bytes(b"binary")
    (tmp_path / "all-bad/a").mkdir(parents=True)
    (tmp_path / "all-bad/a/1.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for folder, message in [
        ("raw", "no folder of labelled images"),
        ("empty", "no folder of labelled images"),
        ("all-bad", "none of its 1 images can be read"),
        ("missing", "no such folder"),
    ]:
        assert run(monkeypatch, tmp_path / folder, "--page", tmp_path / "page.html") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--page"], ["--unknown"], ["--page", "x"]])
def test_words_that_are_not_one_folder(words: list[str]) -> None:
    with pytest.raises(UserError, match="one folder is needed"):
        parse(words)


def test_a_project_means_its_raw_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.check.__main__.ROOT", tmp_path)
    monkeypatch.setattr("shared.core.paths.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "projects/flowers").mkdir(parents=True)
    with pytest.raises(UserError, match="data/raw/flowers: no such folder") as caught:
        locate("projects/flowers")
    assert caught.value.fix == "python -m projects.flowers.fetch"
    (tmp_path / "data/raw/flowers").mkdir(parents=True)
    assert locate("projects/flowers/") == tmp_path / "data/raw/flowers"
    assert parse(["projects/flowers"])[1] == tmp_path / "report/check-flowers.html"


def test_a_name_cannot_write_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "data")
    (root / "train/a/\x1b[2Jx.png").write_bytes(b"")
    assert run(monkeypatch, root, "--page", tmp_path / "page.html") == 1
    assert "\x1b" not in capsys.readouterr().out
