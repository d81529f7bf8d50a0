"""Images a second on which voc_detection trains torchvision's FCOS, beside the loop of torchvision's reference.

Both train the same network from the same weights in the same precision, on the same scenes and with as many images a
step; they take turns in one process. The project keeps prepared images on the device and augments them there; the other
loop is as torchvision's `references/detection` has it: files decoded and mirrored by workers, images and boxes moved to
the device one by one, SGD with warm-up, and every loss read at every step.

Time is taken from one step to another once the device has caught up: setting up and the first steps are outside.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.preset import Elsewhere, load
from benchmarks.table import report
from projects.voc_detection.params import Params
from projects.voc_detection.prepare import prepare
from projects.voc_detection.sample import write_sample
from projects.voc_detection.torchvision_models import TorchvisionDetector
from projects.voc_detection.train import describe
from shared.data.prepared import Prepared
from shared.data.table import Table
from shared.training.checkpoint import Checkpoint
from shared.training.device import AUTOCAST, resolve_precision
from shared.training.distributed import World, join
from shared.training.fit import fit

NETWORK, SIDE_PX, BATCH = "fcos", 512, 16
STEPS, FIRST, ROUNDS = 60, 20, 3  # FIRST: the step from which time is taken
IMAGES = STEPS * BATCH  # one pass: at the end of one, the workers of a DataLoader begin anew
LEAST_RATIO = 1.0
FILES = "files"
SETTINGS: dict[str, Any] = {
    "fetch.num_train": IMAGES, "fetch.num_valid": 10, "fetch.num_test": 10,
    "prepare.width_px": SIDE_PX, "prepare.height_px": SIDE_PX, "train.model.name": NETWORK, "train.precision": "auto",
    "train.batch_size": BATCH, "train.micro_batch_size": BATCH, "train.epochs": 1.0,
    "train.ema_decay": 0.0, "train.mosaic": 0.0, "train.validate_epochs": 1000.0,
}  # fmt: skip


@dataclass
class Clock:
    """Takes the time at two steps of a training."""

    device: torch.device
    step: int = 0
    times: list[float] = field(default_factory=list)

    def tick(self) -> None:
        if self.step in (FIRST, STEPS - 1):
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.times.append(time.perf_counter())
        self.step += 1

    @property
    def images_a_second(self) -> float:
        assert self.step == STEPS
        return BATCH * (STEPS - 1 - FIRST) / (self.times[1] - self.times[0])


def by_project(params: Params, prepared: Prepared, folder: Path, world: World, clock: Clock) -> None:
    """The project's own training."""
    training = describe(params, prepared, world)
    augment = training.batches.augment
    assert augment is not None

    def timed(batch: Any, epoch: float) -> Any:
        clock.tick()
        return augment(batch, epoch)

    training.batches.augment = timed
    fit(
        replace(training, validation=None),
        params.train,
        params.runtime,
        world,
        Checkpoint(folder / "last.pt", world),
        folder,
    )


class Files(Dataset[tuple[Any, dict[str, Any]]]):
    """The prepared images as files, with their boxes: what a torchvision data set gives."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.paths, self.table = [folder / f"{number}.jpg" for number in range(len(table))], table
        self.transform = v2.Compose([
            v2.PILToTensor(), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float, scale=True),
            v2.SanitizeBoundingBoxes(), v2.ToPureTensor(),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, dict[str, Any]]:
        boxes = torch.from_numpy(self.table.ragged("boxes").row(index).copy())
        labels = torch.from_numpy(self.table.ragged("label").row(index).copy()) + 1
        boxed = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(SIDE_PX, SIDE_PX))  # type: ignore[call-overload]
        found: tuple[Any, dict[str, Any]] = self.transform(
            Image.open(self.paths[index]).convert("RGB"), {"boxes": boxed, "labels": labels}
        )
        return found


def by_reference(params: Params, prepared: Prepared, folder: Path, world: World, clock: Clock) -> None:
    """As torchvision's train_one_epoch has it."""
    model, device = describe(params, prepared, world).model.train(), world.device
    assert isinstance(model, TorchvisionDetector)
    workers = min(16, os.cpu_count() or 1)
    files = Files(prepared.table("train"), prepared.folder / FILES)
    loader = DataLoader(
        files, BATCH, shuffle=True, num_workers=workers, drop_last=True,
        collate_fn=lambda rows: tuple(zip(*rows, strict=True)), persistent_workers=True,
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.001, total_iters=STEPS)
    dtype = AUTOCAST.get(resolve_precision(params.train.precision, device))
    read: list[float] = []
    while clock.step < STEPS:
        for images, targets in loader:
            if clock.step == STEPS:
                break
            clock.tick()
            images = [image.to(device) for image in images]
            targets = [{key: value.to(device) for key, value in one.items()} for one in targets]
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                losses: dict[str, Tensor] = model.net(images, targets)
                total = torch.stack([*losses.values()]).sum()
            read.append(total.item())
            optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            warmup.step()
            read += [loss.item() for loss in losses.values()]


LOOPS: dict[str, Callable[..., None]] = {"voc_detection": by_project, "torchvision's reference": by_reference}


@contextmanager
def scenes(params: Params) -> Iterator[Prepared]:
    """The sample, prepared in a folder of its own, and its training images as files beside it."""
    with tempfile.TemporaryDirectory() as folder:
        project = Elsewhere("voc_detection", Path(folder))
        assert params.fetch is not None
        write_sample(project.raw, params.fetch)
        with redirect_stdout(StringIO()):
            prepare(project, params.prepare)
        prepared = Prepared(project.prepared)
        (project.prepared / FILES).mkdir()
        for number, image in enumerate(prepared.table("train").fixed("image")):
            pixels = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
            pixels.save(project.prepared / FILES / f"{number}.jpg", quality=95)
        yield prepared


def measure(params: Params, world: World) -> dict[str, list[float]]:
    """Images a second of each loop, a figure a round."""
    found: dict[str, list[float]] = {name: [] for name in LOOPS}
    with scenes(params) as prepared:
        for number in range(ROUNDS):
            for name in list(LOOPS)[:: 1 if number % 2 == 0 else -1]:
                clock = Clock(world.device)
                with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
                    LOOPS[name](params, prepared, Path(folder), world, clock)
                found[name].append(clock.images_a_second)
                print(f"round {number + 1}, {name}: {found[name][-1]:,.0f} images/s", flush=True)
    return found


def main() -> bool:
    """Measures and reports. Returns whether the project is as fast; True, with a line, where there is no GPU."""
    if not torch.cuda.is_available():
        print("left out: this machine has no CUDA device")
        return True
    params = load("voc_detection", Params, "bccd", SETTINGS)
    with join(params.runtime) as world:
        found = measure(params, world)
    own = statistics.median(found["voc_detection"])
    rows = [
        {"loop": name, "images/s": round(statistics.median(of)), "rounds": ", ".join(f"{one:.0f}" for one in of),
         "voc_detection over this": round(own / statistics.median(of), 3)}
        for name, of in found.items()
    ]  # fmt: skip
    precision = resolve_precision(params.train.precision, world.device)
    report("detection_training", rows, ("torch", "torchvision"), world.device, network=NETWORK, side_px=SIDE_PX,
           batch_size=BATCH, precision=precision, steps_timed=STEPS - 1 - FIRST)  # fmt: skip
    return own / statistics.median(found["torchvision's reference"]) >= LEAST_RATIO
