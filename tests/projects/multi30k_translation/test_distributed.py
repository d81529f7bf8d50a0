"""One and two processes train alike: the same losses in float64, without dropout."""

from pathlib import Path

import pytest

from projects.multi30k_translation import prepare, train
from projects.multi30k_translation.params import Params
from projects.multi30k_translation.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT
from tests.alike import curves_alike, train_alone

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


def test_one_and_two_processes_train_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = curves_alike(__file__, prepared, tmp_path, monkeypatch)
    assert len(history) >= STEPS
    assert history[-1, 2] < history[0, 2]


if __name__ == "__main__":
    train_alone(train.describe, PARAMS)
