"""Where things live. All paths are relative to the root of the checkout that holds this file."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TEMPORARY = f"{os.sep}.dvc{os.sep}tmp{os.sep}exps{os.sep}"


def original_root() -> Path:
    """The user's checkout, also when DVC runs an experiment in a temporary copy below its `.dvc/tmp/exps`.

    Checkpoints and a relative $DATASET_MIRROR are looked for there: the copy is deleted after the run.
    """
    return Path(str(ROOT).partition(_TEMPORARY)[0])


def show(path: Path) -> str:
    """A path as the user would type it: relative to the root where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


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
