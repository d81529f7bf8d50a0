"""A copy within this repository: built aside, then put into place by renames, with a journal written first.

Killed at any instant, the next start finds the journal and takes back what it lists; an exception or Ctrl-C does so at
once. Only what is as it was made is removed: a file that someone changed or added meanwhile stops it.

    .new-<name>.tmp/                  the staging folder: code, and the journal while files are put into place
    data/raw/.<name>.new.tmp/         the copy of the data, beside its target: data/raw may be another disk
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared.core.errors import UserError
from shared.core.files import writing

from . import data, staging, tools
from .plan import Plan
from .project import build, root_stage

JOURNAL = "journal.json"


@dataclass(frozen=True)
class Place:
    """Where things are while a copy named `name` is made in the repository at `root`."""

    root: Path
    name: str

    @property
    def staging(self) -> Path:
        return self.root / f".new-{self.name}.tmp"

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw" / f".{self.name}.new.tmp"

    @property
    def journal(self) -> Path:
        return self.staging / JOURNAL


@contextmanager
def locked(root: Path) -> Iterator[int]:
    """No two starters work in one repository; what a killed one left is taken back first."""
    with staging.lock(root / ".dvc" / "tmp" / "make-new.lock") as descriptor:
        for folder in sorted(root.glob(".new-*.tmp")):
            recover(Place(root, folder.name.removeprefix(".new-").removesuffix(".tmp")))
        yield descriptor


def recover(place: Place) -> None:
    """Takes back an unfinished copy. Raises UserError, and touches nothing, where someone's own files are in it."""
    if place.journal.exists():
        undo(place)
    if place.raw.exists():
        shutil.rmtree(place.raw)
    staging.sweep(place.staging)


def copy(plan: Plan, lock: int) -> None:
    """Makes the copy, or nothing. Raises UserError where the disk, git or DVC refuse."""
    place = Place(plan.root, plan.name)
    with writing(plan.root):
        try:
            staging.create(place.staging)
            if plan.data:
                data.copy(plan.data, place.raw)
            build(plan, place.staging)
            publish(plan, place, lock)
        finally:
            recover(place)


def publish(plan: Plan, place: Place, lock: int) -> None:
    """Puts everything into place. The copy counts as made once the journal is gone."""
    moves = [(place.staging / path, plan.root / path) for path in _folders(plan)]
    if plan.data:
        moves.insert(0, (place.raw, plan.root / "data" / "raw" / plan.name))
    journal = _journal(plan, moves)
    _write(place.journal, json.dumps(journal), place.staging)
    for step in steps(plan, moves, journal, lock, place.staging):
        step()
    place.journal.unlink()


def steps(
    plan: Plan, moves: list[tuple[Path, Path]], journal: dict[str, Any], lock: int, aside: Path
) -> list[Callable[[], None]]:
    """What makes a copy visible, in this order: the data first, the stage in dvc.yaml when all it names is there."""
    made: list[Callable[[], None]] = [partial(_move, new, target) for new, target in moves]
    if plan.data:
        made.insert(1, lambda: tools.dvc_add(plan.root, f"data/raw/{plan.name}", lock))
    return [*made, lambda: _append(plan.root / "dvc.yaml", journal, aside), lambda: _tell_git(plan, journal)]


def _folders(plan: Plan) -> list[str]:
    return [f"projects/{plan.name}", f"tests/projects/{plan.name}"]


def _journal(plan: Plan, moves: list[tuple[Path, Path]]) -> dict[str, Any]:
    targets: dict[str, Any] = {str(target.relative_to(plan.root)): fingerprint(new) for new, target in moves}
    if plan.data:
        targets[f"data/raw/{plan.name}.dvc"] = None  # DVC writes it
    # Other changes to dvc.yaml that are not staged yet are not ours to stage.
    clean = tools.succeeds(plan.root, "diff", "--quiet", "--", "dvc.yaml")
    entry = tools.git(plan.root, "ls-files", "--stage", "--", "dvc.yaml").split() if clean else []
    before = (plan.root / "dvc.yaml").read_text(encoding="utf-8")
    return {"targets": targets, "before": before, "block": root_stage(plan), "index": entry}


def fingerprint(root: Path) -> dict[str, list[int]]:
    """Size and time of every file below a folder; what Python leaves beside code does not count."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    found = ((path, path.stat()) for path in files)
    return {path.relative_to(root).as_posix(): [status.st_size, status.st_mtime_ns] for path, status in found}


def undo(place: Place) -> None:
    """Takes back what the journal lists, whatever of it is there. May be interrupted and called again."""
    journal = json.loads(place.journal.read_text())
    _refuse_changed(place, journal["targets"])
    dvc_yaml = place.root / "dvc.yaml"
    _untell_git(place.root, journal)
    text = dvc_yaml.read_text(encoding="utf-8")
    if journal["block"] in text:
        _write(dvc_yaml, _without_block(text, journal), place.staging)
    for target in journal["targets"]:
        path = place.root / target
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    place.journal.unlink()


def _without_block(text: str, journal: dict[str, Any]) -> str:
    """As it was, or, where someone changed it since, all but our stage."""
    before: str = journal["before"]
    return before if text == _with_block(before, journal["block"]) else text.replace(journal["block"], "")


def _refuse_changed(place: Place, targets: dict[str, Any]) -> None:
    changed = []
    for target, made in targets.items():
        path = place.root / target
        if path.is_dir():
            found = fingerprint(path)
            changed += [f"{target}/{name}" for name, status in found.items() if (made or {}).get(name) != status]
    if changed:
        names = "".join(f"\n  - {name}" for name in changed[:20])
        raise UserError(
            f"an interrupted make new left {place.name} half-made, and since then these were changed or added:{names}",
            fix="move them elsewhere and run again; the other half-made files are then removed",
        )


def _move(new: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new.rename(target)


def _append(path: Path, journal: dict[str, Any], aside: Path) -> None:
    _write(path, _with_block(path.read_text(encoding="utf-8"), journal["block"]), aside)


def _with_block(text: str, block: str) -> str:
    return f"{text.rstrip()}\n{block}"


def _write(path: Path, text: str, aside: Path) -> None:
    """The whole file or none of it, on the disk before anything that follows; written in a folder on the same disk."""
    temporary = aside / f"{path.name}.tmp"
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _tell_git(plan: Plan, journal: dict[str, Any]) -> None:
    paths = [*_folders(plan), *([f"data/raw/{plan.name}.dvc"] if plan.data else [])]
    tools.git(plan.root, "add", "--", *paths, *(["dvc.yaml"] if journal["index"] else []))


def _untell_git(root: Path, journal: dict[str, Any]) -> None:
    tools.git(root, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", *journal["targets"])
    if journal["index"] and journal["block"] in tools.git(root, "show", ":dvc.yaml"):
        mode, object_, _, path = journal["index"]
        tools.git(root, "update-index", "--cacheinfo", f"{mode},{object_},{path}")
