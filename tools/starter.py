"""Copies a project for data of your own, within this repository or as a repository of its own.

    python -m tools.starter                                                       what there is to copy
    python -m tools.starter cifar_cnn flowers --data path/to/my/folder            = make new FROM=... NAME=... DATA=...
    python -m tools.starter cifar_cnn flowers --data ... --to path/to/new/folder  a repository of its own: TO=...

Without --data the copy keeps the stage fetch and the sample. Your data are copied, never changed. Everything is checked
first. After an error or Ctrl-C nothing half-made remains; after a kill the same command continues: files that exist
already must equal those it would write, and your files are never removed or replaced.
"""

import argparse
import fcntl
import filecmp
import importlib
import keyword
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from shared.core.cli import errors_for_people
from shared.core.errors import Problems, UserError
from shared.core.files import replace_folder, write_atomic, writing
from shared.core.params import flatten, read_yaml
from shared.core.paths import ROOT
from shared.core.predict import printable
from shared.core.walk import files_below
from tools.project_copy import Copy, repository_files, with_stage
from tools.readme import git, project_names, task

NAME = r"[a-z][a-z0-9_]{,39}"  # so that a module's path fits into a line
TAKEN = "exists already, expected a new name"


def start(root: Path, source: str, name: str, data: Path | None = None, to: Path | None = None) -> Copy:
    """Checks everything, then makes the copy. Raises UserError; nothing half-made remains then."""
    copy = check(root, source, name, data, to)
    with writing(copy.to or root / "projects"):
        make_repository(copy) if copy.to else make_project(copy)
    return copy


# Checks


def check(root: Path, source: str, name: str, data: Path | None, to: Path | None) -> Copy:
    """A copy that can be made. Raises one UserError with all problems."""
    data, to = (Path(os.path.abspath(path.expanduser())) if path else None for path in (data, to))
    problems, names = Problems(f"a copy of {source} as {name}"), project_names(root)
    if source not in names:
        problems.add(source, f"no such project, expected one of {', '.join(names)}")
    if not _git_says(root, "rev-parse", "--verify", "HEAD"):
        problems.add(root, "not a git repository with a commit, expected git init && git add -A && git commit -m start")
    if not re.fullmatch(NAME, name) or keyword.iskeyword(name):
        problems.add(
            repr(name),
            "not a name, expected 1 to 40 lower-case letters, digits and _, a letter first, and no word of Python",
        )
    if to:
        _check_target(root, data, to, problems)
    suggested: dict[str, Any] = {}
    if data and _can_be_copied(root, data, problems) and source in names:
        with problems.collect():  # the project's own check of the data
            suggested |= importlib.import_module(f"projects.{source}.prepare").suggest(data)
    copy = Copy(root, source, name, data, to, suggested)
    if not problems.found and not to:
        _check_places(copy, problems)
    problems.raise_if_any(fix="change these and run again; nothing was created")
    return copy


