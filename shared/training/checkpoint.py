"""Checkpoints to resume from: atomic, exact, outside what DVC deletes; written at intervals and when a signal comes.

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
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from shared.core.errors import Stopped, UserError
from shared.core.files import write_atomic
from shared.core.params import read_yaml
from shared.core.paths import ROOT, Project, original_root, show
from shared.training.distributed import World, broadcast, handling, reduce_sum

EVERY_S = 30.0  # from one checkpoint to the next; longer where writing one takes long:
LEAST_RATIO = 20.0  # times as long as the last one took to write
ASK_S = 1.0  # about how often several ranks agree whether one is due: not at each step, since it waits for the devices
AGAIN_S = 2.0  # a second signal ends the run at once, but not this soon after the first: one may arrive by two ways


@dataclass
class Checkpoint:
    """The checkpoint of one run, on the first rank's disk: ranks need not share a disk.

    Args:
        again: the command that goes on from it.
    """

    path: Path
    world: World
    again: str = "the same command"
    _due: float = field(default_factory=lambda: time.perf_counter() + EVERY_S)
    _signal: int = 0  # that asked this process to end
    _signalled: float = 0.0  # when
    _stopping: bool = False  # all ranks know of it
    _asked: tuple[int, float] = (0, 0.0)  # step and time of the last question among ranks
    _ask_at: int = 0  # step of the next one
    _step: int = 0
    _kept: int = 0  # step of the last checkpoint that this run made

    def is_due(self, step: int) -> bool:
        """Whether to save after this step: half a minute is over, or a signal asks to end. The same on all ranks."""
        self._step = step
        if self.world.size > 1:
            return step >= self._ask_at and self._ask(step)
        self._stopping = self._signal > 0
        return self._stopping or time.perf_counter() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Writes the state by the first rank: temporary file, fsync, rename.

        Raises:
            Stopped: a signal asked to end.
        """
        began = time.perf_counter()
        if self.world.is_first:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            write_atomic(self.path, buffer.getbuffer())
        self._kept, now = self._step, time.perf_counter()
        self._due = now + max(EVERY_S, LEAST_RATIO * (now - began))
        if self._stopping:
            broadcast(None, self.world)  # no rank ends before the first one has written
            raise self.stopped()

    def stopped(self) -> Stopped:
        """What to raise where a signal ends the run: says what is kept."""
        if not self.world.is_first:
            what = ""
        elif self.path.exists():
            step = f"step {self._kept:,}" if self._kept else "what was there at the start"
            what = f"interrupted: {step} is kept in {show(self.path)}\n  to do: {self.again} (goes on from there)"
        else:
            what = "interrupted: before the first checkpoint, so nothing is kept"
        return Stopped(what, self._signal or signal.SIGINT)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notes a signal to end, for `is_due`. A second one raises KeyboardInterrupt at once."""
        process = os.getpid()

        def note(number: int, frame: Any) -> None:
            if os.getpid() != process:  # a worker that reads ahead; the training that it reads for will end it
                return
            if not self._signal:
                self._signal, self._signalled = number, time.monotonic()
                if self.world.is_first:
                    os.write(2, b"\nends after this step, which is kept; once more: at once\n")
            elif time.monotonic() - self._signalled > AGAIN_S:
                raise KeyboardInterrupt

        with handling(note):
            yield

    def end(self) -> None:
        """Raises Stopped if a signal came since the last step, on the first rank: it writes the results."""
        if self._signal and self.world.is_first:
            raise self.stopped()

    def _ask(self, step: int) -> bool:
        """Adds up what the ranks know, and agrees on the step of the next question."""
        (last, then), now = self._asked, time.perf_counter()
        pace = (now - then) / max(1, step - last)
        # At most twice as far as the last time, since the first steps are slow or fast
        ahead = 1 + min(step - last, int(ASK_S / pace)) if then else 1
        mine = self._signal, self.world.is_first and now >= self._due, self.world.is_first and ahead
        dtype = self.world.widest
        told = reduce_sum(torch.tensor([float(one) for one in mine], device=self.world.device, dtype=dtype), self.world)
        signals, due, ahead = map(int, told.tolist())
        self._asked, self._ask_at = (step, now), step + ahead
        self._stopping = signals > 0
        return self._stopping or due > 0

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
    project: Project,
    params: Mapping[str, Any],
    world: World,
    files: Sequence[Path] = (),
    again: str = "the same command",
) -> Iterator[Checkpoint]:
    """The checkpoint of this configuration, locked for this run; removed when the block ends without an error.

    In the block Ctrl-C and other SIGNALS are noted: training goes on to the end of its step, saves, and raises Stopped.

    Args:
        project: whose dvc.yaml names the code that its train stage depends on.
        params: plain values of all sections that the result depends on.
        files: that training starts from, such as a pretrained checkpoint's.
        again: the command that goes on from it.

    Raises:
        Stopped: a signal ended the block.
        UserError: another run of the same configuration is alive, such as the child of a killed DVC.
    """
    folder = original_root() / ".checkpoints" / project.name / fingerprint(project, params, files)
    checkpoint = Checkpoint(folder / "last.pt", world, again)
    with checkpoint.listening(), ExitStack() as stack:
        if world.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(folder))
            for leftover in folder.glob(".*.tmp"):  # of a run killed while it wrote
                leftover.unlink()
        try:
            yield checkpoint
            checkpoint.end()
        except Stopped:
            raise
        except KeyboardInterrupt:
            raise checkpoint.stopped() from None
        if world.is_first:
            shutil.rmtree(folder, ignore_errors=True)  # NFS keeps the lock file, which is open, under another name


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
