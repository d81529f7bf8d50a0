"""Writes the modules that each stage imports into its deps, so that nobody types them.

    make deps                      = python -m tools.deps
    python -m tools.deps --check   # exit 1 when a list is stale

Only the entries that end in .py are written; data, results and templates among the deps stay as they are.
"""

import io
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shared.core.cli import errors_for_people
from shared.core.errors import UserError
from shared.core.paths import ROOT, show
from tools.imports import imported


def pipelines(root: Path = ROOT) -> list[Path]:
    """Every dvc.yaml: the root's, then those of the projects."""
    return [root / "dvc.yaml", *sorted(root.glob("projects/*/dvc.yaml"))]


def updated(path: Path, root: Path = ROOT) -> str:
    """The text of a dvc.yaml with the modules of each stage's command among its deps; comments stay.

    Raises:
        UserError: a stage runs no module of the repository.
    """
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(path)
    project = next((one["project"] for one in tree.get("vars", ()) if "project" in one), "")
    for name, stage in tree["stages"].items():
        deps = stage.setdefault("deps", [])
        deps[:] = sorted(
            [*(dep for dep in deps if not dep.endswith(".py")), *_modules(path, name, stage, project, root)]
        )
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue()


def _modules(path: Path, name: str, stage: Any, project: str, root: Path) -> list[str]:
    words = stage["cmd"].replace("${project}", project).split()
    script = root / Path(*words[2].split(".")).with_suffix(".py") if words[:2] == ["python", "-m"] else root
    if not script.is_file():
        raise UserError(f"{show(path)}: stage {name}: runs no module of this repository", expected="python -m <module>")
    files = {script, *imported(script, (root,))}
    inside = f"projects/{project}/"
    found = [
        file.relative_to(root).as_posix() for file in files if file.stat().st_size
    ]  # an empty __init__ says nothing
    return [dep.replace(inside, "projects/${project}/") if project else dep for dep in found]


def main(words: list[str]) -> None:
    """The command line: takes nothing but --check and --help."""
    if {"-h", "--help"} & set(words):
        print((__doc__ or "").strip())
        return
    if unknown := [word for word in words if word != "--check"]:
        raise UserError(f"{unknown[0]}: no such option", expected="--check or nothing")
    stale = [path for path in pipelines() if updated(path) != path.read_text(encoding="utf-8")]
    for path in stale:
        print(f"{show(path)}: {'stale' if words else 'updated'}")
        if not words:
            path.write_text(updated(path), encoding="utf-8")
    if words and stale:
        raise UserError("the deps of a stage are not what it imports", fix="make deps")


if __name__ == "__main__":
    with errors_for_people():
        main(sys.argv[1:])
