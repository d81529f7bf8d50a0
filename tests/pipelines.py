"""What the pipelines declare and what the code imports, read from the files."""

import ast
from pathlib import Path
from typing import Any

from shared.params import read_yaml
from shared.paths import ROOT

PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/params.yaml"))


def stages(project: str) -> dict[str, Any]:
    """The stages of projects/<name>/dvc.yaml with the project's name filled in."""
    tree = read_yaml(ROOT / "projects" / project / "dvc.yaml")
    return _filled(tree["stages"], tree["vars"][0]["project"])


def _filled(tree: Any, project: str) -> Any:
    if isinstance(tree, dict):
        return {_filled(key, project): _filled(value, project) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(value, project) for value in tree]
    return tree.replace("${project}", project) if isinstance(tree, str) else tree


def imported(path: Path, seen: set[Path] | None = None) -> set[Path]:
    """All files of the repo that a file imports, directly or not."""
    seen = set() if seen is None else seen
    for name in _names(path):
        file = _file(name)
        if file and file not in seen:
            seen.add(file)
            imported(file, seen)
    return seen


def _names(path: Path) -> set[str]:
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _base(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    above = package[: len(package) - node.level + 1] if node.level else ()
    return ".".join([*above, *([node.module] if node.module else [])])


def _file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    if path.with_suffix(".py").exists():
        return path.with_suffix(".py")
    return None
