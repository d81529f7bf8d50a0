"""Folders of samples: classes, splits, copies, and every problem named."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.core.errors import Problems
from shared.core.walk import files_below
from shared.data.folder import Scan, counted, find_copies, scan_classes
from shared.data.labels import check_classes, class_names


def fill(root: Path, *names: str) -> Path:
    """Writes one file a name, all different and of one size."""
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(name).ljust(99))
    return root


def scan_pictures(root: Path, problems: Problems, default_class: str = "") -> Scan:
    return scan_classes(
        root, lambda path: path.suffix.lower() in {".png", ".jpg"}, problems,
        what="pictures", beside="evidence", default_class=default_class,
    )  # fmt: skip


def scan(root: Path) -> tuple[list[str], list[tuple[str, str, str | None]], list[str]]:
    problems = Problems("data")
    files = scan_pictures(root, problems).files
    check_classes(root, files, problems, what="pictures", forms="<class>/<picture>")
    find_copies(files, problems)
    return class_names(files), [(file.id, file.class_name, file.split) for file in files], problems.found


def test_a_folder_a_class(tmp_path: Path) -> None:
    hidden = ".hidden/3.png", "__MACOSX/1.png", "tulip/.4.png", "evidence/rose/1.png"
    fill(tmp_path, "rose/1.png", "rose/deep/2.JPG", "tulip/1.png", *hidden)
    (tmp_path / "README.md").write_text("mine")
    classes, images, problems = scan(tmp_path)
    assert classes == ["rose", "tulip"]
    assert images == [("rose/1.png", "rose", None), ("rose/deep/2.JPG", "rose", None), ("tulip/1.png", "tulip", None)]
    assert problems == []


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Val"])
def test_split_folders(tmp_path: Path, valid: str) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", f"{valid}/a/2.png", "test/b/3.png", "evidence/b/3.png")
    classes, images, problems = scan(tmp_path)
    assert classes == ["a", "b"]
    assert sorted(split or "" for *_, split in images) == ["test", "train", "train", "valid"]
    assert problems == []


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes, images, problems = scan(fill(tmp_path, "train/1.png", "bus/1.png", "car/1.png"))
    assert (classes, problems) == (["bus", "car", "train"], [])
    assert {split for *_, split in images} == {None}


def test_names_in_any_script_are_fine_and_composed(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    classes, images, problems = scan(fill(tmp_path, f"{decomposed}/ü 1.png", "猫/写真.png"))
    assert classes == ["café", "猫"]
    assert (images[1][0], problems) == ("猫/写真.png", [])


def test_numbers_as_classes_keep_their_order(tmp_path: Path) -> None:
    assert scan(fill(tmp_path, *(f"{number}/1.png" for number in range(11))))[0] == [str(n) for n in range(11)]
    assert scan(fill(tmp_path, "--5/1.png"))[0][0] == "--5"


def test_without_classes(tmp_path: Path) -> None:
    problems = Problems("data")
    files = scan_pictures(fill(tmp_path, "train/1.png", "test/2.png"), problems, default_class="all").files
    assert [(file.id, file.class_name, file.split) for file in files] == [
        ("test/2.png", "all", "test"),
        ("train/1.png", "all", "train"),
    ]
    assert problems.found == []


def test_other_files_and_those_outside_of_classes_are_listed(tmp_path: Path) -> None:
    found = scan_pictures(
        fill(tmp_path, "a/1.png", "a/notes.txt", "a/Thumbs.db", "stray.png", "x.md"), Problems("data")
    )
    assert (found.ignored, found.strays) == ([tmp_path / "a/notes.txt"], [tmp_path / "stray.png"])


ARCHIVES = {
    "seg": ["seg_train/seg_train/{}/1.png", "seg_test/seg_test/{}/2.png", "seg_notes/readme.txt"],
    "downloaded": ["cards-v2/train/{}/1.png", "cards-v2/test/{}/2.png", "cards.csv"],
    "twins": ["train/train/{}/1.png", "test/test/test/{}/2.png"],
    "numbered": ["train1/{}/1.png", "test1/{}/2.png"],
    "tests beside": ["Training/{}/1.png", "Testing/{}/2.png", "docs/notes.txt"],
}


@pytest.mark.parametrize("names", ARCHIVES.values(), ids=ARCHIVES)
def test_splits_of_unpacked_archives_are_taken_and_said(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, *(name.format(kind) for name in names for kind in ("a", "b")))
    problems = Problems("data")
    found = scan_pictures(tmp_path, problems)
    assert problems.found == []
    assert [(file.class_name, file.split) for file in found.files] == [
        (file.parent.name, "test" if file.name == "2.png" else "train")
        for file in sorted(tmp_path.rglob("*.png"), key=lambda path: path.relative_to(tmp_path).as_posix())
    ]
    assert found.notes
    for split, folder in found.folders.items():
        assert {path.name for path in folder.iterdir()} == {"a", "b"}
        assert any(f"{split} is " in note for note in found.notes) or folder.parent.name in ("cards-v2", tmp_path.name)


@pytest.mark.parametrize("classes", [["train_station", "test_tube"], ["contest", "trainer"], ["train 1", "train 2"],
                                     ["test", "pass"]])  # fmt: skip
def test_names_that_only_sound_like_splits_are_classes(tmp_path: Path, classes: list[str]) -> None:
    assert scan(fill(tmp_path, *(f"{name}/1.png" for name in classes)))[::2] == (sorted(classes), [])


def test_one_folder_of_folders_is_where_the_classes_are(tmp_path: Path) -> None:
    problems = Problems("data")
    found = scan_pictures(fill(tmp_path, "photos/a/1.png", "photos/b/1.png", "photos/evidence/a/1.png"), problems)
    assert ([file.id for file in found.files], problems.found) == (["photos/a/1.png", "photos/b/1.png"], [])
    assert (found.root, found.notes) == (
        tmp_path / "photos",
        [f"read from {tmp_path / 'photos'}, the only folder there."],
    )


def test_what_drives_and_systems_leave_is_no_sample(tmp_path: Path) -> None:
    litter = ["a/@eaDir/1.png/SYNOPHOTO_THUMB_M.png", "#recycle/1.png", "$RECYCLE.BIN/1.png", "a/.thumbnails/1.png",
              "lost+found/1.png", "b/.ipynb_checkpoints/1-checkpoint.png"]  # fmt: skip
    classes, images, problems = scan(fill(tmp_path, "a/1.png", "b/1.png", *litter))
    assert (classes, [image[0] for image in images], problems) == (["a", "b"], ["a/1.png", "b/1.png"], [])


def test_links_are_followed_and_end(tmp_path: Path) -> None:
    fill(tmp_path / "set", "train/a/1.png", "train/b/2.png")
    fill(tmp_path / "elsewhere", "a/3.png", "b/4.png", "more/5.png")
    (tmp_path / "set/valid").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/more").rename(tmp_path / "more")
    (tmp_path / "set/train/a/more").symlink_to(tmp_path / "more")
    (tmp_path / "set/train/b/up").symlink_to(tmp_path / "set")
    (tmp_path / "more/round").symlink_to(tmp_path / "more")
    assert [image[0] for image in scan(tmp_path / "set")[1]] == [
        "train/a/1.png", "train/a/more/5.png", "train/b/2.png", "valid/a/3.png", "valid/b/4.png",
    ]  # fmt: skip
    assert len(list(files_below(tmp_path / "set/train"))) == 3


def test_many_files_are_one_line() -> None:
    paths = [Path(f"a/{number}.txt") for number in range(2000)] + [Path("a/x.json")]
    assert counted(paths) == "2,001 files (2,000 .txt, 1 .json; first: a/0.txt)"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a/train/1.png", "a/test/2.png", "b/train/1.png", "b/test/2.png"], "data: splits inside of classes"),
        ([], "no pictures; expected <class>/<picture>"),
        (["only/1.png"], "one class only ('only')"),
        (["train/a/1.png", "train/b/1.png", "test/c/1.png"], "class 'c': 1 in test (first: test/c/1.png), but missing"),
        (["train/a/1.png", "train/b/1.png", "extra/c/1.png"], "extra: beside train, expected only"),
        (["train/a/1.png", "train/b/1.png", "val/a/2.png", "valid/a/3.png"], "valid is already in val"),
        (["test/a/1.png", "test/b/1.png"], "no pictures to train on"),
        (["Rose/1.png", "rose/2.png"], "data: the classes 'Rose', 'rose' differ in case"),
        (["cat/1.png", "cat\u200b/2.png"], "data: the classes 'cat', 'cat\\u200b' differ in case, spaces or invisible"),
        (["fi/1.png", "\ufb01/2.png"], "data: the classes 'fi', '\\ufb01' differ in case"),
        (
            ["train/a b/1.png", "train/c/2.png", "test/a\u00a0b/3.png", "train/a\u00a0b/3.png"],
            "'a b', 'a\\xa0b' differ",
        ),
        (["a/x.png", "a/X.png", "b/1.png"], "data/a: 'X.png' and 'x.png' differ only in case"),
        (["a/\u00e9.png", "a/e\u0301.png", "b/1.png"], "'e\\u0301.png' and '\\xe9.png' differ only in case or Unicode"),
        (["a/\udcff.png", "a/2.png", "b/1.png"], "a file name that is not text"),
        (["a/1.png", "b/1.png", "empty/notes.txt"], "data/empty: a class without pictures"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, names: list[str], problem: str) -> None:
    found = scan(fill(tmp_path / "data", *names))[2]
    assert any(problem in line for line in found), found
    assert len(found) == 1


def copy(root: Path, name: str, of: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes((root / of).read_bytes())


@pytest.mark.parametrize(
    ("copied", "problem"),
    [
        ("test/a/9.png", "train/a/1.png: the same file as test/a/9.png, in another split"),
        ("train/b/9.png", "train/b/9.png: the same file as train/a/1.png, under another class"),
    ],
)
def test_copies_where_they_do_harm_are_problems(tmp_path: Path, copied: str, problem: str) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png")
    copy(tmp_path, copied, "train/a/1.png")
    assert scan(tmp_path)[2] == [f"{tmp_path}/{problem}"]


def test_copies_within_a_class_share_a_key(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    copy(tmp_path, "a/2.png", "a/1.png")
    problems = Problems("data")
    assert find_copies(scan_pictures(tmp_path, problems).files, problems) == ["a/1.png", "a/1.png", "b/1.png"]
    assert problems.found == []


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    list_: Callable[[object], object] = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return list_(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert f"{tmp_path}/b: cannot be read: Permission denied" in scan(tmp_path)[2]
