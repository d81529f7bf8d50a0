"""The check, the starter, prepare and predict see the same files, and count alike what is wrong with them."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from projects.conll_ner.formats import read_folder
from shared.core.errors import Problems, UserError
from shared.core.walk import files_below, visible
from shared.image.folder import scan_folder
from shared.image.read import find_images
from tools.starter import data_files


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def linked_to_itself(root: Path) -> None:
    (root / "a/loop").symlink_to(root)
    (root / "again").symlink_to(".")
    (root / "above").symlink_to("..")


def linked_elsewhere(root: Path) -> None:
    make(root.parent / "other", "5.png", ".6.png")
    (root / "a/more").symlink_to(root.parent / "other")


def hidden(root: Path) -> None:
    make(root, ".git/1.png", "a/.ipynb_checkpoints/1.png", "a/.1.png", "__MACOSX/a/._1.png", "a/@eaDir/1.png/t.png")


def inside(root: Path) -> None:
    make(root, "a/deep/er/1.png", "b/deep/.hidden/1.png", "b/#recycle/1.png", "lost+found/3.png")


CASES: dict[Callable[[Path], None], list[str]] = {
    linked_to_itself: ["a/1.png", "b/2.png"],
    linked_elsewhere: ["a/1.png", "a/more/5.png", "b/2.png"],
    hidden: ["a/1.png", "b/2.png"],
    inside: ["a/1.png", "a/deep/er/1.png", "b/2.png"],
}


@pytest.mark.parametrize("change", CASES)
def test_check_starter_prepare_and_predict_see_the_same_files(tmp_path: Path, change: Callable[[Path], None]) -> None:
    root = make(tmp_path / "data", "a/1.png", "b/2.png")
    change(root)
    problems = Problems(root)
    found = {
        "prepare and check": [image.id for image in scan_folder(root, problems).images],
        "predict": sorted(path.relative_to(root).as_posix() for path in find_images([root], problems)),
        "starter": sorted(name for _, name in data_files(root)),
        "walk": sorted(path.relative_to(root).as_posix() for path in files_below(root)),
    }
    assert problems.found == []
    assert list(found.values()) == [CASES[change]] * 4
    assert [path.name for path in visible(root)] == ["a", "b"]


@pytest.mark.parametrize("place", ["a.conll", "train/a.conll", "linked/a.conll"])
def test_annotated_texts_are_found_by_the_same_walk(tmp_path: Path, place: str) -> None:
    root = make(tmp_path / "data", ".hidden/x.conll", "@eaDir/y.conll", "train/.z.conll")
    if place.startswith("linked"):
        (tmp_path / "other").mkdir()
        (root / "linked").symlink_to(tmp_path / "other")
    (root / place).write_text("Ada B-PER\nsleeps O\n")
    problems, notes = Problems(root), Problems(root)
    assert [one.id for one in read_folder(root, problems, notes).texts] == [f"{place}:1"]
    assert (problems.found, notes.found) == ([], [])


def raised(lines: Sequence[str]) -> UserError:
    problems = Problems("data")
    problems.found += lines
    with pytest.raises(UserError) as caught:
        problems.raise_if_any()
    return caught.value


@pytest.mark.parametrize("count", [1, 19, 20, 30, 1050])
@pytest.mark.parametrize("travelled", [False, True])
def test_nested_problems_are_counted_one_by_one(count: int, travelled: bool) -> None:
    """Those of a check inside another one, also of another process, where "... and 10 more" are ten."""
    inner = raised([f"row {number}: empty" for number in range(count)])
    problems = Problems("all")
    problems.add("before", "wrong")
    with problems.collect():
        raise pickle.loads(pickle.dumps(inner)) if travelled else inner
    assert len(problems.found) == count + 1
    told = str(raised(problems.found))
    assert f"data: {count + 1:,} problems\n" in told
    assert ("more" in told) == (count >= 20)
    assert count < 20 or f"... and {count - 19:,} more" in told
