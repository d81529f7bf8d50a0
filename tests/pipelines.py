"""What the pipelines declare, read from the files."""

from typing import Any

from shared.core.params import read_yaml
from shared.core.paths import ROOT

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
