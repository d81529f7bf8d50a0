"""The params of a project under one of its presets, as `make repro` would run it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.core.params import Section, check_params, override, read_yaml
from shared.core.paths import Project
from tools.repro import preset_changes

P = TypeVar("P", bound=Section)


def load(name: str, params: type[P], preset: str, own: Mapping[str, Any] | None = None) -> P:
    """Params of a project.

    Args:
        own: dotted keys that the benchmark sets itself.
    """
    project = Project(name)
    tree = read_yaml(project.folder / "params.yaml")
    for key, value in (preset_changes(project, preset) | dict(own or {})).items():
        override(tree, key, value)
    return check_params(params, tree, preset)
