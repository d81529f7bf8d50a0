"""What every train stage does around its training: precision, ranks, checkpoint, the files it leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from shared.core.files import write_json
from shared.core.params import Section
from shared.core.paths import Project
from shared.training.checkpoint import Checkpoint, open_checkpoint
from shared.training.distributed import World, join
from shared.training.history import History
from shared.training.run_info import run_info
from shared.training.weights import save_model

P = TypeVar("P", bound=Section)


class Progress(Protocol):
    """Where a training stands: steps made, and seconds over all runs that led here."""

    step: int
    seconds: float


class Trained(Protocol):
    """A finished training, of `fit()` or of a loop of the project's own."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def history(self) -> History: ...
    @property
    def progress(self) -> Progress: ...


Train = Callable[[P, Path, Checkpoint, World], tuple[Trained, dict[str, Any]]]


def train_stage(project: Project, params: P, train: Train[P]) -> None:
    """Trains on the project's prepared data and leaves weights, history and run.json in results/train/.

    Args:
        params: all sections of the project, `train` (TrainParams) and `runtime` (Runtime) among them.
        train: (params, prepared, checkpoint, world) -> the finished run and the config to build the model from again.
    """
    sections: Any = params
    precision, depends_on = sections.train.precision, params.model_dump(include={"train"})
    torch.set_default_dtype(torch.float64 if precision == "fp64" else torch.float32)
    with join(sections.runtime) as world, open_checkpoint(project, "train", depends_on, world) as checkpoint:
        trained, config = train(params, project.prepared, checkpoint, world)
        if world.is_first:
            results = project.results("train")
            save_model(results, trained.model, config)
            trained.history.write(results)
            info = run_info(world, precision, trained.progress.seconds, trained.progress.step)
            write_json(results / "run.json", info)
