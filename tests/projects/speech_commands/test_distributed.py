"""One and two processes train alike, although recordings are mixed with others that are in no batch of theirs."""

from pathlib import Path

import pytest

from projects.speech_commands import train
from projects.speech_commands.params import Params
from projects.speech_commands.sample import write_sample
from shared.audio import classes
from shared.core.params import load
from shared.core.paths import ROOT
from tests.alike import curves_alike, prepared_sample, train_alone

NAME = Path(__file__).parent.name
WORDS = [
    "fetch.num_train=88",
    "fetch.num_test=22",
    "prepare.valid_fraction=0.2",
    "train.precision=fp64",
    "train.epochs=2.0",
    "train.batch_size=16",
    "train.micro_batch_size=8",
    "train.validate_epochs=1.0",
    "train.mix_share=0.5",
    "train.tilt_db=3.0",
    "train.warp=1.1",
    "train.model.width=4",
    "train.model.dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects" / NAME / "params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_sample(tmp_path_factory.mktemp("root"), NAME, PARAMS, write_sample, classes.prepare)


def test_one_and_two_processes_train_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = curves_alike(__file__, prepared, tmp_path, monkeypatch)
    assert history[-1, 2] < history[0, 2]


if __name__ == "__main__":
    train_alone(train.describe, PARAMS)
