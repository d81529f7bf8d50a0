"""Which device and precision a training gets."""

import pytest
import torch

from shared.core.errors import UserError
from shared.training import device
from shared.training.device import pick_device, resolve_precision

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_named_with_those_that_are():
    assert pick_device("cpu") == CPU
    with pytest.raises(UserError, match="'tpu' is not on this machine") as error:
        pick_device("tpu")
    assert "cpu" in str(error.value)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [pick_device("auto", rank) for rank in (0, 1)] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(UserError, match=r"more processes run here than there are GPUs \(2\)"):
        pick_device("auto", 2)


def test_auto_is_bf16_where_there_are_units(monkeypatch):
    for units, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(device, "has_bf16_units", lambda _, units=units: units)
        assert resolve_precision("auto", CPU) == expected
        assert resolve_precision("fp64", CPU) == "fp64"
