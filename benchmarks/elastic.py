"""A worker killed under `torchrun --max-restarts`: both start anew, resume, and end with the same bytes.

torchrun notices the death, ends the other worker and starts both again; they go on from the last checkpoint.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.kill_resume import LOG_STEPS, PARAMS, STEPS, forget, read_until, resumed_from
from benchmarks.table import report
from tests.checkout import PROJECT, Checkout, make_checkout

TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "--max-restarts",
    "3",
    "--standalone",
]
COMMAND = [*TORCHRUN, "-m", f"projects.{PROJECT}.train"]
KILLED_AT = {0: STEPS // 3, 1: 2 * STEPS // 3}
LIMIT_S = 600  # a restart that takes longer hangs
FILES = ("model.safetensors", "history.tsv", "validation.tsv")


def results(copy: Checkout) -> dict[str, bytes]:
    return {name: (copy.results / name).read_bytes() for name in FILES}


def workers(torchrun: subprocess.Popen[str]) -> dict[int, int]:
    """Rank -> process of the workers alive now."""
    listing = subprocess.check_output(["ps", "--ppid", str(torchrun.pid), "-o", "pid="], text=True)
    return {_rank(int(pid)): int(pid) for pid in listing.split()}


def _rank(pid: int) -> int:
    found = re.search(rb"(?:^|\0)RANK=(\d+)\0", Path(f"/proc/{pid}/environ").read_bytes())
    assert found
    return int(found[1])


def kill_worker(copy: Checkout, rank: int, expected: dict[str, bytes]) -> dict[str, Any]:
    """Kills one rank and waits for torchrun to end. One row of the table."""
    forget(copy)
    torchrun = copy.start(COMMAND)
    read_until(torchrun, KILLED_AT[rank])
    os.kill(workers(torchrun)[rank], signal.SIGKILL)
    try:
        said, _ = torchrun.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        torchrun.terminate()
        said, _ = torchrun.communicate()
    same = torchrun.returncode == 0 and results(copy) == expected
    if not same:
        print(said, file=sys.stderr)
    return {"killed": f"rank {rank}", "resumed from step": resumed_from(said), "identical": same}


def main() -> bool:
    """Whether training resumed and ended with the weights, history and metrics of an uninterrupted one."""
    with tempfile.TemporaryDirectory() as folder:
        words = PARAMS | {"runtime.checkpoint_steps": 2 * LOG_STEPS}
        copy = make_checkout(Path(folder) / "copy", num_train=400, num_valid=51, **words)
        done = copy.run(COMMAND)
        assert done.returncode == 0, done.stdout
        expected = results(copy)
        rows = [kill_worker(copy, rank, expected) for rank in KILLED_AT]
    report("elastic", rows, processes=2, steps=STEPS)
    return all(row["identical"] and row["resumed from step"] for row in rows)
