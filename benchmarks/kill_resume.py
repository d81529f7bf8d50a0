"""Killed at any instant and run again, training ends with the same bytes.

A small cifar_cnn training in a copy of the repo is killed with SIGKILL at random instants, half of them while a
checkpoint is being written, and the same command is given again until it finishes. Then the same with DVC itself
killed: the training it started lives on, and a second one beside it must be refused.
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.table import report
from tests.checkout import PROJECT, Checkout, make_checkout

KILLS = {"stage": 10, "dvc": 10}
WORKERS = 0, 2  # that read ahead
STEPS, LOG_STEPS = 300, 10
PARAMS = {
    "train.model.width": 8,
    "train.epochs": 30.0,  # of 10 steps each
    "train.batch_size": 40,
    "train.micro_batch_size": 20,
    "train.small_px": 16,
    "train.small_epochs": 30.0,
    "runtime.log_steps": LOG_STEPS,
    "runtime.checkpoint_steps": 1,  # about as much time goes into checkpoints as into steps
}
DVC = ["dvc", "repro", "--single-item", f"projects/{PROJECT}/dvc.yaml:train"]


def digest(copy: Checkout) -> str:
    """Of the trained weights."""
    return hashlib.sha256((copy.results / "model.safetensors").read_bytes()).hexdigest()


def forget(copy: Checkout) -> None:
    """As if nothing had been trained here."""
    for folder in (copy.results, copy.root / ".checkpoints", copy.root / ".dvc" / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    (copy.root / "projects" / PROJECT / "dvc.lock").unlink(missing_ok=True)


def resumed_from(said: str) -> int:
    """The step a run says it resumed from; 0: it started anew."""
    found = re.search(r"resumed from step (\d+)", said)
    return int(found[1]) if found else 0


def checkpoints(copy: Checkout) -> Path:
    """The folder of the one configuration that is trained here."""
    return next((copy.root / ".checkpoints" / PROJECT).iterdir())


def read_until(process: subprocess.Popen[str], step: int) -> None:
    """Reads the log up to the line of a step, or the first after it."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        found = re.match(r"step +(\d+)", line)
        if found and int(found[1]) >= step:
            return
    raise AssertionError("the training ended before it was killed:\n" + "".join(lines))


def half_written(folder: Path) -> bool:
    return any(name.endswith(".tmp") for name in os.listdir(folder))


def stop_in_write(process: subprocess.Popen[str], folder: Path) -> None:
    """Stops the process while it writes a checkpoint: looks without a pause, for a write takes a millisecond."""
    while process.poll() is None:
        if half_written(folder):
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)  # a write that was at its end is over by now
            if half_written(folder):
                return
            process.send_signal(signal.SIGCONT)
    raise AssertionError("the training ended before it was killed")


def kill_stage(copy: Checkout, expected: str) -> dict[str, Any]:
    """Kills and resumes the stage, half of the times inside a write. One row of the table."""
    draw = random.Random(0)
    steps, in_writes, identical = [], 0, True
    for number in range(KILLS["stage"]):
        forget(copy)
        process = copy.start(copy.command())
        read_until(process, draw.randrange(LOG_STEPS, STEPS - 2 * LOG_STEPS))
        if number % 2:
            stop_in_write(process, checkpoints(copy))
        else:
            time.sleep(draw.uniform(0, 0.05))  # a few steps
        process.kill()
        process.wait()
        in_writes += half_written(checkpoints(copy))
        step, same = run_again(copy, copy.command(), expected)
        steps.append(step)
        identical &= same
    return {"kills": len(steps), "inside a write": in_writes, "resumed from step": steps, "identical": identical}


def run_again(copy: Checkout, command: list[str], expected: str) -> tuple[int, bool]:
    """The step that the command resumed from, and whether it did and ended with the expected weights."""
    done = copy.run(command)
    step = resumed_from(done.stdout)
    return step, done.returncode == 0 and step > 0 and digest(copy) == expected


def kill_dvc(copy: Checkout, expected: str) -> dict[str, Any]:
    """Kills DVC, asks for a second run beside its child, kills the child, and resumes with the same command."""
    draw = random.Random(1)
    steps, holds = [], True
    for _ in range(KILLS["dvc"]):
        forget(copy)
        dvc = copy.start(DVC)
        read_until(dvc, draw.randrange(LOG_STEPS, STEPS - 2 * LOG_STEPS))
        dvc.kill()
        dvc.wait()
        child = int((checkpoints(copy) / "lock").read_text())
        os.kill(child, signal.SIGSTOP)  # else it would end before the second run has imported torch
        refused = is_refused(copy)
        os.kill(child, signal.SIGKILL)
        step, same = run_again(copy, DVC, expected)
        steps.append(step)
        holds &= refused and same
    return {"kills": len(steps), "inside a write": 0, "resumed from step": steps, "identical": holds}


def is_refused(copy: Checkout) -> bool:
    """Whether the stage and DVC both say that the killed DVC's child is training, the stage with status 2."""
    stage, dvc = copy.run(copy.command()), copy.run(DVC)
    told = all("is training this configuration already" in done.stdout for done in (stage, dvc))
    return told and stage.returncode == 2 and dvc.returncode != 0


def act_on(workers: int) -> list[dict[str, Any]]:
    """The rows of one way to read, in a copy of its own."""
    with tempfile.TemporaryDirectory() as folder:
        values = PARAMS | {"runtime.workers": workers}
        copy = make_checkout(Path(folder) / "copy", num_train=400, num_valid=50, **values)
        copy.train()
        expected = digest(copy)
        targets = {"stage": kill_stage, "dvc": kill_dvc}
        return [{"target": target, "workers": workers} | act(copy, expected) for target, act in targets.items()]


def main() -> bool:
    """Whether every killed training ended with the bytes of an uninterrupted one. A core for each way to read."""
    with ThreadPoolExecutor(len(WORKERS)) as pool:
        rows = [row for rows in pool.map(act_on, WORKERS) for row in rows]
    report("kill_resume", rows, ("torch", "dvc"), steps=STEPS)
    return all(row["identical"] for row in rows)
