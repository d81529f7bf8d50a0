"""A repository of its own for a copy: the project, the part of shared/ it uses, and one commit.

It is built whole in a folder beside its place, and appears there by one rename.
"""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from shared.core.files import writing
from tools.imports import reached

from . import data, readme, staging, tools
from .code import fitted, renamed, tidy
from .plan import Plan
from .project import build, root_stage

# Commands of the Makefile and of dvc.yaml, which no file imports.
COMMANDS = ("tools/repro.py", "shared/report/page.py", "shared/report/index.py")
GENERIC_TESTS = ("tests/conftest.py", "tests/pipelines.py", "tests/test_pipelines.py")
AS_THEY_ARE = (".gitignore", ".dvcignore", ".dvc/.gitignore", "requirements.lock", "LICENSE")
_TARGETS = ("bench", "new", "benchlock")  # of the Makefile, that stay behind


def create(plan: Plan, lock: int) -> None:
    """Makes the repository at `plan.to`, or nothing."""
    assert plan.to
    aside = plan.to.with_name(f".{plan.to.name}.new.tmp")
    parents = [folder for folder in plan.to.parents if not folder.exists()]
    with writing(plan.to):
        try:
            staging.sweep(aside)
            staging.create(aside)
            fill(plan, aside / "repository")
            _commit(plan, aside / "repository", lock)
            (aside / "repository").rename(plan.to)  # also onto an empty folder
        finally:
            staging.sweep(aside)
            for folder in parents:
                with suppress(OSError):  # not empty: the repository is in it
                    folder.rmdir()


def fill(plan: Plan, root: Path) -> None:
    """Writes all files of the repository below `root`."""
    build(plan, root)
    if plan.data:
        data.copy(plan.data, root / "data" / "raw" / plan.name)
    _write_own(plan, root)
    for path in [*(path for path in AS_THEY_ARE if (plan.root / path).exists()), *needed(plan, root)]:
        _copy(plan, path, root)
    tidy(root.rglob("*.py"), plan.root / "pyproject.toml")


def needed(plan: Plan, root: Path) -> list[str]:
    """The files of this repository that the copy at `root` imports or runs, with the packages they are in."""
    starts = [*root.rglob("*.py"), *(plan.root / path for path in (*COMMANDS, *GENERIC_TESTS))]
    files = {path for path in reached(starts, (root, plan.root)) if path.is_relative_to(plan.root)}
    files = {path for path in files if not path.is_relative_to(root)}
    packages = {parent / "__init__.py" for path in files for parent in path.parents if parent != plan.root}
    folders = {path.parent for path in files}
    other = {path for folder in folders for path in (folder / "templates").glob("*") if path.is_file()}
    own = {folder / "__init__.py" for folder in (plan.root / "projects", plan.root / "tests" / "projects")}
    found = {path for path in files | packages | other | own if path.exists() and path.is_relative_to(plan.root)}
    return sorted(path.relative_to(plan.root).as_posix() for path in found)


def _copy(plan: Plan, path: str, root: Path) -> None:
    """A file as it is; in the words of Python files the old project's name is an example, and changes."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".py"):
        text = fitted(renamed(_text(plan, path), plan.source, plan.name))
        (root / path).write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(plan.root / path, root / path)


def _write_own(plan: Plan, root: Path) -> None:
    """What only this repository has: its words, its stage, its commands."""
    head = "".join(line for line in _text(plan, "dvc.yaml").splitlines(keepends=True) if line.startswith("#"))
    texts = {
        "README.md": readme.repository(plan),
        "data/README.md": readme.data_forms(plan),
        "dvc.yaml": f"{head}stages:\n{root_stage(plan)}",
        "Makefile": makefile(_text(plan, "Makefile"), plan.name),
        "pyproject.toml": pyproject(_text(plan, "pyproject.toml"), plan.name, readme.title(plan.root, plan.source)),
        ".dvc/config": core_settings(_text(plan, ".dvc/config")),
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _text(plan: Plan, path: str) -> str:
    return (plan.root / path).read_text(encoding="utf-8")


def makefile(text: str, name: str) -> str:
    """This repository's Makefile without what only it can do, for a project of another name."""
    blocks = re.split(r"\n\n+", text)
    targets = "|".join(_TARGETS)
    kept = [block for block in blocks if not re.search(rf"(?m)^({targets}):", block)]
    text = "\n\n".join(kept).rstrip() + "\n"
    text = re.sub(r"(?m)^\.PHONY:.*$", lambda line: re.sub(rf" ({targets})\b", "", line[0]), text)
    text = re.sub(r"(?m)^PROJECT \?= \w+$", f"PROJECT ?= {name}", text)
    text = re.sub(r"PROJECT=\w+( \[PRESET=[\w-]+\])?", f"PROJECT={name}\\1", text)
    return text.replace(" benchmarks ", " ")


def pyproject(text: str, name: str, description: str) -> str:
    """This repository's pyproject.toml with another name, without the benchmarks' packages."""
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1)
    text = re.sub(r'(?m)^description = ".*"$', lambda _: f'description = "{description}"', text, count=1)
    return re.sub(r"(?m)^bench = .*\n", "", text)


def core_settings(config: str) -> str:
    """DVC's settings without remotes, which hold other data."""
    core = re.sub(r"(?m)^\[(?!core\]).*\n(?:(?!\[).*\n?)*", "", config)
    return re.sub(r"(?m)^\s*remote = .*\n", "", core)


def _commit(plan: Plan, root: Path, lock: int) -> None:
    tools.git(root, "init", "--quiet", "--initial-branch", "main")
    if plan.data:
        tools.dvc_add(root, f"data/raw/{plan.name}", lock)
    tools.git(root, "add", "--all")
    author = [] if tools.succeeds(root, "config", "user.email") else ["-c", "user.name=make new"]
    author += [] if not author else ["-c", "user.email=make-new@localhost"]
    quiet = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false"]  # of the user's other repositories
    message = f"Start {plan.name} as a copy of {plan.source} ({readme.origin(plan)})"
    tools.git(root, *author, *quiet, "commit", "--quiet", "--message", message)
