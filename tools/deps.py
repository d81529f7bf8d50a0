"""Writes the modules that each stage imports into its deps in dvc.yaml, so that they are not maintained by hand.

    make deps                      = python -m tools.deps
    python -m tools.deps --check   # exit 2 when a list is stale

Only the entries that end in .py are written; data, results and templates among the deps stay as they are. Imports are
read from the code, which is not run. The root's dvc.yaml has a stage for each project, which builds its page: it is
written whole, from the outs of the project's own stages.
"""

import argparse
import ast
import io
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.params import read_yaml
from shared.core.paths import ROOT, show

PAGE, TEMPLATES = "shared.report.page", "shared/report/templates"
# What the page reads in results/, as path.match() takes it; folders hold pictures
PAGE_READS = "*/page.json", "train/*.json", "train/*.tsv", "evaluate/metrics.json"


def names_imported(path: Path, root: Path = ROOT) -> set[str]:
    """The dotted names that a file imports; of `from a import b` both `a` and `a.b`, for b may be a module."""
    return _names(path.read_text(encoding="utf-8"), path.relative_to(root).parent.parts)


@cache
def _names(code: str, package: tuple[str, ...]) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
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


def commented_yaml() -> YAML:
    """Loads trees that keep comments, quotes and order."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def written(tree: Any) -> str:
    """The text of such a tree."""
    text = io.StringIO()
    commented_yaml().dump(tree, text)
    return text.getvalue()


def page_stage(project: str, root: Path = ROOT) -> dict[str, Any]:
    """The stage of the root's dvc.yaml that builds a project's page from what its own stages leave."""
    folder = f"projects/{project}"
    stages = read_yaml(root / folder / "dvc.yaml")["stages"].values()
    lists = [stage.get(kind, []) for stage in stages for kind in ("outs", "metrics", "plots")]
    outs = [Path(path) for outs in lists for out in outs for path in ([out] if isinstance(out, str) else out)]
    results = [out for out in outs if "results" in out.parts and (not out.suffix or any(map(out.match, PAGE_READS)))]
    stage = {
        "cmd": f"python -m {PAGE} {project}",
        "deps": [
            *(f"data/prepared/{project}/{name}.json" for name in ("manifest", "page")),
            *(f"{folder}/{name}" for name in ("README.md", "params.yaml")),
            *(out.as_posix().replace("${project}", project) for out in results),
            TEMPLATES,
        ],
        "outs": [f"{folder}/results/report.html", f"{folder}/results/train/README.md"],
    }
    return stage | {"deps": _deps(stage, module_file(PAGE, root), root)}


def updated(path: Path, root: Path = ROOT) -> str:
    """The text of a dvc.yaml with the modules of each stage's command among its deps.

    Raises:
        UserError: a stage runs no module of the repository.
    """
    tree = commented_yaml().load(path)
    if path.parent == root:
        pages = {file.parent.name: page_stage(file.parent.name, root) for file in root.glob("projects/*/dvc.yaml")}
        tree["stages"] |= {f"projects/{name}": stage for name, stage in sorted(pages.items())}
    project = next((one["project"] for one in tree.get("vars", ()) if "project" in one), "")
    for name, stage in tree["stages"].items():
        words = stage["cmd"].replace("${project}", project).split()
        script = module_file(words[2], root) if words[:2] == ["python", "-m"] and len(words) > 2 else root
        if not script.is_file():
            where = f"{show(path)}: stage {name}"
            raise UserError(f"{where}: runs no module of this repository", expected="python -m <module>")
        found = _deps(stage, script, root)
        if project:
            found = sorted(dep.replace(f"projects/{project}/", "projects/${project}/") for dep in found)
        stage.setdefault("deps", [])[:] = found
    return written(tree)


def _deps(stage: Mapping[str, Any], script: Path, root: Path) -> list[str]:
    """The deps of a stage with the modules that its script imports."""
    modules = [file.relative_to(root).as_posix() for file in reached([script], root)]
    return sorted([*(dep for dep in stage.get("deps", ()) if not dep.endswith(".py")), *modules])


def stale(root: Path = ROOT) -> dict[Path, str]:
    """Every dvc.yaml, of the root and of the projects, whose lists are not what the code imports -> its new text."""
    paths = [root / "dvc.yaml", *sorted(root.glob("projects/*/dvc.yaml"))]
    return {path: text for path in paths if (text := updated(path, root)) != path.read_text(encoding="utf-8")}


def check_or_write(doc: str | None, stale: Callable[[], Mapping[Path, str]], words: list[str] | None = None) -> None:
    """The command line of a tool that keeps generated files: writes those that are stale, or fails with --check.

    Args:
        doc: the module's docstring, its help.
        stale: path -> the text that it should hold.
        words: of the command line; None: sys.argv.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is stale")
    check = parser.parse_args(words).check
    with errors_for_people():
        found = stale()
        if check and found:
            raise UserError(f"stale: {', '.join(map(show, found))}", fix="run the same command without --check")
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
            print(f"{show(path)}: updated")


if __name__ == "__main__":
    check_or_write(__doc__, stale)
