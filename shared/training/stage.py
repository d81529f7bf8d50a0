"""The stages around a model: train, and those that use the trained model."""

import re
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from shared.core.cli import errors_for_people, load_params, same_command, warn_of_overrides
from shared.core.errors import UserError
from shared.core.files import write_json
from shared.core.params import Section
from shared.core.paths import ROOT, Project, show
from shared.core.sections import Runtime
from shared.data.batches import Batches
from shared.data.prepared import Prepared
from shared.training.checkpoint import EVERY_S, Checkpoint, open_checkpoint
from shared.training.device import hardware, resolve_precision
from shared.training.distributed import World, join, start_processes
from shared.training.fit import count_steps, fit
from shared.training.history import History
from shared.training.weights import save_model

P = TypeVar("P", bound=Section)


class Described(Protocol):
    """What train_stage needs of a training; `fit.Training` has more."""

    @property
    def batches(self) -> Batches: ...
    @property
    def config(self) -> Any: ...
    @property
    def files(self) -> Sequence[Path]: ...


class Done(Protocol):
    """A finished training, of `fit()` or of a loop of the project's own."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def history(self) -> History: ...
    @property
    def progress(self) -> Any:
        """step, updates (steps less the skipped ones), seconds (over all runs that led here)."""


Loop = Callable[[Any, Any, Runtime, World, Checkpoint, Path], Done]


def train_stage(
    describe: Callable[[P, Prepared, World], Described],
    params: type[P],
    file: str,
    *,
    loop: Loop = fit,
    words: Sequence[str] | None = None,
) -> None:
    """`python -m projects.<name>.train [section.key=value ...]`: trains on the prepared data, leaves results/train/.

    Args:
        describe: params, prepared data, world -> the training, its model the same on every rank.
        params: the project's model of all sections, `train` and `runtime` among them.
        file: of the stage's module.
        loop: trains what was described: (description, train section, runtime, world, checkpoint, scratch) -> what was
            trained.
        words: of the command line; None: sys.argv.
    """
    project = Project.of(file)
    with errors_for_people():
        loaded: Any = load_params(params, file, words)
        start_processes(loaded.runtime, file, words)
        section, runtime = loaded.train, loaded.runtime
        torch.set_default_dtype(torch.float64 if section.precision == "fp64" else torch.float32)
        prepared = Prepared(project.prepared)
        with join(runtime) as world:
            training = describe(loaded, prepared, world)
            depends_on = {"train": section.model_dump()}
            again = same_command(file, words)
            with open_checkpoint(project, depends_on, world, training.files, again) as checkpoint:
                if world.is_first:
                    print(first_line(training.batches, section, prepared, checkpoint), flush=True)
                done = loop(training, section, runtime, world, checkpoint, ROOT / ".profile" / project.name)
                if world.is_first:
                    results = project.results("train")
                    trained_on = prepared.manifest["splits"]["train"]["digest"]
                    record = {"trained_on": trained_on, "params": section.model_dump()}
                    save_model(results, done.model, {**training.config, **record})
                    done.history.write(results)
                    write_json(results / "run.json", run_info(done, section, world))
            if world.is_first:
                warn_of_overrides(file, words)


def first_line(batches: Batches, params: Any, prepared: Prepared, checkpoint: Checkpoint) -> str:
    """What will happen, before the first step."""
    world, samples = checkpoint.world, prepared.manifest["splits"]["train"]["count"]
    processes = f" in {world.size} processes" if world.size > 1 else ""
    return (
        f"train: {samples:,} samples, {count_steps(params.epochs, batches):,} steps ({params.epochs:g} epochs), "
        f"{resolve_precision(params.precision, world.device)} on {world.device.type}{processes}; "
        f"kept every {EVERY_S:.0f} s, and on Ctrl-C, in {show(checkpoint.path.parent)}"
    )


def run_info(done: Done, params: Any, world: World) -> dict[str, Any]:
    """Plain values for results/train/run.json, on which no stage depends: times differ from run to run."""
    commit, clean = _commit()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "clean": clean,
        "seed": params.seed,
        "num_weights": sum(weight.numel() for weight in done.model.parameters()),
        "seconds": round(done.progress.seconds, 1),
        "steps": done.progress.step,
        "skipped_steps": done.progress.step - done.progress.updates,
        "processes": world.size,
        "precision": resolve_precision(params.precision, world.device),
        "hardware": hardware(world.device),
        "versions": {"python": python_version()} | {name: version(name) for name in _dependencies()},
    }


def _dependencies() -> list[str]:
    """The packages that pyproject.toml lists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[^\w.-]", one)[0] for one in project["dependencies"]]


def _commit() -> tuple[str, bool | None]:
    """The commit of the code, and whether code and pipelines are as it has them; params are kept with the weights."""
    try:
        words = ["git", "status", "--porcelain", "--", "projects/*.py", "projects/*dvc.yaml", "shared"]
        commit, status = (
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
            for command in (["git", "rev-parse", "--short=10", "HEAD"], words)
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return "", None
    return commit, not status


@dataclass(frozen=True)
class Trained(Generic[P]):
    """What a stage that uses a trained model works with.

    Args:
        model: in eval mode, on the world's device.
        config: of the weights (model.json).
        prepared: whose training split the model learned from.
    """

    project: Project
    params: P
    model: nn.Module
    config: dict[str, Any]
    prepared: Prepared
    world: World


def trained_stage(
    main: Callable[[Trained[P]], None],
    load_model: Callable[[Path], tuple[nn.Module, dict[str, Any]]],
    params: type[P],
    file: str,
    *,
    alone: bool = False,
    words: Sequence[str] | None = None,
) -> None:
    """`python -m projects.<name>.<stage>` for a stage that uses the trained model: evaluate, explain.

    Args:
        main: the stage.
        load_model: folder of weights -> the model in eval mode, and its config.
        alone: `main` runs on the first rank alone, as a stage must that does not divide its work.
    """
    project = Project.of(file)
    with errors_for_people():
        loaded: Any = load_params(params, file, words)
        if not alone:
            start_processes(loaded.runtime, file, words)
        model, config = load_model(project.results("train"))
        prepared = Prepared(project.prepared)
        check_data(project, config, prepared)
        with join(loaded.runtime) as world:
            if world.is_first:
                samples = prepared.manifest["splits"].get("test", {}).get("count", 0)
                print(f"{Path(file).stem}: {samples:,} test samples, on {world.device.type}", flush=True)
            if world.is_first or not alone:
                main(Trained(project, loaded, model.to(world.device), config, prepared, world))
            if world.is_first:
                warn_of_overrides(file, words)


def check_data(project: Project, config: dict[str, Any], prepared: Prepared) -> None:
    """Raises UserError unless the weights were trained on these prepared data."""
    if config.get("trained_on") != prepared.manifest["splits"]["train"]["digest"]:
        raise UserError(
            f"{show(project.results('train') / 'model.json')}: trained on another training split than that in "
            f"{show(project.prepared)}",
            expected="the data that the model learned from, or test samples may be among them",
            fix=f"dvc repro projects/{project.name}",
        )