def _git_says(root: Path, *words: str) -> bool:
    """Whether a git command exits with 0."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True).returncode == 0


def _check_target(root: Path, data: Path | None, to: Path, problems: Problems) -> None:
    if to.resolve().is_relative_to(root.resolve()):
        problems.add(to, "inside this repository, expected a folder elsewhere")
    if data and to.resolve().is_relative_to(data.resolve()):
        problems.add(to, "inside the data, expected a folder elsewhere")
    if os.path.lexists(to) and (to.is_symlink() or not to.is_dir() or any(to.iterdir())):
        problems.add(to, "exists and is not an empty folder, expected a new or empty one")
    if not (above := next(one for one in to.parents if os.path.lexists(one))).is_dir():
        problems.add(above, f"not a folder, expected one for {to.name}")


def _can_be_copied(root: Path, data: Path, problems: Problems) -> bool:
    """Whether there are data, all readable; adds what is wrong to the problems."""
    known = len(problems.found)
    if not data.exists():
        problems.add(data, "no such file or folder, expected that of your data")
    elif root.resolve().is_relative_to(data.resolve()):
        problems.add(data, "this repository is inside it, expected a folder of data alone")
    elif data.is_file() and data.name.startswith("."):
        problems.add(data, "a hidden file, which prepare does not see, expected a name without a dot in front")
    else:
        files = list(data_files(data, lambda error: problems.add(error.filename, "a folder that cannot be read")))
        for path, _ in files:
            if not os.access(path, os.R_OK):
                problems.add(path, "not a file that can be read")
            elif not path.is_file():
                problems.add(path, "neither a file nor a folder")
        if not files and len(problems.found) == known:
            problems.add(data, "no files in it, expected your data")
    return len(problems.found) == known


def _check_places(copy: Copy, problems: Problems) -> None:
    """Checks that the paths are free, or hold the leftovers of a killed start of this very copy."""
    root, project, raw = copy.root, f"projects/{copy.name}", f"data/raw/{copy.name}"
    if project in read_yaml(root / "dvc.yaml").get("stages", {}):
        problems.add(project, TAKEN)
        return
    for folder, files in copy.folders.items():
        if os.path.lexists(root / folder) and _content(root / folder) != files:
            problems.add(folder, TAKEN)
    if os.path.lexists(root / raw):  # a link that leads nowhere too: its disk may only be away
        if not (copy.data and (root / raw).is_dir() and _same(copy.data, root / raw)):
            problems.add(raw, TAKEN)
    elif (root / f"{raw}.dvc").exists():
        problems.add(f"{raw}.dvc", TAKEN)
    for path in (f"{project}/params.yaml", f"{raw}.dvc"):
        if _git_says(root, "check-ignore", path):
            problems.add(path, "git ignores it, expected a name that no .gitignore matches")


def _content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder except Python's caches."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# The data


def data_files(root: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[Path, str]]:
    """Every file below a folder with its relative path; for a file, the file itself.

    As `files_below` finds them: links are followed, hidden files and litter are left out.

    Args:
        onerror: is called for each folder that cannot be read.
    """
    if root.is_file():
        yield root, root.name
    else:
        yield from ((path, path.relative_to(root).as_posix()) for path in files_below(root, onerror))


def _same(data: Path, copied: Path) -> bool:
    """Whether a folder holds just these data."""
    here, there = ({name: path for path, name in data_files(folder)} for folder in (data, copied))
    return here.keys() == there.keys() and all(filecmp.cmp(here[name], there[name], shallow=False) for name in here)


def copy_data(data: Path, target: Path) -> None:
    """Copies all files, with a progress bar on a terminal. The copies are new files of the user's own."""
    files = list(data_files(data))
    for path, name in tqdm(files, desc="copying the data", unit="file", disable=None, leave=False):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)


def dvc_add(root: Path, path: str) -> None:
    """`dvc add`, with its progress bar. Raises UserError if it fails; DVC then has printed the reason."""
    hidden = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    words = [sys.executable, "-m", "dvc", "add", path]
    if subprocess.run(words, cwd=root, stdout=subprocess.DEVNULL, env=hidden).returncode:
        raise UserError(f"dvc add {path} failed, for the reason above", fix="run the same command again after that")


# Into place


