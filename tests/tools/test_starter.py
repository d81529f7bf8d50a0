"""The starter: a copy is whole, or there is none, and the user's own files are as they were."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import projects
from shared.core.errors import UserError
from shared.core.params import check_params, read_yaml
from shared.core.paths import ROOT
from tests.checkout import run
from tests.pipelines import PROJECTS
from tests.tools.toy import make_repository
from tools import deps, starter
from tools.project_copy import Copy, repository_files
from tools.starter import main, start, summary

OPERATIONS = ("git", "dvc_add", "write_atomic")  # of the starter, beside renames: what a kill may come before


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("original") / "repo")


@pytest.fixture
def repo(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy repository, whose projects can be imported; `dvc add`, which takes seconds, leaves its file at once."""
    root = tmp_path / "repo"
    shutil.copytree(original, root)
    monkeypatch.setattr(projects, "__path__", [str(root / "projects")])
    monkeypatch.setattr(starter, "dvc_add", lambda root, path: (root / f"{path}.dvc").write_text("outs:\n"))
    for name in [name for name in sys.modules if name.startswith("projects.toy")]:
        monkeypatch.delitem(sys.modules, name)
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files with names that a person might have."""
    root = tmp_path / "my [data] of ünï"
    for name in ("crack", "it's plain"):
        (root / name).mkdir(parents=True)
        (root / name / "0 #%.txt").write_text("1.5")
    (root / ".DS_Store").write_text("litter")
    return root


def state(root: Path) -> dict[str, Any]:
    """Every file, hidden ones too, but git's and DVC's own; and git's index."""
    found = (path for path in root.rglob("*") if path.is_file() and not {".git", ".dvc", "__pycache__"} & {*path.parts})
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
    return files | {"index": run(root, "git", "ls-files", "--stage")}


# --- a copy -------------------------------------------------------------------------------------------------------


def test_a_copy_for_own_data_has_all_but_fetch(repo: Path, data: Path) -> None:
    before = state(repo)
    start(repo, "toy", "roses", data)
    files = {path.relative_to(repo).as_posix() for path in repo.rglob("roses/**/*") if path.is_file()}
    stages = {f"projects/roses/{name}.py" for name in ("prepare", "train", "evaluate", "explain")}
    beside = {f"projects/roses/{name}" for name in ("__init__.py", "params.py", "params.yaml", "dvc.yaml", "README.md")}
    tests = {f"tests/projects/roses/{name}.py" for name in ("__init__", "test_train")}
    raw = {"data/raw/roses/crack/0 #%.txt", "data/raw/roses/it's plain/0 #%.txt"}
    assert files == stages | beside | tests | raw | {"projects/roses/presets/large.yaml"}
    known = set(run(repo, "git", "ls-files", "*roses*", "dvc.yaml").split())
    assert known == (files - raw) | {"data/raw/roses.dvc", "dvc.yaml"}
    assert {path: before[path] for path in before if path not in ("dvc.yaml", "index")}.items() <= state(repo).items()


def test_its_code_is_the_originals_but_for_paths(repo: Path, data: Path) -> None:
    start(repo, "toy", "roses", data)
    text = (repo / "projects/toy/train.py").read_text()
    assert "projects.toy.train: data/raw/toy -> data/prepared/toy -> projects/toy/" in text
    assert (repo / "projects/roses/train.py").read_text() == text.replace("toy", "roses")
    assert (repo / "projects/roses/params.py").read_text() == (repo / "projects/toy/params.py").read_text()


def test_its_yaml_keeps_comments_and_has_what_suits_the_data(repo: Path, data: Path) -> None:
    start(repo, "toy", "roses", data)
    text = (repo / "projects/roses/params.yaml").read_text()
    assert text.startswith("# What a plain `dvc repro projects/roses` runs.\n")
    assert "\nprepare:\n  names: [crack, it's plain] # of folders\ntrain:\n  seed: 0\n  scale: 2.0  # times\n" in text
    pipeline = read_yaml(repo / "projects/roses/dvc.yaml")
    assert pipeline["vars"] == [{"project": "roses"}]
    assert list(pipeline["stages"]) == ["prepare", "train", "evaluate", "explain"]
    lines = (repo / "dvc.yaml").read_text()
    assert lines.startswith("# One stage a project.\nstages:\n  index: # of all pages\n")
    stage = read_yaml(repo / "dvc.yaml")["stages"]["projects/roses"]
    assert (stage["cmd"], stage["outs"]) == (
        "python -m shared.report.page roses",
        ["projects/roses/results/report.html", "projects/roses/results/train/README.md"],
    )
    assert {"projects/roses/results/evaluate/metrics.json", "shared/core/paths.py"} <= {*stage["deps"]}
    assert deps.stale(repo) == {}


