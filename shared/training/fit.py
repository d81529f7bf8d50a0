"""The training loop, for every project whose training is "a loss over batches".

Everything it calls is a small function that a project with a loop of its own calls itself.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shared.core.errors import UserError
from shared.core.headline import direction
from shared.core.sections import FitParams, Runtime
from shared.core.seed import derive
from shared.data.batches import Batches
from shared.training.checkpoint import Checkpoint
from shared.training.device import has_bf16_units, resolve_precision
from shared.training.distributed import (
    World,
    average_buffers,
    broadcast,
    gather_buffers,
    gather_objects,
    restore_buffers,
    wrap,
)
from shared.training.history import Diverged, History, Row
from shared.training.step import Loss, Schedule, accumulate, make_scaler, set_rates, update

PROFILED = {"wait": 5, "warmup": 3, "active": 5}  # steps: let caches fill, let the profiler settle, record


class Validation(NamedTuple):
    """What is measured between epochs.

    Args:
        metrics: names of what `measure` returns; train.monitor is one of them.
        measure: a model in eval mode -> metrics, on the first rank; what other ranks return is ignored.
    """

    metrics: Sequence[str]
    measure: Callable[[nn.Module], Row]


@dataclass(frozen=True)
class Training:
    """A training, as a project describes it.

    Args:
        model: on the world's device. Holds the kept weights afterwards: best or last, averaged if ema_decay is set.
        loss: `loss(model, batch)` -> sum over items, number of items, further sums for the log (see step.py).
        batches: by step.
        validation: None: there is no validation data.
        optimizers: of all weights that learn.
        schedule: number of the update -> factor of the learning rates.
        config: plain values from which the project builds the same model again.
        files: that the training starts from besides the prepared data: a pretrained checkpoint's.
    """

    model: nn.Module
    loss: Loss
    batches: Batches
    validation: Validation | None
    optimizers: Sequence[Optimizer]
    schedule: Schedule
    config: Mapping[str, Any]
    files: Sequence[Path] = ()


@dataclass
class Progress:
    """The progress of a training."""

    step: int = 0
    updates: int = 0  # steps less the skipped ones: rates depend on them
    best: float | None = None  # of the monitored metric, negated where lower values are better
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # on the first rank
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

    @property
    def models(self) -> list[nn.Module]:
        return [self.model, self.average] if self.average else [self.model]

    def state(self, world: World) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "buffers": gather_buffers(self.models, world),
            "average": self.average.state_dict() if self.average else None,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "history": self.history.state(),
            "progress": vars(self.progress),
        }

    def restore(self, state: dict[str, Any], world: World) -> None:
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.load_state_dict(state["average"])
        restore_buffers(self.models, state["buffers"], world)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.history.restore(state["history"], self.progress.step)
        self.history.say(f"resumed from step {self.progress.step}")


def fit(
    training: Training, params: FitParams, runtime: Runtime, world: World, checkpoint: Checkpoint, scratch: Path
) -> Run:
    """Trains the model in place, from the checkpoint if there is one.

    Args:
        params: the project's `train` section.
        scratch: folder for a profile, if runtime asks for one.

    Raises:
        UserError: before the first step, params that do not fit this training or machine; later, the loss became NaN
            or infinite: names the first such step and its samples.
    """
    model, train, validation = training.model, training.batches, training.validation
    precision = resolve_precision(params.precision, world.device)
    check_training(training, params, precision, world)
    total, validate_steps = count_steps(params.epochs, train), count_steps(params.validate_epochs, train)
    history = History(world, total)
    scaler = make_scaler(precision, world.device, params.micro_batch_size)
    run = Run(model, make_average(model, params.ema_decay), training.optimizers, scaler, history, Progress())
    if saved := checkpoint.load():
        run.restore(saved, world)
    progress, wrapped = run.progress, wrap(model, world)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    clock = time.perf_counter() - progress.seconds
    stop = total if not progress.stopped else progress.step

    model.train()
    with profiler(runtime.profile and world.is_first, scratch) as profile, _naming_divergence(run, train, world):
        for micro_batches in train.stream(progress.step, stop):
            set_rates(run.optimizers, training.schedule(progress.updates))
            seed = derive(params.seed, "step", progress.step)
            sums = accumulate(
                wrapped, training.loss, micro_batches, scaler=scaler, precision=precision, world=world, seed=seed
            )
            if update(parameters, run.optimizers, sums.count, scaler=scaler, clip_norm=params.clip_norm, world=world):
                progress.updates += 1
                if run.average:
                    run.average.update_parameters(model)
            history.add(sums)
            progress.step = step = progress.step + 1
            if profile:
                profile.step()

            ends = step == total
            rate = run.optimizers[0].param_groups[0]["lr"]
            if ends or step % runtime.log_steps == 0:
                history.log(step, step / len(train), rate)
            if validation and (ends or step % validate_steps == 0):
                _validate(run, validation, params, world, step / len(train))
            if progress.stopped:
                history.log(step, step / len(train), rate)
            if checkpoint.is_due(step) or ends or progress.stopped or step % runtime.checkpoint_steps == 0:
                history.read()
                progress.seconds = time.perf_counter() - clock
                checkpoint.save(run.state(world))
            if progress.stopped:
                break
    history.close()
    average_buffers(run.models, world)
    model.load_state_dict(progress.best_weights or run.result.state_dict())
    model.eval()
    return run


def count_steps(epochs: float, train: Batches) -> int:
    """Passes over the data -> steps, at least one."""
    return max(1, round(epochs * len(train)))


def make_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """An exponential moving average of weights and floating buffers, to be updated after each step; 0: None."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


