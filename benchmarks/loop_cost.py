"""What `fit()` adds to a training step, with metrics and logging on.

The same small network, initial weights, batches in the same order, and optimizer, trained by a hand-written loop, by
`fit()`, and by what one would use instead. All take turns in one process, in an order that rotates from round to
round: a machine's speed drifts by more than what is measured here. The last weights of the hand-written loop and of
`fit()` must be the same bits.

Time is taken where batches are read: a step lasts from one reading to the next, whoever asks. Setting up, the first
steps and tearing down are outside.
"""

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, Dataset

from benchmarks.table import report
from shared.core.sections import FitParams, Runtime
from shared.data.batches import Batch, Batches, EqualBatches
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local
from shared.training.fit import Training, fit
from shared.training.step import cross_entropy

ROUNDS, STEPS, FIRST = 12, 300, 40  # FIRST: the step from which time is taken, the ones before warm up
BATCH, SIDE, CLASSES, IMAGES = 8, 16, 10, 4096
LOG_STEPS = 20
MOST_ADDED_US, LEAST_RATIO = 100.0, 0.94

PARAMS = FitParams(
    seed=0, epochs=STEPS / (IMAGES // BATCH), batch_size=BATCH, micro_batch_size=BATCH, precision="fp32",
    clip_norm=0.0, ema_decay=0.0, validate_epochs=1.0, monitor="", keep="last", patience=0,
)  # fmt: skip
RUNTIME = Runtime(
    device="cpu", processes=1, workers=0, log_steps=LOG_STEPS, checkpoint_steps=10 * STEPS, profile=False
)  # fmt: skip


class Data(Dataset[Batch]):
    """Whole batches by step, from memory; notes when each was asked for."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(IMAGES, 3, SIDE, SIDE, generator=generator)
        self.labels = torch.randint(CLASSES, (IMAGES,), generator=generator)
        self.asked: list[float] = []
        plan = EqualBatches(IMAGES, BATCH, BATCH, local())
        self.batches = Batches(self.read, plan=plan, seed=0, world=local())
        self.order = [self.batches.samples(step) for step in range(STEPS)]

    def read(self, index: Tensor) -> Batch:
        self.asked.append(time.perf_counter())
        return {"image": self.images[index], "label": self.labels[index]}

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, step: int) -> Batch:
        return self.read(self.order[step])


def network() -> nn.Module:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for channels_in, channels_out in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (SIDE // 8) ** 2, CLASSES))


def sgd(model: nn.Module) -> Optimizer:
    return SGD(model.parameters(), lr=0.01, momentum=0.9)


def run_loop(
    batches: Iterable[Batch],
    model: nn.Module,
    optimizer: Optimizer,
    backward: Callable[[Tensor], None],
    log: Callable[[dict[str, float], int], None],
) -> None:
    """A loop as one would write it, with running sums on the device."""
    loss_sum, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for step, batch in enumerate(batches, 1):
        logits = model(batch["image"])
        loss = F.cross_entropy(logits, batch["label"])
        backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        loss_sum += loss.detach()
        correct += (logits.argmax(1) == batch["label"]).sum()
        if step % LOG_STEPS == 0:
            log({"loss": loss_sum.item() / LOG_STEPS, "accuracy": correct.item() / (LOG_STEPS * BATCH)}, step)
            loss_sum.zero_()
            correct.zero_()


def print_line(values: dict[str, float], step: int) -> None:
    print(f"step {step}  loss {values['loss']:.4g}  accuracy {values['accuracy']:.4g}", flush=True)


def by_hand(data: Data, model: nn.Module, folder: Path) -> None:
    run_loop((data[step] for step in range(STEPS)), model, sgd(model), Tensor.backward, print_line)


def by_fit(data: Data, model: nn.Module, folder: Path) -> None:
    training = Training(
        model=model,
        loss=lambda model, batch: cross_entropy(model(batch["image"]), batch["label"]),
        batches=data.batches,
        validation=None,
        optimizers=[sgd(model)],
        schedule=lambda update: 1.0,
        config={},
    )
    fit(training, PARAMS, RUNTIME, local(), Checkpoint(folder / "last.pt", local()), folder)


def by_fabric(data: Data, model: nn.Module, folder: Path) -> None:
    from lightning.fabric import Fabric
    from lightning.fabric.loggers import CSVLogger

    fabric = Fabric(accelerator="cpu", devices=1, loggers=CSVLogger(str(folder), flush_logs_every_n_steps=LOG_STEPS))
    wrapped, optimizer = fabric.setup(model, sgd(model))
    batches = fabric.setup_dataloaders(DataLoader(data, batch_size=None))
    run_loop(batches, wrapped, optimizer, fabric.backward, fabric.log_dict)


def by_accelerate(data: Data, model: nn.Module, folder: Path) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    wrapped, optimizer, batches = accelerator.prepare(model, sgd(model), DataLoader(data, batch_size=None))
    run_loop(batches, wrapped, optimizer, accelerator.backward, accelerator.on_main_process(print_line))


def by_trainer(data: Data, model: nn.Module, folder: Path) -> None:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    class Task(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def training_step(self, batch: Batch, index: int) -> Tensor:
            logits = self.net(batch["image"])
            loss = F.cross_entropy(logits, batch["label"])
            self.log_dict({"loss": loss, "accuracy": (logits.argmax(1) == batch["label"]).float().mean()})
            return loss

        def configure_optimizers(self) -> Optimizer:
            return sgd(self.net)

    off = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    logged = {"logger": CSVLogger(str(folder)), "log_every_n_steps": LOG_STEPS}
    trainer = Trainer(accelerator="cpu", devices=1, max_steps=STEPS, **logged, **off)
    trainer.fit(Task(), DataLoader(data, batch_size=None))


Loop = Callable[[Data, nn.Module, Path], None]
LOOPS: dict[str, Loop] = {
    "by hand": by_hand,
    "fit()": by_fit,
    "Lightning Fabric": by_fabric,
    "accelerate": by_accelerate,
    "Lightning Trainer": by_trainer,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Lines go into memory: a terminal's speed is not what is measured, nor what the libraries say of this one."""
    logging.getLogger("lightning").setLevel(logging.ERROR)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def measure(loop: Loop, data: Data) -> tuple[float, nn.Module]:
    """Microseconds a step, and the trained network."""
    data.asked.clear()
    model = network()
    with tempfile.TemporaryDirectory() as folder, quiet():
        loop(data, model, Path(folder))
    assert len(data.asked) >= STEPS
    return (data.asked[STEPS - 1] - data.asked[FIRST - 1]) / (STEPS - FIRST) * 1e6, model


def same_bits(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def main() -> bool:
    """Whether `fit()` keeps within its bounds and ends with the weights of the hand-written loop."""
    torch.set_num_threads(1)
    data, names = Data(), list(LOOPS)
    times: dict[str, list[float]] = {name: [] for name in names}
    identical = True
    for turn in range(ROUNDS):
        models = {}
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            micros, models[name] = measure(LOOPS[name], data)
            times[name].append(micros)
        identical &= same_bits(models["by hand"], models["fit()"])
    rows = [_row(name, times[name], times["by hand"]) for name in names]
    setup = {"rounds": ROUNDS, "steps_timed": STEPS - FIRST, "batch_size": BATCH, "threads": 1}
    report("loop_cost", rows, ("torch", "lightning", "accelerate"), **setup, weights_identical=identical)
    print(f"\nweights of `fit()` and of the hand-written loop identical: {'yes' if identical else 'NO'}")
    return identical and rows[1]["added_us"] <= MOST_ADDED_US and rows[1]["speed over by hand"] >= LEAST_RATIO


def _row(name: str, micros: list[float], by_hand: list[float]) -> dict[str, Any]:
    """Differences and ratios are taken within a round, where the machine was the same."""
    added = statistics.median(one - other for one, other in zip(micros, by_hand, strict=True))
    ratio = statistics.median(other / one for one, other in zip(micros, by_hand, strict=True))
    quartiles = statistics.quantiles(micros, n=4)
    return {
        "loop": name,
        "step_us": round(statistics.median(micros), 1),
        "quartiles_us": [round(quartiles[0], 1), round(quartiles[2], 1)],
        "added_us": round(added, 1),
        "speed over by hand": round(ratio, 3),
    }
