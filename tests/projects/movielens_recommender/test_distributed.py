"""One and two processes train alike: gradients of what is computed outside of forward reach both."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.movielens_recommender import prepare, train
from projects.movielens_recommender.params import Params
from projects.movielens_recommender.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT, Project
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.fit import fit

NAME = Path(__file__).parent.name
WORDS = [
    "fetch.num_users=60",
    "fetch.num_items=80",
    "train.precision=fp64",
    "train.epochs=3.0",
    "train.batch_size=16",
    "train.micro_batch_size=4",
    "train.validate_epochs=1.0",
    "train.model.size=8",
    "train.model.dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.core.paths.ROOT", root)
        params, project = load(Params, ROOT / "projects" / NAME / "params.yaml", WORDS), Project(NAME)
        assert params.fetch
        write_sample(project.raw, params.fetch)
        prepare.write(project, *prepare.read(project.raw, params.prepare), params.prepare)
    return root


def test_one_and_two_processes_are_alike(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    curves = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        words = [str(root / "data/prepared" / NAME), str(out)]
        assert launch(f"tests.projects.{NAME}.test_distributed", words, processes) == 0
        curves.append([np.loadtxt(out / f"{name}.tsv", skiprows=1) for name in ("history", "validation")])
    for one, two in zip(*curves, strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-8)


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    params = load(Params, ROOT / "projects" / NAME / "params.yaml", WORDS)
    with join(params.runtime) as world:
        training = train.describe(params, Prepared(prepared), world)
        done = fit(training, params.train, params.runtime, world, Checkpoint(out / "last.pt", world), out)
        if world.is_first:
            done.history.write(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
