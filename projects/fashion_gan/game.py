"""The state of the game: two networks that learn in turn, and all that a checkpoint holds of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from shared.training.distributed import World
from shared.training.history import History
from shared.training.step import Loss, Sums, accumulate, update

from .samples import Frame


@dataclass
class Player:
    """A network with what it learns by. Each has a scaler: a step that one skips is none of the other's."""

    network: nn.Module
    wrapped: nn.Module  # as `distributed.wrap` returned it
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    precision: str
    world: World

    def learn(self, loss: Loss, micro_batches: Sequence[Any], seed: int) -> tuple[Sums, bool]:
        """One update. Returns what was summed up, and False for a step that fp16 skipped."""
        common: dict[str, Any] = {"scaler": self.scaler, "world": self.world}
        sums = accumulate(self.wrapped, loss, micro_batches, precision=self.precision, seed=seed, **common)
        weights = list(self.network.parameters())
        return sums, update(weights, [self.optimizer], sums.count, clip_norm=0.0, **common)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The network takes no gradients of its own, and passes on those of its input.

        To be used bare then: a forward through DDP would make it wait for gradients that never come.
        """
        self.network.requires_grad_(False)
        try:
            yield
        finally:
            self.network.requires_grad_(True)

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer, "scaler": self.scaler}


@dataclass
class Progress:
    """Where a training stands."""

    step: int = 0  # of the generator
    updates: int = 0  # steps less those that its fp16 skipped: rates depend on them
    seconds: float = 0.0  # of training, over all runs that led here


@dataclass
class Game:
    """Everything that a checkpoint holds."""

    discriminator: Player
    generator: Player
    average: AveragedModel | None
    history: History
    progress: Progress = field(default_factory=Progress)
    frames: list[Frame] = field(default_factory=list)

    @property
    def shown(self) -> nn.Module:
        """The generator that is shown and kept: the averaged one if there is one."""
        return self.average.module if self.average else self.generator.network

    def state(self) -> dict[str, Any]:
        return {
            "discriminator": self.discriminator.state(),
            "generator": self.generator.state(),
            "average": self.average.state_dict() if self.average else None,
            "history": self.history.state(),
            "progress": asdict(self.progress),
            "frames": self.frames,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.discriminator.restore(state["discriminator"])
        self.generator.restore(state["generator"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.progress, self.frames = Progress(**state["progress"]), state["frames"]
        self.history.restore(state["history"], self.progress.step)
        self.history.say(f"resumed from step {self.progress.step}")
