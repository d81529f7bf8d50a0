"""One and two processes play alike: the same losses of both networks in float64, and the same weights."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from projects.fashion_gan import train
from projects.fashion_gan.params import Params
from shared.core.paths import ROOT
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.weights import save_model

from . import tiny

STEPS = 50
GAMES = {
    "batch norm": {
        "model__normalise": "batch",
        "loss": "non_saturating",
        "augment": "[colour, translation, cutout]",
        "penalty": "r1",
        "penalty_steps": 3,
    },
    "spectral": {
        "model__name": "residual",
        "model__normalise": "spectral",
        "loss": "wasserstein",
        "penalty": "interpolates",
        "penalty_steps": 1,
        "discriminator_steps": 2,
        "epochs": 20.0,
    },
}


def chosen(game: str) -> Params:
    return tiny.params(precision="fp64", micro_batch_size=2, **GAMES[game])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.prepare(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("game", GAMES)
def test_one_and_two_processes_play_alike(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, game: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    curves, weights = [], []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        assert launch("tests.projects.fashion_gan.test_distributed", [str(prepared), str(out), game], processes) == 0
        curves.append(np.loadtxt(out / "history.tsv", skiprows=1))
        weights.append(load_file(out / "model.safetensors"))
    assert len(curves[0]) == STEPS
    assert np.ptp(curves[0][:, 2]) > 0.1
    np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=1e-8)
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-7, msg=name)


def main(prepared: Path, out: Path, game: str) -> None:
    torch.set_default_dtype(torch.float64)
    params = chosen(game)
    with join(params.runtime) as world:
        trained, config = train.train(params, prepared, Checkpoint(out / "last.pt", world), world, out / "samples")
        if world.is_first:
            trained.history.write(out)
            save_model(out, trained.model, config)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
