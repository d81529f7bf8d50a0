"""The training loop, for every project whose training is "a loss over batches".

Everything it calls is a small function that a project with a loop of its own calls itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from shared.core.errors import UserError
from shared.core.sections import FitParams, Runtime
from shared.core.seed import derive
from shared.data.batches import Batches
from shared.training.average import make_average
from shared.training.checkpoint import Checkpoint
from shared.training.device import resolve_precision
from shared.training.distributed import World, average_buffers, wrap
from shared.training.history import Diverged, History, Row
from shared.training.optim import Schedule, set_rates
from shared.training.profile import profiler
from shared.training.step import Loss, accumulate, make_scaler, update

Validate = Callable[[nn.Module], Row]


@dataclass
class Progress:
    """Where a training stands."""

    step: int = 0
    updates: int = 0  # steps less the skipped ones of fp16: rates depend on them
    best: float | None = None  # of the monitored metric
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0  # validations since the best
    stopped: bool = False  # early
    seconds: float = 0.0  # of training, over all runs that led here


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    model: nn.Module
    average: AveragedModel | None
    optimizers: Sequence[Optimizer]
    scaler: torch.amp.GradScaler
    history: History
    progress: Progress

    @property
    def result(self) -> nn.Module:
        """The model that is validated and kept: the averaged one if there is one."""
        return self.average.module if self.average else self.model

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "history": self.history.state(),
            "progress": asdict(self.progress),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.history.restore(state["history"], self.progress.step)
        self.history.say(f"resumed from step {self.progress.step}")


def fit(
    model: nn.Module,
    loss: Loss,
    *,
    train: Batches,
    validate: Validate | None,
    optimizers: Sequence[Optimizer],
    schedule: Schedule,
    params: FitParams,
    runtime: Runtime,
    world: World,
    checkpoint: Checkpoint,
    scratch: Path,
) -> Run:
    """Trains the model in place, from the checkpoint if there is one.

    Args:
        model: on the world's device. Holds the kept weights afterwards: best or last, averaged if ema_decay is set.
        loss: `loss(model, batch)` -> sum over items, number of items, further sums for the log (see step.py).
        train: batches by step.
        validate: metrics of a model in eval mode, params.monitor among them; the same on every rank. None: there is
            no validation data.
        schedule: number of the update -> factor of the rates.
        scratch: folder for a profile and TensorBoard events, if runtime asks for them.

    Raises:
        UserError: the loss became NaN or infinite; names the first such step and its samples.
    """
    total, validate_steps = _steps(params.epochs, train), _steps(params.validate_epochs, train)
    precision = resolve_precision(params.precision, world.device)
    history = History(world, total, scratch / "tensorboard" if runtime.tensorboard else None)
    scaler = make_scaler(precision, world.device, params.micro_batch_size)
    run = Run(model, make_average(model, params.ema_decay), optimizers, scaler, history, Progress())
    if saved := checkpoint.load():
        run.restore(saved)
    progress, wrapped = run.progress, wrap(model, world)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    clock = time.perf_counter() - progress.seconds
    stop = total if not progress.stopped else progress.step

    model.train()
    with profiler(runtime.profile and world.is_first, scratch) as profile, _naming_divergence(run, train):
        for micro_batches in train.stream(progress.step, stop):
            set_rates(optimizers, schedule(progress.updates))
            seed = derive(params.seed, "step", progress.step)
            sums = accumulate(wrapped, loss, micro_batches, scaler=scaler, precision=precision, world=world, seed=seed)
            if update(parameters, optimizers, sums.count, scaler=scaler, clip_norm=params.clip_norm, world=world):
                progress.updates += 1
                if run.average:
                    run.average.update_parameters(model)
            history.add(sums)
            progress.step = step = progress.step + 1
            profile.step()

            ends = step == total
            if ends or step % runtime.log_steps == 0:
                history.log(step, step / len(train), optimizers[0].param_groups[0]["lr"])
            if validate and (ends or step % validate_steps == 0):
                progress.stopped = _validate(run, validate, params, world, step / len(train))
            if ends or progress.stopped or step % runtime.checkpoint_steps == 0:
                history.read()
                _average_buffers(run, world)
                progress.seconds = time.perf_counter() - clock
                checkpoint.save(run.state())
            if progress.stopped:
                break
    history.close()
    _keep(run, params)
    return run


def _steps(epochs: float, train: Batches) -> int:
    return max(1, round(epochs * len(train)))


def _average_buffers(run: Run, world: World) -> None:
    average_buffers(run.model, world)
    if run.average:
        average_buffers(run.average, world)


def _validate(run: Run, validate: Validate, params: FitParams, world: World, epoch: float) -> bool:
    """Validates, remembers the best, and says whether patience is at its end."""
    _average_buffers(run, world)
    run.result.eval()
    with torch.no_grad():
        metrics = validate(run.result)
    run.result.train()
    progress = run.progress
    run.history.validated(progress.step, epoch, metrics)
    if params.monitor not in metrics:
        raise UserError(f"train.monitor: no metric {params.monitor!r}", expected=f"one of {', '.join(metrics)}")
    sign = -1 if params.monitor.endswith(("_loss", "_error")) else 1
    value = sign * metrics[params.monitor]
    progress.stale += 1
    if progress.best is None or value > progress.best:
        progress.best, progress.stale = value, 0
        if params.keep == "best":
            progress.best_weights = {name: tensor.clone() for name, tensor in run.result.state_dict().items()}
    return 0 < params.patience <= progress.stale


def _keep(run: Run, params: FitParams) -> None:
    """Puts the weights to keep into the model."""
    run.model.load_state_dict(run.progress.best_weights or run.result.state_dict())
    run.model.eval()


@contextmanager
def _naming_divergence(run: Run, train: Batches) -> Iterator[None]:
    try:
        yield
    except Diverged as diverged:
        step = run.progress.step - diverged.steps_ago
        samples = train.samples(step).tolist()
        broken = [sample for sample, finite in _finite_inputs(train, step) if not finite]
        raise UserError(
            f"training: the loss of step {step} (epoch {step / len(train):.2f}) is not a finite number; "
            f"its samples are {str(samples[:8])[1:-1]}{', ...' if len(samples) > 8 else ''}"
            + (f"; not finite themselves: {str(broken)[1:-1]}" if broken else "; its inputs are finite"),
            fix="mend these samples" if broken else "lower the rates, set train.clip_norm, or use precision fp32",
        ) from None


def _finite_inputs(train: Batches, step: int) -> Iterator[tuple[int, bool]]:
    """Makes a step's batch again: (sample, whether all its floats are finite) for this rank's share."""
    for index, batch in zip(train.share(step), train[step], strict=True):
        floats = [part for part in batch if isinstance(part, Tensor) and part.is_floating_point()]
        for row, sample in enumerate(index.tolist()):
            yield sample, all(bool(part[row].isfinite().all()) for part in floats)
