"""One and two processes train alike: gradients of what is computed outside of forward reach both."""

from pathlib import Path

import pytest

from projects.movielens_recommender import prepare, train
from projects.movielens_recommender.params import Params
from projects.movielens_recommender.sample import write_sample
from shared.core.params import load
from shared.core.paths import ROOT, Project
from tests.alike import curves_alike, train_alone

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
    curves_alike(__file__, root / "data/prepared" / NAME, tmp_path, monkeypatch)


if __name__ == "__main__":
    train_alone(train.describe, load(Params, ROOT / "projects" / NAME / "params.yaml", WORDS))
