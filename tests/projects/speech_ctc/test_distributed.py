"""One and two processes train alike, although they share utterances of different lengths.

But for batch norm, whose statistics are those of each process's part of a batch: here it scales and shifts alone.
"""

from pathlib import Path

import pytest
from torch import Tensor

from projects.speech_ctc import prepare, train
from projects.speech_ctc.params import Params
from projects.speech_ctc.sample import write_sample
from shared.audio.layers import FrameNorm
from shared.core.params import load
from shared.core.paths import ROOT
from tests.alike import curves_alike, prepared_sample, train_alone

NAME = Path(__file__).parent.name
WORDS = [
    "fetch.num_train=60",
    "fetch.num_test=10",
    "prepare.valid_fraction=0.2",
    "train.precision=fp64",
    "train.epochs=1.0",
    "train.batch_size=800",
    "train.micro_batch_size=800",
    "train.validate_epochs=1.0",
    "train.model.width=4",
    "train.model.hidden_size=8",
    "train.model.dropout=0.0",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects" / NAME / "params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_sample(tmp_path_factory.mktemp("root"), NAME, PARAMS, write_sample, prepare.prepare)


def test_one_and_two_processes_train_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = curves_alike(__file__, prepared, tmp_path, monkeypatch)
    assert history[:, 2].min() < history[0, 2]


def without_statistics(self: FrameNorm, maps: Tensor, frames: Tensor) -> Tensor:
    scale, shift = (weight[:, None, None] for weight in (self.norm.weight, self.norm.bias))
    return (maps * scale + shift) * frames[:, None, None]


if __name__ == "__main__":
    FrameNorm.forward = without_statistics  # type: ignore[method-assign]
    train_alone(train.describe, PARAMS)
