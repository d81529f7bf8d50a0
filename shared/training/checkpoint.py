"""Checkpoints to resume from: atomic, exact, outside what DVC deletes.

They live in `.checkpoints/<project>/<fingerprint>/` of the user's checkout (also for a run in DVC's temporary copy).
The fingerprint covers params, the code the stage depends on, and the prepared data: a changed configuration never
resumes from a stale checkpoint, an interrupted run always resumes, a finished one leaves nothing.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.core.errors import UserError
from shared.core.files import write_atomic
from shared.core.params import read_yaml
from shared.core.paths import ROOT, Project, original_root, show
from shared.training.distributed import World, broadcast


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one run, on the first rank's disk: ranks need not share a disk."""

    path: Path
    world: World

    def save(self, state: dict[str, Any]) -> None:
        """Writes the state by the first rank: temporary file, fsync, rename."""
        if self.world.is_first:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            write_atomic(self.path, buffer.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """The first rank's state, on every rank; None where there is none. Only tensors and plain values are read."""
        state: dict[str, Any] | None = None
        if self.world.is_first and self.path.exists():
            try:
                state = torch.load(self.path, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises many kinds, which all mean an unreadable file
                raise UserError(
                    f"{show(self.path)}: cannot be read: {error}", fix=f"delete it to start anew: rm {show(self.path)}"
                ) from None
        return broadcast(state, self.world)


@contextmanager
def open_checkpoint(
    project: Project, params: Mapping[str, Any], world: World, files: Sequence[Path] = ()
) -> Iterator[Checkpoint]:
    """The checkpoint of this configuration, locked for this run; removed when the block ends without an error.

    Args:
        project: whose dvc.yaml names the code that its train stage depends on.
        params: plain values of all sections that the result depends on.
        files: that training starts from, such as a pretrained checkpoint's.

    Raises:
        UserError: another run of the same configuration is alive, such as the child of a killed DVC.
    """
    folder = original_root() / ".checkpoints" / project.name / fingerprint(project, params, files)
    if not world.is_first:
        yield Checkpoint(folder / "last.pt", world)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for leftover in folder.glob(".*.tmp"):  # of a run killed while it wrote
            leftover.unlink()
        yield Checkpoint(folder / "last.pt", world)
        shutil.rmtree(folder)


def fingerprint(project: Project, params: Mapping[str, Any], files: Sequence[Path] = ()) -> str:
    """16 hex digits over params, the code, the manifest of the prepared data, and files' contents."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for path in [*code_deps(project), *sorted(files)]:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        digest.update(name.encode() + b"\0" + path.read_bytes())
    manifest = project.prepared / "manifest.json"
    digest.update(manifest.read_bytes() if manifest.exists() else b"")
    return digest.hexdigest()[:16]


def code_deps(project: Project) -> list[Path]:
    """The Python files among the train stage's deps in the project's dvc.yaml, folders walked."""
    train = read_yaml(project.folder / "dvc.yaml")["stages"]["train"]
    deps = [ROOT / str(dep).replace("${project}", project.name) for dep in train.get("deps", ())]
    files = [file for dep in deps for file in (dep.rglob("*.py") if dep.is_dir() else [dep])]
    return sorted(file for file in files if file.suffix == ".py")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # A POSIX record lock: it ends with its process, while flock would live on in forked loader workers.
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise UserError(
                f"{show(folder)}: process {file.read().strip()} is training this configuration already",
                expected="one run at a time; a killed DVC leaves its child running",
                fix="wait until it ends, or kill it: the next run resumes from its last checkpoint",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
