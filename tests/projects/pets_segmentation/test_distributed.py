"""One and two processes train and measure alike, also where they cannot share the images evenly, or one has none."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.pets_segmentation import evaluate, prepare, train
from projects.pets_segmentation.params import Params
from projects.pets_segmentation.sample import write_sample
from projects.pets_segmentation.tiles import count_images
from shared.core.params import load
from shared.core.paths import ROOT, Project
from shared.data.batches import even_shares
from shared.data.prepared import Prepared, write_prepared
from shared.evaluation.records import collect
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.fit import fit
from shared.training.stage import Trained

WORDS = [
    "fetch.num_train=19",
    "fetch.num_test=5",
    "prepare.height=64",
    "prepare.width=64",
    "prepare.valid_fraction=0.17",
    "train.precision=fp64",
    "train.epochs=2.0",
    "train.batch_size=8",
    "train.micro_batch_size=4",
    "train.validate_epochs=1.0",
    "train.crop_height=32",
    "train.crop_width=32",
    "train.model.width=4",
    "train.model.depth=2",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects" / Path(__file__).parent.name / "params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    assert PARAMS.fetch
    write_sample(folder / "raw", PARAMS.fetch)
    found, pictures = prepare.read(folder / "raw", PARAMS.prepare)
    splits = prepare.tables(found, pictures, PARAMS.prepare)
    manifest = prepare.manifest_of(found, splits, PARAMS.prepare, "sample")
    write_prepared(folder / "prepared", splits, manifest)
    return folder / "prepared"


def run(prepared: Path, folder: Path, processes: int) -> tuple[list[np.ndarray], dict[str, list[int]]]:
    """The curves of a training, and the confusion of all and of one test image, in processes of its own."""
    out = folder / str(processes)
    out.mkdir()
    module = f"tests.projects.{Path(__file__).parent.name}.test_distributed"
    assert launch(module, [str(prepared), str(out)], processes) == 0
    curves = [np.loadtxt(out / f"{name}.tsv", skiprows=1) for name in ("history", "validation")]
    return curves, json.loads((out / "confusions.json").read_text())


def test_one_and_two_processes_are_alike(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (one, confusions), (two, others) = (run(prepared, tmp_path, processes) for processes in (1, 2))
    for of_one, of_two in zip(one, two, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=0, atol=1e-8)
    assert others == confusions
    assert np.sum(confusions["all"]) == 5 * 96 * 128
    assert np.sum(confusions["one"]) == 96 * 128


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with join(PARAMS.runtime) as world:
        data = Prepared(prepared)
        training = train.describe(PARAMS, data, world)
        done = fit(training, PARAMS.train, PARAMS.runtime, world, Checkpoint(out / "last.pt", world), out)
        project = Project(Path(__file__).parent.name)
        trained = Trained(project, PARAMS, done.model, dict(training.config), data, world)
        test = data.table("test")
        found = {}
        for name, number in (("all", count_images(test)), ("one", 1)):
            shares = even_shares(number, 1, world)
            records = collect(lambda index: evaluate.records_of(trained, test, index), shares, world)
            if world.is_first:
                found[name] = records["confusion"].sum(0).tolist()
        if world.is_first:
            done.history.write(out)
            (out / "confusions.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
