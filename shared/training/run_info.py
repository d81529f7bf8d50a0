"""With what a result was obtained: machine, versions, precision, time."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from shared.training.device import resolve_precision
from shared.training.distributed import World

PACKAGES = ("torch", "torchvision", "transformers", "numpy", "captum", "dvc")
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # those that decide speed and rounding


def run_info(world: World, precision: str, seconds: float, steps: int) -> dict[str, Any]:
    """Plain values for results/train/run.json, on which no stage depends: times differ from run to run."""
    return {
        "seconds": round(seconds, 1),
        "steps": steps,
        "processes": world.size,
        "precision": resolve_precision(precision, world.device),
        "hardware": hardware(world.device),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """Processor, cores and their flags, and the GPU's name where it computed."""
    name, flags = _cpu()
    found: dict[str, Any] = {
        "cpu": name,
        "cores": os.cpu_count(),
        "flags": [flag for flag in CPU_FLAGS if flag in flags],
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _cpu() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), set()
    entries = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    entries = {key.strip(): value.strip() for key, value in entries.items()}
    return entries.get("model name", platform.machine()), set(entries.get("flags", "").split())
