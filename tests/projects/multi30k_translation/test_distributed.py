"""One and two processes train alike: the same losses in float64, without dropout."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.multi30k_translation import prepare, train
from projects.multi30k_translation.params import Params
from projects.multi30k_translation.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.prepared import Prepared
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.fit import fit

STEPS = 50
WORDS = [
    "fetch.num_train=200",
    "fetch.num_valid=31",
    "fetch.num_test=10",
    "prepare.num_pieces=150",
    "train.precision=fp64",
    "train.epochs=3.0",
    "train.batch_size=1200",
    "train.micro_batch_size=400",
    "train.validate_epochs=1.0",
    "train.model.width=16",
    "train.model.num_heads=2",
    "train.model.num_encoder_layers=1",
    "train.model.num_decoder_layers=1",
    "train.model.feedforward=32",
    "train.model.dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects/multi30k_translation/params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    write_sample(folder / "raw", PARAMS.fetch)
    prepare.write(folder / "prepared", prepare.read(folder / "raw", PARAMS.prepare), PARAMS.prepare)
    return folder / "prepared"


def curves(prepared: Path, folder: Path, processes: int) -> list[np.ndarray]:
    """The training and validation curves of a run in processes of its own."""
    out = folder / str(processes)
    out.mkdir()
    assert launch("tests.projects.multi30k_translation.test_distributed", [str(prepared), str(out)], processes) == 0
    return [np.loadtxt(out / f"{name}.tsv", skiprows=1) for name in ("history", "validation")]


def test_one_and_two_processes_train_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = (curves(prepared, tmp_path, processes) for processes in (1, 2))
    assert len(one[0]) >= STEPS
    assert one[0][-1, 2] < one[0][0, 2]
    for of_one, of_two in zip(one, two, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=0, atol=1e-8)


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with join(PARAMS.runtime) as world:
        training = train.describe(PARAMS, Prepared(prepared), world)
        run = fit(training, PARAMS.train, PARAMS.runtime, world, Checkpoint(out / "last.pt", world), out)
        if world.is_first:
            run.history.write(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
