"""A training small enough to run in a test many times over: noisy vectors, a linear teacher, a net with dropout."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.core.sections import FitParams, Runtime
from shared.data.batches import Batch, Batches, EqualBatches
from shared.data.draws import Draws
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, local
from shared.training.fit import Run, Training, Validation, fit
from shared.training.step import cross_entropy, linear

SIZE, FEATURES, CLASSES = 96, 6, 3
PARAMS = FitParams(
    seed=0, epochs=4.0, batch_size=16, micro_batch_size=8, precision="fp32", clip_norm=1.0, ema_decay=0.9,
    validate_epochs=1.0, monitor="valid_loss", keep="best", patience=0,
)  # fmt: skip
RUNTIME = Runtime(device="cpu", processes=1, workers=0, log_steps=5, checkpoint_steps=3, profile=False)


class Killed(BaseException):
    """Stands for the process's death."""


def killed() -> None:
    raise Killed


class Data:
    """x (SIZE, FEATURES), y (SIZE,) and how a batch is read: it crosses to worker processes."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        draws = torch.Generator().manual_seed(0)
        self.x = torch.randn(SIZE, FEATURES, generator=draws).to(dtype)
        self.y = (self.x @ torch.randn(FEATURES, CLASSES, generator=draws).to(dtype)).argmax(1)

    def __call__(self, index: Tensor) -> Batch:
        return {"x": self.x[index], "y": self.y[index]}


def noise(batch: Batch, epoch: float) -> Batch:
    drawn = Draws(0, int(epoch), batch["sample"]).uniform()[:, None] - 0.5
    return batch | {"x": batch["x"] + 0.1 * drawn.to(batch["x"].dtype)}


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
    return cross_entropy(model(batch["x"]), batch["y"])


def net(dropout: float = 0.2, norm: bool = True, dtype: torch.dtype = torch.float32) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        middle = nn.BatchNorm1d(8) if norm else nn.Identity()
        layers = nn.Linear(FEATURES, 8), middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, CLASSES)
        return nn.Sequential(*layers).to(dtype)


def describe(
    params: FitParams = PARAMS, model: nn.Module | None = None, data: Data | None = None, world: World | None = None
) -> Training:
    """The training; a test replaces what it is about."""
    model, data, world = model or net(), data or Data(), world or local()
    batches = Batches(
        data,
        plan=EqualBatches(SIZE, params.batch_size, params.micro_batch_size, world),
        seed=params.seed,
        world=world,
        augment=noise,
    )

    def measure(model: nn.Module) -> dict[str, float]:
        return {"valid_loss": F.cross_entropy(model(data.x), data.y).item()}

    return Training(
        model=model,
        loss=loss,
        batches=batches,
        validation=Validation(("valid_loss",), measure),
        optimizers=[torch.optim.AdamW(model.parameters(), lr=0.05)],
        schedule=linear(round(params.epochs * len(batches)), warmup=2),
        config={},
    )


def train(
    folder: Path,
    training: Training | None = None,
    *,
    params: FitParams = PARAMS,
    runtime: Runtime = RUNTIME,
    world: World | None = None,
    die_at: int | None = None,
    die: Callable[[], None] = killed,
    checkpoint: Checkpoint | None = None,
    workers: int = 0,
    **changes: Any,
) -> Run:
    """Trains the tiny net, checkpoints in `folder`.

    Args:
        die_at: the process dies when it makes the batch of this step, or what `die` does happens.
        changes: of fields of the training.
    """
    world = world or local()
    training = replace(training or describe(params, world=world), **changes)
    training.batches.workers = workers
    training.batches.augment = dying(len(training.batches), die_at, die)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoint or Checkpoint(folder / "last.pt", world)
    return fit(training, params, runtime, world, checkpoint, folder)


def dying(steps_an_epoch: int, die_at: int | None, die: Callable[[], None] = killed) -> Callable[[Batch, float], Batch]:
    def augment(batch: Batch, epoch: float) -> Batch:
        if die_at is not None and round(epoch * steps_an_epoch) == die_at:
            die()
        return noise(batch, epoch)

    return augment


def weights(model: nn.Module) -> Tensor:
    return torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])
