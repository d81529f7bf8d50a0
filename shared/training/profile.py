"""A look at where time and memory go, when `runtime.profile` asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

WAIT, WARMUP, ACTIVE = 5, 3, 5  # steps: let caches fill, let the profiler settle, record


class Steps(Protocol):
    def step(self) -> None: ...


class _Nothing:
    def step(self) -> None:
        return


@contextmanager
def profiler(active: bool, folder: Path) -> Iterator[Steps]:
    """Records steps 8 to 12 into folder/trace.json (for a browser's trace viewer) and folder/profile.txt."""
    if not active:
        yield _Nothing()
        return
    folder.mkdir(parents=True, exist_ok=True)

    def write(profile: torch.profiler.profile) -> None:
        profile.export_chrome_trace(str(folder / "trace.json"))
        key = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=key, row_limit=25)
        (folder / "profile.txt").write_text(table)
        print(f"profile of {ACTIVE} steps in {folder}:\n{table}")

    with torch.profiler.profile(
        schedule=torch.profiler.schedule(wait=WAIT, warmup=WARMUP, active=ACTIVE, repeat=1),
        on_trace_ready=write,
        profile_memory=True,
        acc_events=True,  # there is one cycle; without it torch 2.11 warns that those before are lost
    ) as profile:
        yield profile
