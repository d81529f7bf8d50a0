"""What the pipelines declare, read from the files."""

from typing import Any

from ruamel.yaml import YAML

from shared.core.params import read_yaml
from shared.core.paths import ROOT

PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/params.yaml"))


def stages(project: str) -> dict[str, Any]:
    """The stages of projects/<name>/dvc.yaml with the project's name filled in."""
    path = ROOT / "projects" / project / "dvc.yaml"
    name = read_yaml(path)["vars"][0]["project"]
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text().replace("${project}", name))["stages"]
    return found
