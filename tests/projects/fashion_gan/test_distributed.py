"""One and two processes train alike: the same losses of both networks in float64, and the same weights."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.core.paths import ROOT
from shared.data.prepared import Prepared
from shared.training.distributed import join, launch
from shared.training.weights import save_model

from . import tiny

CHOSEN = tiny.params(precision="fp64", micro_batch_size=2, translation=0.125, r1_steps=3)
STEPS = 50


def test_one_and_two_processes_train_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    prepared, curves, weights = tiny.prepare(tmp_path), [], []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        words = [str(prepared.folder), str(out)]
        assert launch("tests.projects.fashion_gan.test_distributed", words, processes) == 0
        curves.append(np.loadtxt(out / "history.tsv", skiprows=1))
        weights.append(load_file(out / "model.safetensors"))
    assert len(curves[0]) == STEPS
    assert np.ptp(curves[0][:, 2]) > 0.1
    np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=1e-8)
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-7, msg=name)


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with join(CHOSEN.runtime) as world:
        done = tiny.run(Prepared(prepared), out, CHOSEN, world=world)
        if world.is_first:
            done.history.write(out)
            save_model(out, done.model, {})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
