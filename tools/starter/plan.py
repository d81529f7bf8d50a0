"""What is to be copied to where: everything is checked here, and all problems are named at once."""

import importlib
import keyword
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.core.errors import Problems, UserError
from shared.core.params import read_yaml

from . import tools
from .code import identifiers
from .data import problems_of, size_of

MAX_NAME = 40  # letters: a module's path must fit into a line
SPARE_BYTES = 100_000_000  # for everything that is not data


@dataclass(frozen=True)
class Plan:
    """A copy that can be made.

    Args:
        root: of this repository.
        source: the project to copy.
        name: of the copy.
        data: the folder or file of the user's data; None to keep fetch and the sample.
        to: the folder of a new repository; None to copy within this one.
        suggested: dotted params that suit the data.
    """

    root: Path
    source: str
    name: str
    data: Path | None = None
    to: Path | None = None
    suggested: dict[str, Any] = field(default_factory=dict)


def check(root: Path, source: str, name: str, data: Path | None = None, to: Path | None = None) -> Plan:
    """A plan that can be carried out. Raises one UserError with everything that stands in the way."""
    data, to = (Path(os.path.abspath(path.expanduser())) if path else None for path in (data, to))
    problems = Problems(f"a copy of {source} as {name}")
    known = source in projects(root)
    if not known:
        problems.add(source, f"no such project, expected one of {', '.join(projects(root))}")
    _check_root(root, problems)
    _check_name(root, source if known else "", name, to, problems)
    _check_target(root, to, data, problems)
    suggested = _check_data(root, source if known else "", data, to, problems)
    problems.raise_if_any(fix="mend these and run again; nothing was created")
    return Plan(root, source, name, data, to, suggested)


def projects(root: Path) -> list[str]:
    """The names of all projects, in alphabetical order."""
    return sorted(path.parent.name for path in root.glob("projects/[a-z]*/params.yaml"))


def _check_root(root: Path, problems: Problems) -> None:
    if not (root / ".git").exists():
        problems.add(root, "not a git repository, and DVC needs one; git init && git add -A && git commit -m start")


def _check_name(root: Path, source: str, name: str, to: Path | None, problems: Problems) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        problems.add(repr(name), "not a name, expected lower-case letters, digits and _, a letter first")
    elif keyword.iskeyword(name):
        problems.add(name, "a word of the Python language, expected another name")
    elif len(name) > MAX_NAME:
        problems.add(name, f"{len(name)} letters, expected at most {MAX_NAME}")
    elif to is None or name != source:  # in a repository of its own a copy may keep the name
        for what in _collisions(root, source, name, to):
            problems.add(name, what)


def _collisions(root: Path, source: str, name: str, to: Path | None) -> Iterator[str]:
    if source and name in _names_in_code(root, source):
        yield f"a name in the code of {source}, expected one that does not occur there"
    if to is not None:
        return
    for path in (f"projects/{name}", f"tests/projects/{name}", f"data/raw/{name}", f"data/raw/{name}.dvc"):
        if os.path.lexists(root / path):
            yield f"{path} exists already, expected a new name"
        elif tools.succeeds(root, "ls-files", "--error-unmatch", "--", path):
            yield f"git still has files of {path}; git rm -r --cached {path}, or take a new name"
    if f"projects/{name}" in read_yaml(root / "dvc.yaml").get("stages", {}):
        yield f"dvc.yaml has a stage projects/{name} already, expected a new name"
    for path in (f"projects/{name}/params.yaml", f"data/raw/{name}.dvc"):
        if tools.succeeds(root, "check-ignore", "--quiet", path):
            yield f"git ignores {path}, expected a name that no .gitignore matches"


def _names_in_code(root: Path, source: str) -> set[str]:
    files = [path for folder in ("projects", "tests/projects") for path in (root / folder / source).glob("*.py")]
    return {name for path in files for name in identifiers(path.read_text(encoding="utf-8"))} - {source}


def _check_target(root: Path, to: Path | None, data: Path | None, problems: Problems) -> None:
    if to is None:
        for folder in (root, root / "projects", root / "tests"):
            if not os.access(folder, os.W_OK):
                problems.add(folder, "cannot be written, expected permission to create files")
        return
    if _inside(to, root):
        problems.add(to, "inside this repository, expected a folder elsewhere")
    if data and _inside(to, data):
        problems.add(to, "inside the data, expected a folder elsewhere")
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        problems.add(to, "not a folder, expected a new or empty one")
    elif to.is_dir() and os.access(to, os.R_OK) and any(to.iterdir()):
        problems.add(to, "not empty, expected a new or empty folder")
    if not os.access(_existing(to.parent), os.W_OK | os.X_OK) or not _existing(to.parent).is_dir():
        problems.add(to, f"cannot be written: no permission to create files in {_existing(to.parent)}")


def _check_data(root: Path, source: str, data: Path | None, to: Path | None, problems: Problems) -> dict[str, Any]:
    if data is None:
        return {}
    if not data.exists():
        problems.add(data, "no such file or folder, expected that of your data")
    elif _inside(data, root) or _inside(root, data):
        problems.add(data, "inside this repository or around it, expected them elsewhere, where they stay as they are")
    else:
        found = list(problems_of(data))
        problems.found += found
        if not found:
            _check_space(data, _existing(to or root / "data/raw"), problems)
            return _suggestion(source, data, problems) if source else {}
    return {}


def _check_space(data: Path, target: Path, problems: Problems) -> None:
    # twice: the copy, and DVC's cache of it
    needed = 2 * size_of(data) + SPARE_BYTES
    status = os.statvfs(target)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        problems.add(
            target, f"{free / 1e9:.1f} GB free, expected {needed / 1e9:.1f} GB for a copy and DVC's cache of it"
        )


def _suggestion(source: str, data: Path, problems: Problems) -> dict[str, Any]:
    """What the project's own look at the data suggests; what it finds wrong becomes problems here."""
    try:
        found: dict[str, Any] = importlib.import_module(f"projects.{source}.prepare").suggest(data)
    except UserError as error:
        first, *rest = error.what.split("\n")
        problems.found += [line.removeprefix("  - ").strip() for line in rest] or [first]
        return {}
    return found


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
