"""Recordings for tests: tones whose frequency is the class."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from shared.audio.params import PrepareSounds

PARAMS = PrepareSounds(
    rate_hz=8000, max_seconds=1.0, seed=0, path_column="path", label_column="label", speaker_column="speaker",
    speaker_pattern="", valid_fraction=0.0, test_fraction=0.25,
)  # fmt: skip


def tone(hz: float, seconds: float, rate_hz: int, level: float = 0.3) -> np.ndarray[Any, Any]:
    """(L,) float64."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def write_tone(path: Path, hz: float = 440.0, seconds: float = 0.5, rate_hz: int = 8000, **form: Any) -> None:
    """A WAV, FLAC or OGG file, by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(hz, seconds, rate_hz), rate_hz, **form)


def write_folder(root: Path, names: tuple[str, ...] = ("high", "low"), number: int = 8) -> None:
    """<class>/<speaker>_<number>.wav of two speakers, no two alike."""
    for place, name in enumerate(names):
        for one in range(number):
            write_tone(root / name / f"s{one % 4}_{one}.wav", 300 * (place + 1) + one)


def padded_noise(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, L) float noise of these lengths, 0 behind them, and its mask."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1)) * mask, mask


def as_if_trained(model: torch.nn.Module) -> None:
    """Gives batch norm statistics and shifts that are not those it begins with, and sets the model to eval mode."""
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.bias.data.normal_()
    model.eval()
