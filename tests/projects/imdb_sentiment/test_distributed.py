"""One and two processes train alike: the same losses and metrics in float64, without dropout."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.imdb_sentiment import prepare, train
from projects.imdb_sentiment.params import Params
from projects.imdb_sentiment.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT
from shared.text import classes as text_classes
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch

STEPS = 50
WORDS = [
    "fetch.num_train=300",
    "fetch.num_test=20",
    "train.precision=fp64",
    "train.epochs=3.0",
    "train.batch_size=512",
    "train.micro_batch_size=256",
    "train.validate_epochs=1.0",
    "train.model.width=8",
    "train.model.hidden=8",
    "train.model.dropout=0.0",
    "train.model.buckets=512",
    "train.model.word_dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]


def params(model: str) -> Params:
    return load(Params, ROOT / "projects/imdb_sentiment/params.yaml", [*WORDS, f"train.model.name={model}"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chosen = tmp_path_factory.mktemp("data"), params("bilstm")
    write_sample(folder / "raw", chosen.fetch)
    text_classes.write(folder / "prepared", prepare.read(folder / "raw", chosen.prepare), chosen.prepare)
    return folder / "prepared"


def rows(prepared: Path, folder: Path, model: str, processes: int) -> list[np.ndarray]:
    """The training and validation curves of a run in processes of its own."""
    out = folder / f"{model}{processes}"
    out.mkdir()
    name = "tests.projects.imdb_sentiment.test_distributed"
    assert launch(name, [str(prepared), str(out), model], processes) == 0
    return [np.loadtxt(out / f"{name}.tsv", skiprows=1) for name in ("history", "validation")]


@pytest.mark.parametrize("model", ["bilstm", "cnn"])
def test_one_and_two_processes_train_alike(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = (rows(prepared, tmp_path, model, processes) for processes in (1, 2))
    assert len(one[0]) >= STEPS
    assert one[0][-1, 2] != one[0][0, 2]
    for of_one, of_two in zip(one, two, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=0, atol=1e-8)


def main(prepared: Path, out: Path, model: str) -> None:
    torch.set_default_dtype(torch.float64)
    chosen = params(model)
    with join(chosen.runtime) as world:
        run, config = train.train(chosen, prepared, Checkpoint(out / "last.pt", world), world)
        if world.is_first:
            run.history.write(out)
            (out / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
