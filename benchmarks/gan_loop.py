"""Images a second in fashion_gan's loop, beside the same training in plain PyTorch.

Both train the same networks with the same initial weights, images on the device, losses, R1 penalty, optimizers,
averaged generator and log lines, of preset `official` where there is a GPU and `official-cpu` elsewhere; they take
turns in one process. By hand, noise comes from the device's own generator, and nothing could be resumed.

Time is taken where real images become floats, once the device has caught up. Setting up, the first steps, and the
samples after the last are outside.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.dcgan import make_data
from benchmarks.preset import load
from benchmarks.table import report
from projects.fashion_gan import train
from projects.fashion_gan.params import Params
from shared.data.batches import Batch
from shared.data.prepared import Prepared
from shared.data.source import mirror_folder
from shared.image.augment import to_float
from shared.training.checkpoint import Checkpoint
from shared.training.device import AUTOCAST, resolve_precision
from shared.training.distributed import World, join

ROUNDS, STEPS, FIRST = 6, 300, 60  # FIRST: the step from which time is taken, the ones before warm up
LEAST_RATIO = 0.97


class Clock:
    """Makes floats of real images, once a step, and takes the time there."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.step, self.times = device, 0, list[float]()

    def to_float(self, batch: Batch, epoch: float = 0) -> Batch:
        if self.step in (FIRST, STEPS - 1):
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.times.append(time.perf_counter())
        self.step += 1
        return batch | {"image": to_float(batch["image"])}

    @property
    def step_seconds(self) -> float:
        assert self.step == STEPS
        return (self.times[1] - self.times[0]) / (STEPS - 1 - FIRST)


def by_project(params: Params, prepared: Prepared, folder: Path, world: World, clock: Clock) -> None:
    """The project's own loop."""
    training = replace(train.describe(params, prepared, world), results=folder, validate=None)
    training.batches.augment = clock.to_float
    checkpoint = Checkpoint(folder / "last.pt", world)
    train.train_networks(training, params.train, params.runtime, world, checkpoint, folder)


def by_hand(params: Params, prepared: Prepared, folder: Path, world: World, clock: Clock) -> None:
    """The loop that one would write for this preset."""
    chosen, device, size = params.train, world.device, params.train.batch_size
    training, table = train.describe(params, prepared, world), prepared.table("train")
    discriminator, generator = (training.networks[name] for name in ("discriminator", "generator"))
    adams = [Adam(network.parameters(), chosen.lr, train.BETAS, fused=True) for network in (discriminator, generator)]
    of_discriminator, of_generator = adams
    schedulers = [LambdaLR(adam, lambda step: 1 - step / STEPS) for adam in adams]
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(chosen.ema_decay), use_buffers=True)
    dtype = AUTOCAST.get(resolve_precision(chosen.precision, device))
    images, labels = (torch.from_numpy(table.fixed(name)).to(device) for name in ("image", "label"))
    frequency = torch.tensor(training.config["class_counts"], dtype=torch.float32, device=device)
    order = torch.randperm(len(images), device=device).split(size)
    sums = torch.zeros(5, device=device)

    for step in range(STEPS):
        index = order[step]
        real, label = clock.to_float({"image": images[index]})["image"], labels[index]
        noise = torch.randn(size, chosen.model.latent_size, device=device)
        wanted = torch.multinomial(frequency, size, replacement=True)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            with torch.no_grad():
                fake = generator(noise, wanted)
            real_logit, fake_logit = discriminator(real, label), discriminator(fake, wanted)
            loss = (F.softplus(-real_logit) + F.softplus(fake_logit)).mean()
        penalty = torch.zeros_like(loss)
        if step % chosen.r1_steps == 0:
            real.requires_grad_()
            (slope,) = torch.autograd.grad(discriminator(real, label).sum(), real, create_graph=True)
            weight = chosen.r1_weight * chosen.r1_steps / 2
            penalty = weight * slope.square().sum((1, 2, 3)).mean()
        (loss + penalty).backward()
        of_discriminator.step()
        of_discriminator.zero_grad()

        noise = torch.randn(size, chosen.model.latent_size, device=device)
        wanted = torch.multinomial(frequency, size, replacement=True)
        discriminator.requires_grad_(False)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            made = F.softplus(-discriminator(generator(noise, wanted), wanted)).mean()
        made.backward()
        discriminator.requires_grad_(True)
        of_generator.step()
        of_generator.zero_grad()
        average.update_parameters(generator)
        for scheduler in schedulers:
            scheduler.step()

        sums += torch.stack([loss, made, penalty, real_logit.mean(), fake_logit.mean()]).detach()
        if (step + 1) % params.runtime.log_steps == 0:
            print(step + 1, *(sums / params.runtime.log_steps).tolist())
            sums.zero_()


Loop = Callable[[Params, Prepared, Path, World, Clock], None]
LOOPS: dict[str, Loop] = {"by hand": by_hand, "fashion_gan": by_project}


def measure(loop: Loop, params: Params, prepared: Prepared, world: World) -> float:
    """Images a second."""
    clock = Clock(world.device)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        loop(params, prepared, Path(folder), world, clock)
    return params.train.batch_size / clock.step_seconds


def main() -> bool:
    """Whether the project's loop keeps up; True, with a line, where there is no Fashion-MNIST."""
    if mirror_folder("fashion_mnist") is None:
        print("left out: no folder fashion_mnist in $DATASET_MIRROR")
        return True
    preset, names = "official" if torch.cuda.is_available() else "official-cpu", list(LOOPS)
    params = load("fashion_gan", Params, preset)
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, join(params.runtime) as world:
        prepared = make_data(Path(folder), params)
        passes = STEPS * params.train.batch_size / len(prepared.table("train"))
        own = {"train.epochs": passes, "train.sample_epochs": passes, "runtime.checkpoint_steps": STEPS}
        params = load("fashion_gan", Params, preset, own)
        for turn in range(ROUNDS):
            for name in names if turn % 2 else reversed(names):
                speeds[name].append(measure(LOOPS[name], params, prepared, world))
    precision = resolve_precision(params.train.precision, world.device)
    rows = [_row(name, speeds[name], speeds["by hand"]) for name in names]
    report(
        "gan_loop",
        rows,
        device=world.device,
        preset=preset,
        precision=precision,
        batch_size=params.train.batch_size,
        rounds=ROUNDS,
        steps_timed=STEPS - 1 - FIRST,
    )
    return bool(rows[1]["speed over by hand"] >= LEAST_RATIO)


def _row(name: str, speed: list[float], by_hand: list[float]) -> dict[str, Any]:
    """The ratio is taken within a round, where the machine was the same."""
    ratios = [one / other for one, other in zip(speed, by_hand, strict=True)]
    return {
        "loop": name,
        "images_per_second": round(statistics.median(speed), 1),
        "speed over by hand": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