def make_project(copy: Copy) -> None:
    """The copy within this repository: data, tests, project, each by one rename; then its stage in dvc.yaml.

    The stage is written last: until then, the same command continues from what is in place.
    """
    root, name = copy.root, copy.name
    placed: list[Path] = []

    def place(path: str, fill: Callable[[Path], None]) -> None:
        if not (root / path).exists():  # else left by a killed start, and checked to be the same
            placed.append(root / path)
            with replace_folder(root / path) as new:
                fill(new)

    with _alone(root):
        problems = Problems(f"a copy of {copy.source} as {name}")
        _check_places(copy, problems)  # again: the start that was waited for may have taken the name
        problems.raise_if_any(fix="choose another name; nothing was created")
        paths = list(copy.folders)
        try:
            if copy.data:
                place(f"data/raw/{name}", partial(copy_data, copy.data))
                paths.append(f"data/raw/{name}.dvc")
                placed += [root / paths[-1]] * (not (root / paths[-1]).exists())
                dvc_add(root, f"data/raw/{name}")
            for folder, files in copy.folders.items():
                place(folder, partial(_write, files))
            git(root, "add", "--", *paths)
            clean = not git(root, "diff", "--name-only", "--", "dvc.yaml")  # other changes are not ours to stage
            write_atomic(root / "dvc.yaml", with_stage(copy, root).encode())
        except BaseException:
            for path in reversed(placed):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            # if git can: another process may hold its index
            _git_says(root, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", *map(str, placed))
            raise
        if clean:
            git(root, "add", "--", "dvc.yaml")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Waits for another start in this repository to end: both would write dvc.yaml."""
    (root / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    with (root / ".dvc/tmp/make-new.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the process, however that ends
        yield


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def make_repository(copy: Copy) -> None:
    """A repository of its own, with one commit: built beside its place and moved there by one rename."""
    assert copy.to
    commit = git(copy.root, "describe", "--always", "--dirty", "--exclude=*").strip()
    options = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false"]  # of the user's other repositories
    with replace_folder(copy.to) as root:
        _write(repository_files(copy), root)
        (root / "dvc.yaml").write_text(with_stage(copy, root), encoding="utf-8")
        git(root, "init", "--quiet", "--initial-branch", "main")
        if copy.data:
            copy_data(copy.data, root / "data/raw" / copy.name)
            dvc_add(root, f"data/raw/{copy.name}")
        git(root, "add", "--all")
        if not all(_git_says(root, "config", f"user.{key}") for key in ("name", "email")):
            options += ["-c", "user.name=make new", "-c", "user.email=make-new@localhost"]
        message = f"Start {copy.name} as a copy of {copy.source} (commit {commit})"
        git(root, *options, "commit", "--quiet", "--message", message)


# Words


def listing(root: Path) -> str:
    """All projects, what each does, and how to copy one."""
    rows = [f"{name}: {task(root, name)}" for name in project_names(root)]
    if not rows:
        raise UserError(f"{root}: no projects in it", expected="projects/<name>/params.yaml")
    forms = "python -m projects.<project>.prepare --help    # the forms of data that it accepts"
    usage = "make new NAME=flowers FROM=<project> DATA=path/to/my/folder [TO=path/to/new/repository]"
    return "\n".join([*rows, "", forms, usage])


def summary(copy: Copy) -> str:
    """What was created from what, and the next command."""
    place = str(copy.to) if copy.to else f"projects/{copy.name}"
    lines = [
        f"{place}: made from {copy.source}, {'with one commit' if copy.to else 'known to git (not committed yet)'}"
    ]
    if copy.data:
        number = sum(1 for _ in data_files(copy.data))
        origin = printable(str(copy.data))
        lines.append(f"data/raw/{copy.name}: {number:,} file{'s' * (number != 1)} of {origin}, tracked by DVC")
    before = flatten(read_yaml(copy.source_folder / "params.yaml"))
    changes = [f"{key} {value} (was {before[key]})" for key, value in copy.suggested.items() if value != before[key]]
    if changes:
        lines.append(f"params.yaml, to suit the data: {', '.join(changes)}")
    if copy.left_out:
        names = (path.replace(f"projects/{copy.source}/", "") for path in copy.left_out)
        lines.append(f"left out, of other data or projects: {', '.join(names)}")
    go = f"cd {shlex.quote(place)} && " if copy.to else ""
    return "\n".join([*lines, f"next: {go}make repro PROJECT={copy.name}"])


def main(words: list[str] | None = None) -> None:
    """Lists the projects, or makes a copy and prints the next command."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.starter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", nargs="?", help="to copy")
    parser.add_argument("name", nargs="?", help="of the copy")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of your data")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="new or empty, for a repository of its own")
    chosen = parser.parse_args(words)
    if not any(vars(chosen).values()):
        print(listing(ROOT))
    elif chosen.project and chosen.name:
        print(summary(start(ROOT, chosen.project, chosen.name, chosen.data, chosen.to)))
    else:
        raise UserError(
            "the project to copy and a name are both needed",
            expected="make new NAME=flowers FROM=cifar_cnn DATA=path/to/my/folder",
            fix="make new lists the projects",
        )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes back what was placed, as Ctrl-C does
    with errors_for_people():
        main()
