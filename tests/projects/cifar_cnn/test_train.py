"""One and two processes train alike: the same batches, losses, metrics and buffers, in real runs of the stage."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.checkout import make_checkout

STEPS = 30
PARAMS = {
    "train.precision": "fp64",
    "train.epochs": 6.0,
    "train.batch_size": 32,
    "train.micro_batch_size": 16,
    "train.model.width": 8,
    "train.small_px": 16,
    "train.small_epochs": 2.0,
    "train.validate_epochs": 2.0,
    "runtime.log_steps": 1,
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("checkout") / "copy", num_train=160, num_valid=51, **PARAMS)


def curves(checkout, processes):
    """history.tsv, validation.tsv and the weights of a run; batch norm groups are micro-batches."""
    checkout.train(f"runtime.processes={processes}")
    tables = [np.loadtxt(checkout.results / name, skiprows=1) for name in ("history.tsv", "validation.tsv")]
    return tables, load_file(checkout.results / "model.safetensors")


def test_one_and_two_processes_train_alike(checkout):
    (one, weights), (two, others) = (curves(checkout, processes) for processes in (1, 2))
    assert (len(one[0]), len(one[1])) == (STEPS, 3)
    for of_one, of_two in zip(one, two, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=0, atol=1e-8)
    for name, weight in weights.items():
        if weight.is_floating_point():  # not batch norm's count of batches: each rank sees its own
            torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-8, msg=name)


def test_a_batch_that_two_processes_cannot_share_is_refused_once(checkout):
    done = checkout.run(checkout.command("runtime.processes=2", "train.batch_size=33"))
    assert done.returncode == 2, done.stdout
    assert done.stdout.count("error: train.batch_size: 33 does not divide among 2 processes") == 1
    assert "Traceback" not in done.stdout
