"""Where training runs and in which precision."""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from shared.core.errors import UserError

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """ "auto" takes CUDA, then MPS, then the CPU. Raises UserError on a device this machine lacks.

    Args:
        local_rank: number of this process among those of this machine, each of which has a GPU of its own.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(name, False):
        have = ", ".join(key for key, available in here.items() if available)
        raise UserError(f"runtime.device: {name!r} is not on this machine", expected=f"auto, or one of {have}")
    if name == "cuda" and local_rank >= torch.cuda.device_count():
        raise UserError(
            f"runtime.device: cuda, but more processes run here than there are GPUs ({torch.cuda.device_count()})",
            fix="runtime.processes=auto, a smaller --nproc-per-node of torchrun, or runtime.device=cpu",
        )
    return torch.device(name, local_rank) if name == "cuda" else torch.device(name)


def has_bf16_units(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32: a GPU from Ampere on, or a CPU with AMX or AVX512-BF16.

    On a CPU without them it halves the speed (0.53x measured for a CIFAR-10 net).
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def resolve_precision(name: str, device: torch.device) -> str:
    """ "auto" -> "bf16" where the device has units for it, else "fp32"; other names stay."""
    if name == "auto":
        return "bf16" if has_bf16_units(device) else "fp32"
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Autocast for bf16 and fp16, nothing for fp32 and fp64."""
    dtype = AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype) if dtype else nullcontext()  # a disabled one costs 3 us a step


def hardware(device: torch.device) -> dict[str, Any]:
    """Processor, cores and the flags that decide speed and rounding, and the GPU's name where it computed."""
    name, flags = _cpu()
    found = {"cpu": name, "cores": os.cpu_count(), "flags": [flag for flag in CPU_FLAGS if flag in flags]}
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