def check_training(training: Training, params: FitParams, precision: str, world: World) -> None:
    """Raises UserError on settings that would fail, or be useless, only long after the first step."""
    validation = training.validation
    if validation:
        if params.monitor not in validation.metrics:
            known = ", ".join(validation.metrics)
            raise UserError(f"train.monitor: no metric {params.monitor!r}", expected=f"one of {known}")
        direction(params.monitor)
    elif params.patience or params.keep == "best":
        key = "patience" if params.patience else "keep"
        raise UserError(
            f"train.{key}: {getattr(params, key)}, but there is no validation split to choose by",
            fix="a prepare.valid_fraction above 0, or train.patience=0 and train.keep=last",
        )
    recurrent = any(isinstance(module, nn.RNNBase) for module in training.model.modules())
    if recurrent and precision == "bf16" and world.device.type == "cpu" and not has_bf16_units(world.device):
        raise UserError(
            "train.precision: bf16, but this CPU has no bf16 units for an LSTM or GRU", fix="precision=fp32"
        )


def _validate(run: Run, validation: Validation, params: FitParams, world: World, epoch: float) -> None:
    """Validates, keeps the best weights, and stops the training when patience runs out."""
    run.history.read()  # a loss that is not finite is named before its weights are measured
    average_buffers(run.models, world)
    run.result.eval()
    with torch.no_grad():
        metrics = broadcast(validation.measure(run.result), world)
    run.result.train()
    progress = run.progress
    run.history.validated(progress.step, epoch, metrics)
    value = metrics[params.monitor] * (-1 if direction(params.monitor) == "lower" else 1)
    progress.stale += 1
    if not math.isnan(value) and (progress.best is None or value > progress.best):
        progress.best, progress.stale = value, 0
        if params.keep == "best" and world.is_first:
            progress.best_weights = {name: tensor.clone() for name, tensor in run.result.state_dict().items()}
    progress.stopped = 0 < params.patience <= progress.stale


@contextmanager
def _naming_divergence(run: Run, train: Batches, world: World) -> Iterator[None]:
    try:
        yield
    except Diverged as diverged:
        step = run.progress.step - diverged.steps_ago
        samples = train.samples(step).tolist()
        own = [sample for sample, finite in _finite_inputs(train, step) if not finite]
        # All ranks are here: the loss that they share is not finite
        broken = [sample for share in broadcast(gather_objects(own, world), world) for sample in share]
        raise UserError(
            f"training: the loss of step {step} (epoch {step / len(train):.2f}) is not a finite number; "
            f"its samples are {str(samples[:8])[1:-1]}{', ...' if len(samples) > 8 else ''}"
            + (f"; not finite themselves: {str(broken)[1:-1]}" if broken else "; its inputs are finite"),
            fix="fix these samples" if broken else "lower the rates, set train.clip_norm, or use precision fp32",
        ) from None


def _finite_inputs(train: Batches, step: int) -> Iterator[tuple[int, bool]]:
    """Makes a step's batch again: (sample, whether all its floats are finite) for this rank's share."""
    for index, batch in zip(train.share(step), train[step], strict=True):
        floats = [value for value in batch.values() if value.is_floating_point()]
        for row, sample in enumerate(index.tolist()):
            yield sample, all(bool(value[row].isfinite().all()) for value in floats)


def profiler(active: bool, folder: Path) -> AbstractContextManager[torch.profiler.profile | None]:
    """Records some steps into folder/trace.json (for a browser's trace viewer) and folder/profile.txt."""
    if not active:
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)

    def write(profile: torch.profiler.profile) -> None:
        profile.export_chrome_trace(str(folder / "trace.json"))
        key = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=key, row_limit=25)
        (folder / "profile.txt").write_text(table)
        print(f"profile of {PROFILED['active']} steps in {folder}:\n{table}")

    # acc_events: there is one cycle; without it torch 2.11 warns that those before are lost
    schedule = torch.profiler.schedule(**PROFILED, repeat=1)
    return torch.profiler.profile(schedule=schedule, on_trace_ready=write, profile_memory=True, acc_events=True)
