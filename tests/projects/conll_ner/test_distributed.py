"""One and two processes train alike: the same losses and F1 in float64, without dropout."""

from pathlib import Path

import pytest

from projects.conll_ner import prepare, train
from projects.conll_ner.params import Params
from projects.conll_ner.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT
from tests.alike import curves_alike, train_alone

STEPS = 30
WORDS = [
    "fetch.num_train=200",
    "fetch.num_valid=31",
    "fetch.num_test=10",
    "train.precision=fp64",
    "train.epochs=3.0",
    "train.batch_size=300",
    "train.micro_batch_size=150",
    "train.validate_epochs=1.0",
    "train.model.word_size=8",
    "train.model.num_filters=4",
    "train.model.hidden_size=8",
    "train.model.word_dropout=0.0",
    "train.model.dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects/conll_ner/params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    write_sample(folder / "raw", PARAMS.fetch)
    prepare.write(folder / "prepared", prepare.read(folder / "raw", PARAMS.prepare), PARAMS.prepare)
    return folder / "prepared"


def test_one_and_two_processes_train_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = curves_alike(__file__, prepared, tmp_path, monkeypatch)
    assert len(history) >= STEPS
    assert history[-1, 2] < history[0, 2] / 2


if __name__ == "__main__":
    train_alone(train.describe, PARAMS)