def test_its_words_say_what_was_done_and_no_old_figure(repo: Path, data: Path) -> None:
    words = summary(start(repo, "toy", "roses", data))
    assert "data/raw/roses: 2 files" in words
    assert "prepare.names ['crack', \"it's plain\"] (was ['one', 'two']), train.scale 2.0 (was 1.0)" in words
    (left_out,) = [line for line in words.split("\n") if line.startswith("left out, of other data or projects: ")]
    assert left_out.endswith(
        "fetch.py, presets/official.yaml, sample.py, words.py, tests/test_other.py, tests/test_sample.py"
    )
    assert words.endswith("next: make repro PROJECT=roses")
    text = (repo / "projects/roses/README.md").read_text()
    assert text.startswith("# roses: sums of numbers\n")
    assert "0.99" not in text


def test_without_data_a_copy_keeps_fetch_and_its_params(repo: Path) -> None:
    start(repo, "toy", "tulips")
    text = (repo / "projects/toy/params.yaml").read_text()
    assert (repo / "projects/tulips/params.yaml").read_text() == text
    for name in ("fetch.py", "sample.py", "presets/official.yaml"):
        assert (repo / "projects/tulips" / name).exists()
    assert "fetch" in read_yaml(repo / "projects/tulips/dvc.yaml")["stages"]
    tests = {path.name for path in (repo / "tests/projects/tulips").glob("test_*")}
    assert tests == {"test_train.py", "test_sample.py"}


