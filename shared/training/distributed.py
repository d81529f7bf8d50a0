"""Several processes: ranks, sums over ranks, records from all ranks.

A stage runs the same way alone, under `torchrun`, and when it starts its own processes (`runtime.processes`). Gloo on
CPUs, NCCL on GPUs. Every function here does nothing costly when there is one process.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel as DDP

from shared.core.cli import FIRST_ERROR
from shared.core.paths import ROOT
from shared.core.sections import Runtime
from shared.training.device import pick_device

T = TypeVar("T")
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP  # that ask a stage to end: Ctrl-C, kill, a lost connection
PATIENCE_S = 30.0  # from the first process that ends after such a signal to the end of all


@dataclass(frozen=True)
class World:
    """This process among all: rank in [0, size), and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def widest(self) -> torch.dtype:
        """The widest dtype of the device, for sums of many numbers."""
        return torch.float32 if self.device.type == "mps" else torch.float64


def local(device: str = "cpu") -> World:
    """A world of one process."""
    return World(0, 1, pick_device(device))


@contextmanager
def join(runtime: Runtime) -> Iterator[World]:
    """The world that torchrun's environment describes; one process without it."""
    size, local_rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    device = pick_device(runtime.device, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes_here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    torch.set_num_threads(max(1, cores // processes_here))  # torchrun would give each one thread
    backend = "nccl" if device.type == "cuda" else "gloo"
    store, rank, size = next(rendezvous("env://"))
    dist.init_process_group(backend, store=_own_part(store, rank, size), rank=rank, world_size=size)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def _own_part(store: Store, rank: int, size: int) -> Store:
    """A part of the store that only the processes alive now write to.

    torchrun keeps one store over its restarts (2.14): a restarted rank finds addresses of dead ones in it, and fails
    or hangs when it is faster than they are replaced. TORCHELASTIC_RESTART_COUNT cannot name the part: machines
    count separately. So the first rank names it, replies to whatever token each rank has put, and goes on once each has
    acknowledged this very reply, which a dead one cannot.
    """
    name = uuid.uuid4().hex
    if rank:
        store.set(f"hello/{rank}", name)
        name = store.get(f"welcome/{name}").decode()
        store.set(f"thanks/{name}/{rank}", "")
    waiting = set(range(1, size)) if rank == 0 else set()
    while waiting:
        for other in waiting:
            store.set(f"welcome/{store.get(f'hello/{other}').decode()}", name)
        time.sleep(0.01)
        waiting = {other for other in waiting if not store.check([f"thanks/{name}/{other}"])}
    return PrefixStore(name, store)


def wrap(model: nn.Module, world: World) -> nn.Module:
    """DDP where there are several processes. Buffers are not broadcast: `average_buffers` does what is needed."""
    if world.size == 1:
        return model
    ids = [world.device.index] if world.device.type == "cuda" else None
    return DDP(model, device_ids=ids, broadcast_buffers=False)


def reduce_sum(tensor: Tensor, world: World) -> Tensor:
    """The sum over ranks, on all of them, in place."""
    if world.size > 1:
        dist.all_reduce(tensor)
    return tensor


@torch.no_grad()
def average_buffers(models: Sequence[nn.Module], world: World) -> None:
    """Makes the floating buffers (batch norm's running statistics) their mean over ranks.

    A running statistic is linear in the batches' statistics, so the mean of what each rank kept of its own share
    is exactly what one process would have kept of all, whenever it is taken.
    """
    if world.size == 1:
        return
    for buffer in _floating(models):
        dist.all_reduce(buffer)
        buffer /= world.size


def gather_buffers(models: Sequence[nn.Module], world: World) -> list[list[Tensor]]:
    """The floating buffers of every rank, on the first one; nothing where there is one process.

    Each rank keeps statistics of its own share from one `average_buffers` to the next: a checkpoint in between that
    averaged them would change their last bits, and by when it was made.
    """
    return gather_objects([buffer.cpu() for buffer in _floating(models)], world) if world.size > 1 else []


@torch.no_grad()
def restore_buffers(models: Sequence[nn.Module], saved: Sequence[Sequence[Tensor]], world: World) -> None:
    """Gives each rank the buffers that it had, or all the mean of them where there were more or fewer ranks."""
    if saved:
        means = (torch.stack(same).mean(0) for same in zip(*saved, strict=True))
        own = saved[world.rank] if len(saved) == world.size else means
        for buffer, value in zip(_floating(models), own, strict=True):
            buffer.copy_(value)


def _floating(models: Sequence[nn.Module]) -> Iterator[Tensor]:
    return (buffer for model in models for buffer in model.buffers() if buffer.is_floating_point())


def gather_objects(value: T, world: World) -> list[T]:
    """The values of all ranks, in order, on the first rank; nothing on the others."""
    if world.size == 1:
        return [value]
    found: list[T] | None = [value] * world.size if world.is_first else None
    dist.gather_object(value, found)
    return found or []


def broadcast(value: T, world: World) -> T:
    """The first rank's value, on every rank."""
    if world.size == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0, device=world.device if world.device.type == "cuda" else None)
    return held[0]


def start_processes(runtime: Runtime, file: str, words: Sequence[str] | None) -> None:
    """Starts the stage again in as many processes as runtime.processes says, and ends with their exit status.

    Does nothing where one process is enough, or under torchrun.

    Args:
        file: of the stage's module.
        words: of its command line; None: sys.argv.

    Raises:
        SystemExit: the processes have ended.
    """
    processes = runtime.processes
    if processes == "auto":
        processes = torch.cuda.device_count() if runtime.device in ("auto", "cuda") else 1
    if processes > 1 and "RANK" not in os.environ:
        module = Path(file).resolve().relative_to(ROOT).with_suffix("")
        raise SystemExit(launch(".".join(module.parts), sys.argv[1:] if words is None else words, processes))


def launch(module: str, words: Sequence[str], processes: int) -> int:
    """Runs `python -m module words` in n processes on this machine and returns the first exit status that is not 0.

    When one fails the others are ended: they would wait for it in the next collective. A signal to end is handed on to
    them, so that they can keep their work first.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), FIRST_ERROR: str(Path(folder) / "reported")}
        sizes = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
        children = [
            subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=os.environ | shared | sizes | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(processes)
        ]
        return _wait(children)


def _wait(children: list[subprocess.Popen[bytes]]) -> int:
    asked: list[int] = []

    def hand_on(number: int, frame: Any) -> None:
        asked.append(number)
        for child in children:
            child.send_signal(number)  # one from the terminal reaches them twice: see checkpoint.py

    status, since = 0, 0.0  # of the first that failed
    try:
        with handling(hand_on):
            while any(child.poll() is None for child in children):
                failed = next((child.returncode for child in children if child.returncode), 0)
                if failed and not status:
                    status, since = failed, time.monotonic()
                if status and (not asked or time.monotonic() - since > PATIENCE_S):
                    break
                time.sleep(0.05)
    finally:
        for child in children:
            child.kill()  # asked to end, it would first finish a step that cannot end
            child.wait()
    status = status or next((child.returncode for child in children if child.returncode), 0)
    return status if status >= 0 else 128 - status


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Calls the handler for the SIGNALS that this process does not ignore, as one started by `nohup` does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, old in before.items() if old is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
