"""The starter: a copy is whole and clean, or there is none, and the user's own files are as they were."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.core.errors import UserError
from shared.core.params import read_yaml
from shared.core.paths import ROOT
from tools.starter import code, data, pipeline, publish, readme, repository, staging, tools
from tools.starter.__main__ import main, next_steps, start

FROM = "cifar_cnn"
NOT_NEEDED = ("benchmarks", "docs", "data", ".ci", "tools/starter/", "requirements-bench.lock")


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git knows here, as a repository of its own without commits."""
    root = tmp_path_factory.mktemp("starter") / "repo"
    for name in tools.listed(ROOT, "."):
        if "/results/" not in name and not name.startswith(("benchmarks", "docs")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    (root / "data" / "raw").mkdir()
    (root / "projects" / FROM / "presets" / "only_data.yaml").write_text("fetch:\n  source: official\n")
    tools.git(root, "init", "--quiet", "--initial-branch", "main")
    tools.git(root, "add", "--all")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of grey images of mixed sizes, with names and files that a person might have."""
    root, draws = tmp_path_factory.mktemp("photos") / "my [photos] of ünï", np.random.default_rng(0)
    for name in ("crack", "it's plain"):
        for number in range(6):
            path = root / name / f"{number} #%.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draws.integers(0, 256, (40 + number, 50), dtype=np.uint8)).save(path)
    (root / "crack" / ".DS_Store").write_text("litter")
    return root


@pytest.fixture(autouse=True)
def _quick_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC takes seconds to start; what it leaves is a file beside the data."""

    def add(root: Path, path: str, lock: int) -> None:
        (root / f"{path}.dvc").write_text(f"outs:\n- path: {Path(path).name}\n")

    monkeypatch.setattr(tools, "dvc_add", add)


@pytest.fixture(scope="module")
def roses(repo: Path, photos: Path) -> Path:
    """A copy with own data, made with the real DVC."""
    start(repo, FROM, "roses", photos)
    return repo / "projects" / "roses"


@pytest.fixture(scope="module")
def mails(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for texts."""
    path = tmp_path_factory.mktemp("mails") / "mails.csv"
    path.write_text("said,mood\n" + "".join(f"a word {n} of many,{'bad' if n % 2 else 'good'}\n" for n in range(40)))
    start(repo, "imdb_sentiment", "mails", path)
    return repo / "projects" / "mails"


@pytest.fixture(scope="module")
def invoices(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for annotated text."""
    path = tmp_path_factory.mktemp("invoices") / "invoices.conll"
    path.write_text("".join(f"Anna{n} B-PER\npays O\n{n} O\n\n" for n in range(40)))
    start(repo, "conll_ner", "invoices", path)
    return repo / "projects" / "invoices"


@pytest.fixture(scope="module")
def marks(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for images without classes."""
    folder, draws = tmp_path_factory.mktemp("marks") / "marks", np.random.default_rng(1)
    folder.mkdir()
    for number in range(100):
        Image.fromarray(draws.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{number}.png")
    start(repo, "fashion_gan", "marks", folder)
    return repo / "projects" / "marks"


def state(root: Path) -> dict[str, Any]:
    """Every file outside of .git and what a lock leaves, and git's index."""
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    kept = {path.relative_to(root).as_posix(): path.read_bytes() for path in files if ".dvc" not in path.parts}
    return kept | {"index": tools.git(root, "ls-files", "--stage")}


# --- Python -------------------------------------------------------------------------------------------------------

MARKED = '''"""Words about fetch."""
import a
from .official import (  # fetch
    b,
)

# what fetch does
@decorated(
    1
)
def bring():  # fetch
    return """
# no comment
"""


class Params:
    fetch: int  # fetch
    kept: str = "a  # fetch b"


def read(x):
    if x:  # fetch
        return b(x)
    elif a:
        return 1
    if x == 1:
        bring(x)  # fetch
    elif x == 2:  # fetch
        bring(x)
    else:
        y = 1  # fetching is another word
    return x
'''

KEPT = '''"""Words about fetch."""

import a


class Params:
    kept: str = "a  # fetch b"


def read(x):
    if x == 1:
        pass
    return x
'''


def test_marked_statements_go_whole(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code.without_fetch(MARKED))
    ast.parse(path.read_text())
    bare = [line for line in path.read_text().splitlines() if line.strip()]
    wanted = [line for line in KEPT.splitlines() if line.strip()]
    assert bare == wanted


def test_a_block_that_becomes_empty_stays_valid() -> None:
    text = code.without_fetch("class A:\n    b: int  # fetch\n\n\ntry:\n    import c  # fetch\nfinally:\n    d()\n")
    ast.parse(text)
    assert text.count("pass") == 2


def test_a_long_name_fits_into_the_lines(repo: Path, tmp_path: Path) -> None:
    # tests of fetch have long strings, and stay behind
    tests = [path for path in (ROOT / "tests/projects" / FROM).glob("*.py") if "fetch" not in path.read_text()]
    for source in [*(ROOT / "projects" / FROM).glob("*.py"), *tests]:
        text = code.fitted(code.renamed(source.read_text(), FROM, "a_name_as_long_as_any_that_is_allowed_he"))
        (tmp_path / source.name).write_text(text)
    code.tidy(tmp_path.iterdir(), repo / "pyproject.toml")
    words = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--select",
        "E501",
        "--config",
        repo / "pyproject.toml",
    ]
    done = subprocess.run([*words, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_names_are_replaced_as_whole_words() -> None:
    assert code.renamed("cnn my_cnn cnn2 cnn.cnn 'cnn'", "cnn", "a") == "a my_cnn cnn2 a.a 'a'"


def test_every_copied_file_is_formatted_and_typed_as_before(roses: Path, repo: Path) -> None:
    files = [*roses.glob("*.py"), *(repo / "tests/projects/roses").glob("*.py")]
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", *map(str, files)]
        done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


# --- a copy -------------------------------------------------------------------------------------------------------


def test_nothing_of_fetch_and_of_the_old_name_is_left(roses: Path, repo: Path) -> None:
    for path in [*roses.rglob("*"), *(repo / "tests/projects/roses").rglob("*")]:
        if path.suffix == ".py":
            assert "# fetch" not in path.read_text()
        if path.is_file() and path.name != "README.md" and "presets" not in path.parts:
            assert FROM not in path.read_text()
    assert {path.name for path in roses.iterdir()} & {"fetch.py", "sample.py", "official.py", "results"} == set()
    assert {path.name for path in roses.iterdir()} & {"records", "dvc.lock"} == set()
    assert (repo / "tests/projects/roses/__init__.py").exists()
    assert not (repo / "tests/projects/roses/test_fetch.py").exists()


def test_the_pipeline_fits_its_code(roses: Path, repo: Path) -> None:
    stages = read_yaml(roses / "dvc.yaml")["stages"]
    assert list(stages) == ["prepare", "train", "evaluate", "explain"]
    deps = {dep.replace("${project}", "roses") for stage in stages.values() for dep in stage["deps"]}
    code_deps = {dep for dep in deps if dep.endswith(".py")}
    assert [dep for dep in code_deps if not (repo / dep).exists()] == []
    assert "shared/data/source.py" not in code_deps
    text = (roses / "dvc.yaml").read_text()
    assert "# times differ from run to run" in text
    root = read_yaml(repo / "dvc.yaml")["stages"]
    assert "projects/roses/results/report.html" in root["projects/roses"]["outs"]
    assert f"projects/{FROM}" in root


def test_params_and_presets_suit_the_data(roses: Path) -> None:
    params = read_yaml(roses / "params.yaml")
    assert "fetch" not in params
    assert params["prepare"]["channels"] == 1
    assert list(params) == list(read_yaml(ROOT / "projects" / FROM / "params.yaml"))[1:]
    names = {path.name for path in roses.glob("presets/*.yaml")}
    assert names == {path.name for path in (ROOT / "projects" / FROM).glob("presets/*.yaml")}  # only_data.yaml is gone
    for path in roses.glob("presets/*.yaml"):
        preset = read_yaml(path)
        assert "fetch" not in preset
        assert preset["train"]["batch_size"] == params["train"]["batch_size"]
        assert path.read_text().startswith(f"# Was the preset {path.stem} of {FROM}")
    words = (roses / "presets/official.yaml").read_text().replace("\n# ", " ")
    assert "Set for these: train.epochs (was 9.5), train.batch_size (was 2000), " in words
    assert "learning rates were tuned for batches of 2,000: tune them anew.\n" in words


def test_a_preset_that_fine_tunes_a_checkpoint_stays_as_it_was(mails: Path) -> None:
    original = ROOT / "projects/imdb_sentiment/presets/minilm.yaml"
    assert read_yaml(mails / "presets/minilm.yaml") == read_yaml(original)
    assert "Set for these" not in (mails / "presets/minilm.yaml").read_text()
    params = read_yaml(mails / "params.yaml")
    for name in ("official", "official-cpu"):
        assert read_yaml(mails / f"presets/{name}.yaml")["train"]["epochs"] == params["train"]["epochs"]


def test_the_data_are_copied_and_tracked(roses: Path, repo: Path, photos: Path) -> None:
    copied = {path.name: path.read_bytes() for path in (repo / "data/raw/roses").rglob("*.png")}
    assert copied == {path.name: path.read_bytes() for path in photos.rglob("*.png")}
    staged = tools.git(repo, "diff", "--name-only", "HEAD" if has_head(repo) else "--cached").split("\n")
    known = tools.git(repo, "ls-files").split("\n")
    assert {"data/raw/roses.dvc", "projects/roses/README.md", "tests/projects/roses/__init__.py"} <= set(known)
    assert not [name for name in [*known, *staged] if name.startswith("data/raw/roses/")]
    assert list(repo.glob(".new-*")) == []
    assert list(repo.glob("data/raw/.*")) == []


def test_dvc_finds_the_data_without_being_told_where(roses: Path, repo: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-m", "dvc", "stage", "list", "--all", "--name-only"]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=True)
    assert {"data/raw/roses.dvc", "projects/roses/dvc.yaml:prepare", "projects/roses"} <= set(done.stdout.split("\n"))


def has_head(root: Path) -> bool:
    return tools.succeeds(root, "rev-parse", "--quiet", "--verify", "HEAD")


def test_the_readme_has_the_data_and_no_old_figures(roses: Path) -> None:
    text = (roses / "README.md").read_text()
    assert text.startswith("# roses: image classification\n")
    assert "Copied from `cifar_cnn`" in text
    assert "| it's plain | 6 |" in text
    assert "0.99" not in text
    assert "`prepare.channels` | 1" in text


def test_the_readme_speaks_of_texts_where_the_data_are_texts(mails: Path, invoices: Path) -> None:
    for folder in (mails, invoices):
        text = (folder / "README.md").read_text()
        assert "image" not in text
        assert "deviations" not in text
    assert "Names of classes and the vocabulary are taken" in (mails / "README.md").read_text()
    assert "Types of entities and the vocabulary are taken" in (invoices / "README.md").read_text()


def test_the_readme_promises_no_names_of_classes_where_there_are_none(marks: Path) -> None:
    text = " ".join((marks / "README.md").read_text().split())
    assert "Means and deviations, and names of classes where there are any, are taken from the data" in text


def test_texts_of_ones_own_are_not_called_reviews(mails: Path, repo: Path) -> None:
    files = [*mails.glob("*.py"), *(repo / "tests/projects/mails").glob("*.py")]
    assert [path.name for path in files if "reviews" in path.read_text()] == []
    assert 'unit="texts"' in (mails / "evaluate.py").read_text()
    assert 'unit="texts"' in (mails / "explain.py").read_text()


def test_without_data_the_copy_keeps_fetch(repo: Path) -> None:
    plan = start(repo, FROM, "tulips")
    folder = repo / "projects" / "tulips"
    assert (repo / "tests/projects/tulips/test_fetch.py").exists()
    assert (folder / "fetch.py").exists()
    original = (ROOT / "projects" / FROM / "params.yaml").read_text()
    assert (folder / "params.yaml").read_text() == original.replace(FROM, "tulips")
    assert "fetch" in read_yaml(folder / "dvc.yaml")["stages"]
    assert next_steps(plan).endswith("make repro PROJECT=tulips")


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Flowers", "not a name"),
        ("my-flowers", "not a name"),
        ("2flowers", "not a name"),
        ("../flowers", "not a name"),
        ("größe", "not a name"),
        ("", "not a name"),
        ("class", "a word of the Python language"),
        ("a" * 41, "41 letters"),
        ("torch", "a name in the code"),
        ("projects", "a name in the code"),
        (FROM, "exists already"),
    ],
)
def test_bad_names_are_refused(repo: Path, name: str, message: str) -> None:
    before = state(repo)
    with pytest.raises(UserError, match=message):
        start(repo, FROM, name)
    assert state(repo) == before


def test_a_name_that_git_still_knows_is_refused(repo: Path) -> None:
    before, path = state(repo), repo / "projects" / "lilies" / "own.py"
    path.parent.mkdir()
    path.touch()
    tools.git(repo, "add", "projects/lilies")
    shutil.rmtree(path.parent)
    with pytest.raises(UserError, match="git still has files of projects/lilies"):
        start(repo, FROM, "lilies")
    tools.git(repo, "rm", "-rq", "--cached", "projects/lilies")
    assert state(repo) == before


def test_all_problems_are_named_at_once(repo: Path, tmp_path: Path) -> None:
    before = state(repo)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").touch()
    with pytest.raises(UserError) as caught:
        start(repo, "cifar", "Bad Name", tmp_path / "none", tmp_path / "full")
    for what in ("no such project", "not a name", "no such file or folder", "not empty"):
        assert what in caught.value.what
    assert state(repo) == before
    assert (tmp_path / "full" / "thesis.doc").exists()


def test_data_inside_the_repository_or_around_it_are_refused(repo: Path) -> None:
    for folder in (repo / "data", repo, repo.parent):
        with pytest.raises(UserError, match="inside this repository or around it"):
            start(repo, FROM, "lilies", folder)


def test_what_is_wrong_with_the_data_is_listed(repo: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "data")
    (tmp_path / "data/crack/0 #%.png").write_bytes(b"no image")
    (tmp_path / "data/crack/1 #%.png").write_bytes(b"")
    with pytest.raises(UserError, match="2 problems") as caught:
        start(repo, FROM, "lilies", tmp_path / "data")
    assert "0 #%.png" in caught.value.what
    (tmp_path / "data/link.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="a link to nothing"):
        start(repo, FROM, "lilies", tmp_path / "data")


def test_a_disk_too_small_is_named_first(repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.starter.plan.SPARE_BYTES", 10**18)
    with pytest.raises(UserError, match="GB free, expected"):
        start(repo, FROM, "lilies", photos)


def test_a_target_inside_the_repository_or_the_data_is_refused(repo: Path, photos: Path) -> None:
    for to in (repo / "new", photos / "new"):
        with pytest.raises(UserError, match="inside"):
            start(repo, FROM, "lilies", photos, to)
        assert not to.exists()


# --- interrupted --------------------------------------------------------------------------------------------------

NUM_STEPS = 6  # data, dvc add, project, tests, dvc.yaml, git


def interrupted_after(count: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    steps = publish.steps

    def some(*words: Any) -> Iterator[Callable[[], None]]:
        made = steps(*words)
        assert len(made) == NUM_STEPS
        yield from made[:count]
        raise error

    monkeypatch.setattr(publish, "steps", some)


@pytest.mark.parametrize("count", range(NUM_STEPS + 1))
def test_an_error_at_any_step_takes_everything_back(
    repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    before = state(repo)
    interrupted_after(count, KeyboardInterrupt, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(repo, FROM, "lilies", photos)
    assert state(repo) == before


def killed_after(count: int, repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupted_after(count, SystemExit, patch)
        patch.setattr(publish, "recover", lambda place: None)  # a killed process takes nothing back
        with pytest.raises(SystemExit):
            start(repo, FROM, "lilies", photos)
    assert publish.Place(repo, "lilies").journal.exists()


@pytest.mark.parametrize("count", range(NUM_STEPS + 1))
def test_what_a_kill_at_any_step_left_is_taken_back_by_the_next_start(
    repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    before = state(repo)
    killed_after(count, repo, photos, monkeypatch)
    with publish.locked(repo):
        assert state(repo) == before


def test_a_second_run_after_a_kill_makes_the_copy(repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(repo)
    killed_after(NUM_STEPS, repo, photos, monkeypatch)
    start(repo, FROM, "lilies", photos)
    assert "projects/lilies" in read_yaml(repo / "dvc.yaml")["stages"]
    assert list(repo.glob(".new-*")) == []
    remove_copy(repo, "lilies", before)
    assert state(repo) == before


def remove_copy(repo: Path, name: str, before: dict[str, Any]) -> None:
    """As a user would."""
    (repo / "dvc.yaml").write_bytes(before["dvc.yaml"])
    tools.git(repo, "rm", "-rq", "--cached", f"projects/{name}", f"tests/projects/{name}", f"data/raw/{name}.dvc")
    tools.git(repo, "add", "dvc.yaml")
    for path in (f"projects/{name}", f"tests/projects/{name}", f"data/raw/{name}"):
        shutil.rmtree(repo / path)
    (repo / f"data/raw/{name}.dvc").unlink()


def test_files_that_someone_put_into_a_half_made_copy_are_never_removed(
    repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(repo)
    killed_after(NUM_STEPS, repo, photos, monkeypatch)
    own, edited = repo / "data/raw/lilies/mine.png", repo / "projects/lilies/params.yaml"
    own.write_bytes(b"mine")
    edited.write_text(edited.read_text().replace("seed: 0", "seed: 7"))
    with pytest.raises(UserError, match="changed or added") as caught:
        start(repo, FROM, "lilies", photos)
    assert "data/raw/lilies/mine.png" in caught.value.what
    assert "projects/lilies/params.yaml" in caught.value.what
    assert own.read_bytes() == b"mine"
    own.unlink()
    edited.unlink()
    with publish.locked(repo):
        assert state(repo) == before


def test_a_change_of_ones_own_to_dvc_yaml_survives_and_is_not_staged(
    repo: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = state(repo), repo / "dvc.yaml"
    path.write_text("# mine\n" + path.read_text())
    interrupted_after(NUM_STEPS, KeyboardInterrupt, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(repo, FROM, "lilies", photos)
    assert path.read_text() == "# mine\n" + before["dvc.yaml"].decode()
    assert tools.git(repo, "show", ":dvc.yaml") == before["dvc.yaml"].decode()
    path.write_bytes(before["dvc.yaml"])


def test_two_at_once_do_not_meet(repo: Path) -> None:
    with publish.locked(repo), pytest.raises(UserError, match="another make new"), publish.locked(repo):
        pass


def test_a_folder_in_the_way_is_not_ours_to_remove(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "thesis.doc").touch()
    with pytest.raises(UserError, match="in the way"):
        staging.sweep(tmp_path / "some")
    staging.create(tmp_path / "other")
    staging.sweep(tmp_path / "other")
    assert os.listdir(tmp_path) == ["some"]


# --- a repository of its own --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(repo: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("own") / "roses"
    to.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "dvc_add", lambda root, path, lock: (root / f"{path}.dvc").write_text("outs:\n"))
        start(repo, FROM, "roses", photos, to)
    return to


def test_a_repository_holds_what_it_needs_and_no_more(own: Path) -> None:
    files = set(tools.git(own, "ls-files").split("\n"))
    assert not [name for name in files if name.startswith(NOT_NEEDED) and not name.startswith("data/")]
    assert {"Makefile", "pyproject.toml", "requirements.lock", ".dvc/config", ".dvcignore", ".gitignore"} <= files
    assert {"README.md", "data/README.md", "data/raw/roses.dvc", "tests/test_pipelines.py"} <= files
    assert {"shared/report/index.py", "shared/report/templates/page.html", "tools/repro.py"} <= files
    assert not [name for name in files if name.startswith("data/raw/roses/")]
    old = [name for name in files if name.endswith(".py") and FROM in (own / name).read_text()]
    assert old == []
    assert tools.git(own, "log", "--oneline").count("\n") == 1
    assert tools.git(own, "status", "--porcelain") == ""
    assert sorted(path.name for path in own.parent.iterdir()) == ["roses"]


def test_its_tests_import_and_hold_there(own: Path) -> None:
    words = [sys.executable, "-m", "pytest", "tests/test_pipelines.py", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    words = [sys.executable, "-m", "pytest", "--collect-only"]
    done = subprocess.run(words, cwd=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_commands_are_those_it_can_run(own: Path) -> None:
    text = (own / "Makefile").read_text()
    assert "benchmarks" not in text
    assert "tools.starter" not in text
    assert f"{FROM}" not in text
    assert "bench =" not in (own / "pyproject.toml").read_text()
    assert list(read_yaml(own / "dvc.yaml")["stages"]) == ["projects/roses"]
    words = ["make", "--no-print-directory", "help"]
    help_ = subprocess.run(words, cwd=own, capture_output=True, text=True, check=True).stdout
    assert "PROJECT=roses" in help_
    assert "make new" not in help_


def test_remotes_of_this_repository_stay_here() -> None:
    config = "[core]\n    remote = ours\n    autostage = false\n['remote \"ours\"']\n    url = s3://ours\n"
    assert repository.core_settings(config) == "[core]\n    autostage = false\n"


def test_an_interrupted_repository_leaves_nothing(
    repo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "dvc_add", stop)
    with pytest.raises(KeyboardInterrupt):
        start(repo, FROM, "lilies", photos, tmp_path / "lilies")
    assert list(tmp_path.iterdir()) == []


# --- words --------------------------------------------------------------------------------------------------------


def test_without_arguments_it_lists_projects_and_what_they_accept(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    out = capsys.readouterr().out
    assert "cifar_cnn: image classification\n" in out
    assert "    <class>/...                      images of any format and size, a folder a class\n" in out
    assert out == readme.listing(ROOT) + "\n"


def test_a_name_alone_is_not_enough() -> None:
    with pytest.raises(UserError, match="both needed"):
        main(["flowers"])


def test_values_are_set_and_comments_stay() -> None:
    text = "# old\na:\n  b: 1e-05  # why\n  c: [x, y] # list\nfetch: # gone\n  d: 1\n\n  e: 2\nz: no\n"
    text = pipeline.with_comment(pipeline.without_section(text, "fetch"), "# new\n")
    assert text == "# new\na:\n  b: 1e-05  # why\n  c: [x, y] # list\nz: no\n"
    assert pipeline.with_values(text, {"a.b": 2.0}) == text.replace("1e-05", "2.0  ")
    assert pipeline.with_values(text, {"a.c": ["w"]}) == text.replace("[x, y]", "[w]   ")


def test_a_single_file_is_data_too(tmp_path: Path) -> None:
    mails = tmp_path / "mails.csv"
    mails.write_text("text,label\nhello,a\n")
    assert list(data.problems_of(mails)) == []
    assert data.counts(mails) == {".": 1}
    data.copy(mails, tmp_path / "raw")
    assert (tmp_path / "raw" / "mails.csv").read_bytes() == mails.read_bytes()