def test_dvc_runs_a_copy(repo: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    run(repo, sys.executable, "-m", "tools.starter", "toy", "roses", "--data", str(data))
    run(repo, "dvc", "repro", "projects/roses")
    assert '"accuracy": 0.2' in (repo / "projects/roses/results/report.html").read_text()
    assert run(repo, "git", "status", "--porcelain", "data/raw/roses") == ""


@pytest.mark.parametrize("name", ["numbers.csv", "mails.jsonl.gz", "naïve tags"])
def test_the_data_may_be_a_single_file(repo: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1\n")
    copy = start(repo, "toy", "roses", tmp_path / name)
    assert [path.name for path in (repo / "data/raw/roses").iterdir()] == [name]
    assert (repo / "data/raw/roses" / name).read_text() == "1\n"
    assert f"data/raw/roses: 1 file of {tmp_path / name}, tracked" in summary(copy)


def test_links_are_followed_and_circles_entered_once(data: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/data").symlink_to(data)
    (data / "crack/circle").symlink_to(data)
    names = sorted(name for _, name in starter.data_files(tmp_path / "links"))
    assert names == ["data/crack/0 #%.txt", "data/it's plain/0 #%.txt"]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["masks", "reviews", "params", "torch", "test", "x", "a" * 40])
def test_any_name_of_a_module_is_taken(repo: Path, name: str) -> None:
    starter.check(repo, "toy", name, None, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Flowers", "not a name"),
        ("my-flowers", "not a name"),
        ("../flowers", "not a name"),
        ("größe", "not a name"),
        ("", "not a name"),
        ("class", "not a name"),
        ("a" * 41, "not a name"),
        ("toy", "projects/toy: exists already"),
        ("other", "projects/other: exists already"),
        ("ignored", "git ignores it"),
    ],
)
def test_bad_names_are_refused(repo: Path, name: str, message: str) -> None:
    (repo / ".git/info/exclude").write_text("ignored\n")
    before = state(repo)
    with pytest.raises(UserError, match=message):
        start(repo, "toy", name)
    assert state(repo) == before


def test_all_problems_are_named_at_once(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.doc").touch()
    before = state(repo)
    with pytest.raises(UserError) as caught:
        start(repo, "cifar", "Bad Name", tmp_path / "none", tmp_path / "full")
    for what in ("no such project", "not a name", "no such file or folder", "not an empty folder"):
        assert what in caught.value.what
    assert state(repo) == before
    assert (tmp_path / "full/thesis.doc").exists()


def test_what_is_wrong_with_the_data_is_listed(repo: Path, data: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (data / name).touch()
    with pytest.raises(UserError, match=r"(?s)a.txt: zero bytes.*b.txt: zero bytes"):
        start(repo, "toy", "lilies", data)
    (data / "link.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"link\.txt: not a file that can be read"):
        start(repo, "toy", "lilies", data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no files in it"):
        start(repo, "toy", "lilies", tmp_path / "empty")
    with pytest.raises(UserError, match="this repository is inside it"):
        start(repo, "toy", "lilies", repo.parent)
    with pytest.raises(UserError, match="a hidden file, which prepare does not see"):
        start(repo, "toy", "lilies", data / ".DS_Store")


def test_a_target_inside_the_repository_the_data_or_a_file_is_refused(repo: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for to, message in ((repo / "new", "inside"), (data / "new", "inside"), (tmp_path / "file/new", "not a folder")):
        with pytest.raises(UserError, match=message):
            start(repo, "toy", "lilies", data, to)
        assert not to.exists()


def test_a_link_to_a_disk_that_is_away_is_not_taken_for_a_free_place(repo: Path, data: Path, tmp_path: Path) -> None:
    link = repo / "data/raw/lilies"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "disk/flowers")
    with pytest.raises(UserError, match="data/raw/lilies: exists already"):
        start(repo, "toy", "lilies", data)
    assert link.is_symlink()


# --- interrupted --------------------------------------------------------------------------------------------------


def stop_before(step: int, patch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Lets `step` operations pass, and then calls `stop`."""
    left = iter(range(step))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            if next(left, None) is None:
                patch.undo()
                stop()
            return function(*words, **named)

        return call

    for name in OPERATIONS:
        patch.setattr(starter, name, counted(getattr(starter, name)))
    patch.setattr(Path, "rename", counted(Path.rename))


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_at_any_step_takes_everything_back(repo: Path, data: Path) -> None:
    before = state(repo)
    for step in range(100):
        with pytest.MonkeyPatch.context() as patch:
            stop_before(step, patch, interrupt)
            try:
                start(repo, "toy", "lilies", data)
            except KeyboardInterrupt:
                if "projects/lilies" not in read_yaml(repo / "dvc.yaml")["stages"]:
                    assert state(repo) == before, step
                    continue
        break
    assert step == 7  # data, dvc add, tests, project, git add, git diff, dvc.yaml: then it exists
    assert (repo / "projects/lilies/params.yaml").exists()


def test_where_another_process_holds_gits_index_nothing_remains(repo: Path, data: Path) -> None:
    before = state(repo)
    (repo / ".git/index.lock").touch()
    with pytest.raises(UserError, match="git add failed"):
        start(repo, "toy", "lilies", data)
    (repo / ".git/index.lock").unlink()
    assert state(repo) == before


def start_or_die(step: int, repo: str, data: str) -> None:
    """Makes a copy as in `repo`, but ends this process before an operation."""
    projects.__path__ = [f"{repo}/projects"]
    starter.dvc_add = lambda root, path: (root / f"{path}.dvc").write_text("outs:\n")
    stop_before(step, pytest.MonkeyPatch(), lambda: os._exit(9))
    start(Path(repo), "toy", "lilies", Path(data))


def killed_before(step: int, repo: Path, data: Path) -> bool:
    """Whether a start was killed, in a process of its own, before an operation."""
    code = f"from tests.tools.test_starter import start_or_die\nstart_or_die({step}, {str(repo)!r}, {str(data)!r})"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 9


def test_after_a_kill_at_any_step_the_same_command_makes_the_copy(
    repo: Path, original: Path, data: Path, tmp_path: Path
) -> None:
    start(repo, "toy", "lilies", data)
    whole = state(repo)
    for step in range(100):
        shutil.rmtree(repo)
        shutil.copytree(original, repo)
        if not killed_before(step, repo, data):
            break
        if "projects/lilies" not in read_yaml(repo / "dvc.yaml")["stages"]:
            start(repo, "toy", "lilies", data)
        assert state(repo) | {"index": ""} == whole | {"index": ""}, step
    assert step == 8


def test_what_someone_changed_in_a_half_made_copy_is_never_replaced(repo: Path, original: Path, data: Path) -> None:
    assert killed_before(6, repo, data)
    own, edited = repo / "data/raw/lilies/mine.txt", repo / "projects/lilies/params.yaml"
    own.write_text("mine")
    edited.write_text("# mine")
    with pytest.raises(UserError) as caught:
        start(repo, "toy", "lilies", data)
    for path in ("data/raw/lilies: exists already", "projects/lilies: exists already"):
        assert path in caught.value.what
    assert (own.read_text(), edited.read_text()) == ("mine", "# mine")


def test_a_start_that_waited_for_another_one_of_its_name_is_refused(repo: Path, data: Path) -> None:
    copy = starter.check(repo, "toy", "lilies", None, None)
    start(repo, "toy", "lilies", data)
    before = state(repo)
    with pytest.raises(UserError, match="projects/lilies: exists already"):
        starter.make_project(copy)
    assert state(repo) == before


def test_a_change_of_ones_own_to_dvc_yaml_survives_and_is_not_staged(repo: Path) -> None:
    text = (repo / "dvc.yaml").read_text()
    (repo / "dvc.yaml").write_text(f"# mine\n{text}")
    start(repo, "toy", "lilies")
    assert (repo / "dvc.yaml").read_text().startswith("# mine\n")
    assert run(repo, "git", "show", ":dvc.yaml") == text


# --- a repository of its own --------------------------------------------------------------------------------------


@pytest.fixture
def own(repo: Path, data: Path, tmp_path: Path) -> Iterator[Path]:
    """Made, and its origin gone."""
    start(repo, "toy", "roses", data, tmp_path / "deep/own")
    repo.rename(tmp_path / "gone")
    yield tmp_path / "deep/own"
    (tmp_path / "gone").rename(repo)


def test_a_repository_holds_what_it_needs_and_no_more(own: Path) -> None:
    files = set(run(own, "git", "ls-files").split("\n"))
    top = {"Makefile", "pyproject.toml", "requirements.lock", "requirements-pretrained.lock", "LICENSE", "dvc.yaml"}
    hidden = {".dvc/config", ".dvcignore", ".gitignore", ".gitattributes"}
    assert top | hidden | {"README.md", "data/raw/roses.dvc"} <= files
    assert {"shared/report/page.py", "shared/report/templates/page.html", "tests/test_pipelines.py"} <= files
    assert not files & {"shared/unused.py", "projects/roses/fetch.py", "projects/other/params.py"}
    assert not [name for name in files if "toy" in name or name.startswith("data/raw/roses/")]
    assert list(read_yaml(own / "dvc.yaml")["stages"]) == ["projects/roses"]
    assert run(own, "git", "log", "--oneline").count("\n") == 1
    assert run(own, "git", "status", "--porcelain") == ""
    assert [path.name for path in own.parent.iterdir()] == ["own"]


def test_it_works_without_its_origin(own: Path) -> None:
    for stage in ("prepare", "train", "evaluate", "explain"):
        run(own, sys.executable, "-m", f"projects.roses.{stage}")
    run(own, sys.executable, "-m", "shared.report.page", "roses")
    run(own, sys.executable, "-m", "tools.readme", "--check")
    run(own, sys.executable, "-m", "pytest", "tests", "-p", "no:cacheprovider")
    assert "make pretrained" in run(own, "make", "--no-print-directory", "help")
    assert "roses: sums of numbers" in run(own, sys.executable, "-m", "tools.starter")


def test_the_next_command_can_be_pasted(repo: Path, tmp_path: Path) -> None:
    words = summary(Copy(repo, "toy", "roses", None, tmp_path / "my folder"))
    assert words.endswith(f"next: cd '{tmp_path / 'my folder'}' && make repro PROJECT=roses")


def test_an_interrupted_repository_leaves_nothing(
    repo: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "dvc_add", lambda *words: interrupt())
    with pytest.raises(KeyboardInterrupt):
        start(repo, "toy", "lilies", data, tmp_path / "new/lilies")
    assert list((tmp_path / "new").iterdir()) == []


# --- the command, and what the projects here must be like ---------------------------------------------------------


def test_without_arguments_it_lists_projects(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    out = capsys.readouterr().out
    assert all(f"\n{name}: " in f"\n{out}" for name in PROJECTS)


def test_a_name_alone_is_not_enough() -> None:
    with pytest.raises(UserError, match="both needed"):
        main(["flowers"])


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_can_be_copied(project: str) -> None:
    folders = Copy(ROOT, project, "flowers", Path("data")).folders
    texts = [
        (path, text) for files in folders.values() for path, text in files.items() if path.endswith((".py", ".yaml"))
    ]
    assert [path for path, text in texts if project in text.decode()] == [], "use Project.of(__file__)"
    model = __import__(f"projects.{project}.params", fromlist=["Params"]).Params
    tree = read_yaml(ROOT / "projects" / project / "params.yaml")
    assert (
        check_params(model, {name: section for name, section in tree.items() if name != "fetch"}, project).fetch is None
    )


@pytest.mark.parametrize("project", PROJECTS)
def test_what_a_repository_of_its_own_shares_does_not_name_the_original(project: str) -> None:
    copy = Copy(ROOT, project, "flowers", to=Path("own"))
    named = {path for path, content in repository_files(copy).items() if f'"{project}"'.encode() in content}
    assert named == set()


@pytest.mark.parametrize("project", PROJECTS)
def test_a_longer_name_fits_into_the_lines_of_a_copy(project: str) -> None:
    name = "customer_tickets"
    for files in Copy(ROOT, project, name).folders.values():
        lines = [line for path, text in files.items() if path.endswith(".py") for line in text.decode().split("\n")]
        assert [line for line in lines if len(line) > 120 and name in line] == []
