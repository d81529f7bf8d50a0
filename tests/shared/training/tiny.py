"""A training small enough to run in a test many times over: noisy vectors, a linear teacher, a net with dropout."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from shared.training.optim import linear
from torch import Tensor, nn

from shared.core.sections import FitParams, Runtime
from shared.data.batches import Batches, EqualBatches
from shared.data.draws import Draws
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, local
from shared.training.fit import Run, fit

SIZE, FEATURES, CLASSES = 96, 6, 3

PARAMS = FitParams(
    seed=0,
    epochs=4.0,
    batch_size=16,
    micro_batch_size=8,
    precision="fp32",
    clip_norm=1.0,
    ema_decay=0.9,
    validate_epochs=1.0,
    monitor="valid_loss",
    keep="best",
    patience=0,
)
RUNTIME = Runtime(
    device="cpu",
    processes=1,
    loader="device",
    workers=0,
    log_steps=5,
    checkpoint_steps=3,
    profile=False,
    tensorboard=False,
)


class Batch(NamedTuple):
    x: Tensor
    y: Tensor


class Killed(BaseException):
    """Stands for the process's death."""


@dataclass
class Data:
    x: Tensor
    y: Tensor

    @classmethod
    def make(cls) -> "Data":
        torch.manual_seed(0)
        x = torch.randn(SIZE, FEATURES)
        return cls(x, (x @ torch.randn(FEATURES, CLASSES)).argmax(1))


def read(data: Data, index: Tensor) -> tuple[Tensor, Tensor]:
    return data.x[index], data.y[index]


class Reader:
    """A reader that crosses to worker processes."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.data.x[index], self.data.y[index]


def finish(raw: tuple[Tensor, Tensor], sample: Tensor, epoch: float) -> Batch:
    noise = Draws(0, int(epoch), sample).uniform()[:, None] - 0.5
    return Batch(raw[0] + 0.1 * noise.to(raw[0].dtype), raw[1])


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
    logits = model(batch.x)
    total = F.cross_entropy(logits, batch.y, reduction="sum")
    return total, len(batch.y), {"accuracy": (logits.argmax(1) == batch.y).sum()}


def net(dropout: float = 0.2, norm: bool = True) -> nn.Module:
    torch.manual_seed(1)
    middle = nn.BatchNorm1d(8) if norm else nn.Identity()
    return nn.Sequential(nn.Linear(FEATURES, 8), middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, CLASSES))


def batches(params: FitParams, data: Data, world: World, workers: int = 0) -> Batches:
    return Batches(
        Reader(data),
        finish,
        plan=EqualBatches(len(data.x), params.batch_size, params.micro_batch_size, world),
        seed=params.seed,
        world=world,
        workers=workers,
    )


def train(
    folder: Path,
    *,
    params: FitParams = PARAMS,
    runtime: Runtime = RUNTIME,
    model: nn.Module | None = None,
    data: Data | None = None,
    die_at: int | None = None,
    workers: int = 0,
) -> Run:
    """Trains the tiny net. `die_at`: the process dies when it makes the batch of this step."""
    world, data, model = local(), data or Data.make(), model or net()
    train_data = batches(params, data, world, workers)

    def dying(raw: tuple[Tensor, Tensor], sample: Tensor, epoch: float) -> Batch:
        if die_at is not None and round(epoch * len(train_data)) == die_at:
            raise Killed
        return finish(raw, sample, epoch)

    def validate(model: nn.Module) -> dict[str, float]:
        return {"valid_loss": F.cross_entropy(model(data.x), data.y).item()}

    train_data.finish = dying
    folder.mkdir(parents=True, exist_ok=True)
    return fit(
        model,
        loss,
        train=train_data,
        validate=validate,
        optimizers=[torch.optim.AdamW(model.parameters(), lr=0.05)],
        schedule=linear(round(params.epochs * len(train_data)), warmup=2),
        params=params,
        runtime=runtime,
        world=world,
        checkpoint=Checkpoint(folder / "last.pt", world),
        scratch=folder,
    )


def weights(model: nn.Module) -> Tensor:
    return torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])
