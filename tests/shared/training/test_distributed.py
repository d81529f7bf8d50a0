"""One and two processes, as real runs of the train stage: the same batches, losses, metrics and buffers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from shared.core.paths import ROOT
from shared.training.distributed import average_buffers, gather_records, join, launch, local
from shared.training.step import share_batch_norm_momentum
from tests.checkout import make_checkout
from tests.shared.training.tiny import RUNTIME

STEPS, SAMPLES = 100, 7
PARAMS = {
    "train.precision": "fp64",
    "train.epochs": 10.0,
    "train.batch_size": 32,
    "train.model.width": 8,
    "train.small_px": 24,  # all along: half of the time
    "train.small_epochs": 10.0,
    "train.validate_epochs": 5.0,
    "runtime.log_steps": 1,
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("checkout") / "copy", num_train=320, num_valid=51, **PARAMS)


def curves(checkout, processes, micro_batch_size):
    """history.tsv, validation.tsv and the weights of a run; batch norm groups are micro-batches."""
    checkout.train(f"runtime.processes={processes}", f"train.micro_batch_size={micro_batch_size}")
    tables = [np.loadtxt(checkout.results / name, skiprows=1) for name in ("history.tsv", "validation.tsv")]
    return *tables, load_file(checkout.results / "model.safetensors")


@pytest.mark.parametrize("micro_batch_size", [16, 8], ids=["2 of 1 against 1 of 2", "2 of 2 against 1 of 4"])
def test_one_and_two_processes_train_alike(checkout, micro_batch_size):
    one, two = (curves(checkout, processes, micro_batch_size) for processes in (1, 2))
    assert len(one[0]) == STEPS
    for table_of_one, table_of_two in zip(one[:2], two[:2], strict=True):
        np.testing.assert_allclose(table_of_two, table_of_one, rtol=0, atol=1e-8)
    for name, weight in one[2].items():
        if weight.is_floating_point():  # not batch norm's count of batches: each rank sees its own
            torch.testing.assert_close(two[2][name], weight, rtol=0, atol=1e-8, msg=name)


def test_an_error_for_the_user_is_printed_once_and_exits_2(checkout):
    done = checkout.run(checkout.command("runtime.processes=2", "train.batch_size=33"))
    assert done.returncode == 2, done.stdout
    assert done.stdout.count("error:") == 1
    assert "Traceback" not in done.stdout


def shares_of(size):
    """Uneven: what the ranks of a world of this size hold of SAMPLES samples."""
    return [list(range(SAMPLES))] if size == 1 else [[6, 1, 3, 0, 4], [5, 2]]


def visit(world):
    """What each rank holds after a gathering of uneven shares and an averaging of buffers."""
    sample = torch.tensor(shares_of(world.size)[world.rank])
    records = gather_records({"sample": sample, "score": sample.double() ** 2}, world)
    norm = nn.BatchNorm1d(3, momentum=0.5).double()
    groups = torch.randn(2, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mine = groups[world.rank :: world.size]
    for index, group in enumerate(mine):
        share_batch_norm_momentum(norm, index, len(mine))
        norm(group)
    average_buffers(norm, world)
    return {"score": records["score"], "sample": records["sample"], "mean": norm.running_mean, "var": norm.running_var}


def test_all_ranks_hold_every_record_once_and_the_same_buffers(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert launch("tests.shared.training.test_distributed", [str(tmp_path)], 2) == 0
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    expected = visit(local())
    for name, value in expected.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=0, atol=1e-12, msg=name)


if __name__ == "__main__":
    with join(RUNTIME) as world:
        torch.save(visit(world), Path(sys.argv[1]) / f"{world.rank}.pt")
