"""Where things live. All paths are relative to the root of the checkout that holds this file."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "package:"
_TEMPORARY = f"{os.sep}.dvc{os.sep}tmp{os.sep}exps{os.sep}"


def original_root() -> Path:
    """The user's checkout, also when DVC runs an experiment in a temporary copy below its `.dvc/tmp/exps`.

    Checkpoints and a relative $DATASET_MIRROR are looked for there: the copy is deleted after the run.
    """
    return Path(str(ROOT).partition(_TEMPORARY)[0])


def show(path: Path) -> str:
    """A path as the user would type it: relative to the root where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def reason_of(error: UserError, path: str | Path) -> str:
    """Why a file cannot be read, without its name, for messages that begin with the name."""
    expected = f" (expected {error.expected})" if error.expected else ""
    return error.what.removeprefix(f"{show(Path(path))}: ") + expected


def in_package(name: str) -> Path:
    """A file or folder of an installed package, `package:<module>/<path in it>`, found without importing it.

    Raises:
        UserError: the package is not installed.
    """
    module, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{name}: the package {module} is not installed", fix="make pretrained")
    return Path(spec.submodule_search_locations[0]) / inside


def weights_file(name: str) -> Path:
    """A file that a param names: `package:...`, or a path from the user's checkout. Raises UserError."""
    path = in_package(name) if name.startswith(PACKAGE) else original_root() / name
    if not path.is_file():
        raise UserError(
            f"{name}: no such file", expected="a path from the root of the checkout, or package:<module>/<file>"
        )
    return path


@dataclass(frozen=True)
class Project:
    """The paths of one project, from the folder of its code."""

    name: str

    @classmethod
    def of(cls, file: str) -> "Project":
        """The project that a module belongs to: `Project.of(__file__)`."""
        return cls(Path(file).resolve().parent.name)

    @property
    def folder(self) -> Path:
        return ROOT / "projects" / self.name

    @property
    def raw(self) -> Path:
        return ROOT / "data" / "raw" / self.name

    @property
    def prepared(self) -> Path:
        return ROOT / "data" / "prepared" / self.name

    def results(self, stage: str) -> Path:
        """The folder of a stage's results, created if missing."""
        folder = self.folder / "results" / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder
