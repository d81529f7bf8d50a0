"""Writes the modules that each stage imports into its deps in dvc.yaml, so that nobody types them.

    make deps                      = python -m tools.deps
    python -m tools.deps --check   # exit 2 when a list is stale

Only the entries that end in .py are written; data, results and templates among the deps stay as they are. Imports are
read from the code, which is not run.
"""

import ast
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import ROOT, show


def names_imported(path: Path, root: Path = ROOT, *, at_import: bool = False) -> set[str]:
    """The dotted names that a file imports; of `from a import b` both `a` and `a.b`, for b may be a module.

    Args:
        at_import: only what is imported when the file itself is, not inside functions.
    """
    return _names(path.read_text(encoding="utf-8"), path.relative_to(root).parent.parts, at_import)


@cache
def _names(code: str, package: tuple[str, ...], at_import: bool) -> set[str]:
    names = set()
    waiting: list[ast.AST] = [ast.parse(code)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif not (at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)
    return names


def reached(paths: Iterable[Path], root: Path = ROOT) -> set[Path]:
    """Python files of the repository: those given and all that they import, directly or not."""
    seen: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [file for name in names_imported(path, root) if (file := module_file(name, root)).exists()]
    return seen


def module_file(name: str, root: Path = ROOT) -> Path:
    """Where a module of this dotted name would lie: `a.b` -> root/a/b.py."""
    return root.joinpath(*name.split(".")).with_suffix(".py")


def read_commented(source: Path | str) -> Any:
    """A YAML file, or its text, as a tree that keeps comments, quotes and order."""
    return _yaml().load(source)


def written(tree: Any) -> str:
    """The text of such a tree."""
    text = io.StringIO()
    _yaml().dump(tree, text)
    return text.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def updated(path: Path, root: Path = ROOT) -> str:
    """The text of a dvc.yaml with the modules of each stage's command among its deps.

    Raises:
        UserError: a stage runs no module of the repository.
    """
    tree = read_commented(path)
    project = next((one["project"] for one in tree.get("vars", ()) if "project" in one), "")
    for name, stage in tree["stages"].items():
        script = stage_script(stage, project, root)
        if not script:
            where = f"{show(path)}: stage {name}"
            raise UserError(f"{where}: runs no module of this repository", expected="python -m <module>")
        # an empty __init__ says nothing
        modules = [file.relative_to(root).as_posix() for file in reached([script], root) if file.stat().st_size]
        if project:
            modules = [file.replace(f"projects/{project}/", "projects/${project}/") for file in modules]
        deps = stage.setdefault("deps", [])
        deps[:] = sorted([*(dep for dep in deps if not dep.endswith(".py")), *modules])
    return written(tree)


def stage_script(stage: Mapping[str, Any], project: str, root: Path = ROOT) -> Path | None:
    """The file of the module that a stage's command runs; None if that is none of the repository's."""
    words = stage["cmd"].replace("${project}", project).split()
    script = module_file(words[2], root) if words[:2] == ["python", "-m"] and len(words) > 2 else root
    return script if script.is_file() else None


def stale(root: Path = ROOT) -> list[Path]:
    """Every dvc.yaml, of the root and of the projects, whose lists are not what the code imports."""
    paths = [root / "dvc.yaml", *sorted(root.glob("projects/*/dvc.yaml"))]
    return [path for path in paths if updated(path, root) != path.read_text(encoding="utf-8")]


def check_or_write(
    words: list[str], doc: str | None, stale: Callable[[], list[Path]], text: Callable[[Path], str]
) -> None:
    """The command line of a tool that keeps generated files: writes those that are stale, or refuses them.

    Args:
        words: --check, --help or nothing.
        doc: the module's docstring, its help.
        text: what a stale file should hold.
    """
    if {"-h", "--help"} & set(words):
        print((doc or "").strip())
        return
    if unknown := [word for word in words if word != "--check"]:
        raise UserError(f"{unknown[0]}: no such option", expected="--check or nothing")
    found = stale()
    if words and found:
        raise UserError(f"stale: {', '.join(map(show, found))}", fix="run the same command without --check")
    for path in found:
        path.write_text(text(path), encoding="utf-8")
        print(f"{show(path)}: updated")


def main(words: list[str]) -> None:
    """The command line."""
    check_or_write(words, __doc__, stale, updated)


if __name__ == "__main__":
    with errors_for_people():
        main(sys.argv[1:])
