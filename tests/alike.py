"""One and two processes train alike: the same losses in float64, without dropout.

A test module calls `curves_alike` in its test, and `train_alone` where it is run as a program:

    python -m tests.projects.<name>.test_distributed <prepared data> <folder of the curves>
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.core.paths import ROOT, Project
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, join, launch
from shared.training.fit import Training, fit


def curves_alike(
    file: str, prepared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation curve of one process, after two processes have given the same.

    Args:
        file: __file__ of the test module.
    """
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    module = ".".join(Path(file).relative_to(ROOT).with_suffix("").parts)
    found = []
    for processes in (1, 2):
        out = folder / str(processes)
        out.mkdir()
        assert launch(module, [str(prepared), str(out)], processes) == 0
        found.append([np.loadtxt(out / f"{name}.tsv", skiprows=1) for name in ("history", "validation")])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-8)
    history, validation = found[0]
    return history, validation


def prepared_sample(root: Path, name: str, params: Any, write_sample: Any, prepare: Any) -> Path:
    """The prepared sample of a project whose prepare takes the project and its section, below `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.core.paths.ROOT", root)
        project = Project(name)
        project.raw.mkdir(parents=True)
        write_sample(project.raw, params.fetch)
        prepare(project, params.prepare)
        return project.prepared


def train_alone(describe: Callable[[Any, Prepared, World], Training], params: Any) -> None:
    """What each process runs: the project's own training, whose curves the first one leaves."""
    prepared, out = map(Path, sys.argv[1:3])
    torch.set_default_dtype(torch.float64)
    with join(params.runtime) as world:
        training = describe(params, Prepared(prepared), world)
        done = fit(training, params.train, params.runtime, world, Checkpoint(out / "last.pt", world), out)
        if world.is_first:
            done.history.write(out)
