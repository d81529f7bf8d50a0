"""One and two processes train alike and find the same AP, also where a process has no image to validate."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from projects.voc_detection import train
from projects.voc_detection.detections import record, truth_of
from projects.voc_detection.params import Params
from projects.voc_detection.prepare import columns_of, read_data
from projects.voc_detection.sample import write_sample
from projects.voc_detection.scores import average_precision, match
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.batches import even_shares
from shared.data.prepared import Prepared, write_prepared
from shared.data.table import select
from shared.evaluation.records import collect
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import join, launch
from shared.training.fit import fit

WORDS = [
    "fetch.num_train=24",
    "fetch.num_valid=11",
    "fetch.num_test=10",
    "prepare.width_px=64",
    "prepare.height_px=64",
    "train.precision=fp64",
    "train.epochs=2.0",
    "train.batch_size=8",
    "train.micro_batch_size=4",
    "train.validate_epochs=1.0",
    "train.mosaic=0.5",
    "train.model.width=8",
    "runtime.device=cpu",
    "runtime.log_steps=1",
]
PARAMS = load(Params, ROOT / "projects/voc_detection/params.yaml", WORDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    assert PARAMS.fetch is not None
    write_sample(folder / "raw", PARAMS.fetch)
    found, read, _ = read_data(folder / "raw", PARAMS.prepare)
    columns, split = columns_of(found, read), np.array([picture.split for picture in found.pictures])
    splits = {name: select(columns, np.flatnonzero(split == name)) for name in ("train", "valid")}
    splits["test"] = select(columns, np.flatnonzero(split == "test")[:1])  # fewer than there are processes
    manifest = {"source": "sample", "classes": found.classes, "width_px": 64, "height_px": 64, "ground": 114,
                "white": 65535.0}  # fmt: skip
    write_prepared(folder / "prepared", splits, manifest)
    return folder / "prepared"


def left_by(prepared: Path, folder: Path, processes: int) -> dict[str, Any]:
    out = folder / str(processes)
    out.mkdir()
    assert launch("tests.projects.voc_detection.test_distributed", [str(prepared), str(out)], processes) == 0
    found: dict[str, Any] = json.loads((out / "found.json").read_text())
    return found


def test_one_and_two_processes_train_and_measure_alike(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = (left_by(prepared, tmp_path, processes) for processes in (1, 2))
    assert len(one["loss"]) == 6
    for key in ("loss", "valid", "ap"):
        np.testing.assert_allclose(two[key], one[key], rtol=0, atol=1e-8)
    assert one["images"] == two["images"] == [11, 1], "every image once"


def main(prepared: Path, out: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with join(PARAMS.runtime) as world:
        data = Prepared(prepared)
        training = train.describe(PARAMS, data, world)
        run = fit(training, PARAMS.train, PARAMS.runtime, world, Checkpoint(out / "checkpoint.pt", world), out)
        model, scores, images = run.result.eval(), [], []
        for split in ("valid", "test"):
            table = data.table(split)
            records = collect(record(model, table, world, 100, 0.6), even_shares(len(table), 4, world), world)
            if world.is_first:
                images.append(len(records["sample"]))
                found = average_precision(match(records, truth_of(table), 4))
                scores += [found.at(0.5), found.mean]
        if world.is_first:
            rows = {"loss": [row["train_loss"] for row in run.history.train], "ap": scores, "images": images,
                    "valid": [row["valid_ap_score"] for row in run.history.validation]}  # fmt: skip
            (out / "found.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
