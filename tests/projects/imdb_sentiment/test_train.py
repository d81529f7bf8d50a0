"""One and two processes train alike: the same losses and metrics in float64, without dropout."""

import sys
from pathlib import Path

import numpy as np
import pytest

from projects.imdb_sentiment import prepare, train
from projects.imdb_sentiment.params import Params
from projects.imdb_sentiment.sample import write_sample
from shared.core import paths
from shared.core.params import load
from shared.core.paths import ROOT, Project
from shared.training.distributed import launch
from shared.training.stage import train_stage
from tests.empty_root import checkout

__all__ = ["checkout"]

FILE = str(ROOT / "projects/imdb_sentiment/train.py")
WORDS = [
    "fetch.num_train=300", "fetch.num_test=20", "prepare.max_tokens=60", "train.precision=fp64", "train.epochs=3.0",
    "train.batch_size=512", "train.micro_batch_size=256", "train.model.width=8", "train.model.hidden=8",
    "train.model.dropout=0.0", "train.model.word_dropout=0.0", "runtime.device=cpu", "runtime.log_steps=1",
]  # fmt: skip


@pytest.fixture
def prepared(checkout: Path) -> Path:
    """A checkout with a small sample, prepared."""
    params, project = load(Params, Path(FILE).with_name("params.yaml"), WORDS), Project.of(FILE)
    write_sample(project.raw, params.fetch)
    prepare.main(params)
    project.folder.mkdir(parents=True)
    (project.folder / "dvc.yaml").write_bytes(Path(FILE).with_name("dvc.yaml").read_bytes())
    return checkout


def curves(root: Path, processes: int) -> list[np.ndarray]:
    """The training and validation curves of a run in processes of its own."""
    assert launch("tests.projects.imdb_sentiment.test_train", [str(root)], processes) == 0
    results = root / "projects/imdb_sentiment/results/train"
    return [np.loadtxt(results / name, skiprows=1) for name in ("history.tsv", "validation.tsv")]


def test_one_and_two_processes_train_alike(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = (curves(prepared, processes) for processes in (1, 2))
    assert len(one[0]) >= 30
    assert one[0][-1, 2] != one[0][0, 2]
    for of_one, of_two in zip(one, two, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=0, atol=1e-8)


if __name__ == "__main__":
    paths.ROOT = Path(sys.argv[1])
    train_stage(train.describe, Params, FILE, words=WORDS)
