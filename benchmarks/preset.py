"""A project's pipeline under one of its presets, in a folder of its own: the checkout's data and results stay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shared.core.params import Section, check_params, flatten, override, read_yaml
from shared.core.paths import Project
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World
from shared.training.fit import Run, Training, fit

P = TypeVar("P", bound=Section)


@dataclass(frozen=True)
class Elsewhere(Project):
    """A project whose data lie below another folder."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def prepared(self) -> Path:
        return self.root / "prepared"


def load(name: str, params: type[P], preset: str, own: Mapping[str, Any] | None = None) -> P:
    """Params of a project.

    Args:
        own: dotted keys that the benchmark sets itself.
    """
    folder = Project(name).folder
    tree = read_yaml(folder / "params.yaml")
    for key, value in (flatten(read_yaml(folder / f"presets/{preset}.yaml")) | dict(own or {})).items():
        override(tree, key, value)
    return check_params(params, tree, preset)


def train(
    describe: Callable[[P, Prepared, World], Training], params: P, prepared: Path, world: World, scratch: Path
) -> Run:
    """What the train stage does, without its results: `describe` and `fit`, with checkpoints in the scratch folder."""
    chosen: Any = params
    training = describe(params, Prepared(prepared), world)
    return fit(training, chosen.train, chosen.runtime, world, Checkpoint(scratch / "last.pt", world), scratch)
