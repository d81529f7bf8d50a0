"""One record a sample, in the split's order (two processes: tests/shared/training/test_distributed.py)."""

import numpy as np
import pytest
import torch
from torch import nn

from shared.data.prepared import Prepared, write_prepared
from shared.data.table import Ragged
from shared.evaluation.records import class_validation, collect
from shared.training.distributed import local


def test_records_of_any_shape_come_back_in_order():
    shares = [torch.tensor([3, 0]), torch.tensor([2]), torch.tensor([1, 4])]
    boxes = [torch.full((row, 4), row) for row in range(5)]
    records = collect(lambda index: {"x": index * 2.0, "boxes": [boxes[row] for row in index]}, shares, local())
    assert records["sample"].tolist() == list(range(5))
    assert records["x"].tolist() == [0, 2, 4, 6, 8]
    assert [tuple(boxes.shape) for boxes in records["boxes"]] == [(row, 4) for row in range(5)]
    assert records["boxes"][3].unique().tolist() == [3]
    assert collect(lambda index: {}, [], local()) == {}


def test_a_sample_that_two_batches_hold_is_a_bug():
    with pytest.raises(AssertionError, match="evaluated twice"):
        collect(lambda index: {"x": index}, [torch.tensor([0, 1]), torch.tensor([1])], local())


@pytest.mark.parametrize("cost", ["", "x"])
def test_a_mean_is_over_samples_however_batches_are_cut(tmp_path, cost):
    draws = torch.Generator().manual_seed(0)
    x, label = torch.randn(10, 3, generator=draws), torch.randint(3, (10,), generator=draws)
    columns = {"x": Ragged.of(list(x.numpy()), np.float32) if cost else x.numpy(), "label": label.numpy()}
    write_prepared(tmp_path / "data", {"valid": columns}, {})
    validation = class_validation(
        Prepared(tmp_path / "data"), ["x"], local(), lambda model, batch: model(batch["x"]), batch_size=4, cost=cost
    )
    found = validation.measure(nn.Identity())
    assert tuple(found) == validation.metrics == ("valid_loss", "valid_accuracy")
    assert found["valid_loss"] == pytest.approx(nn.functional.cross_entropy(x, label).item(), rel=1e-6)
    assert found["valid_accuracy"] == (x.argmax(1) == label).double().mean().item()


def test_no_validation_split_is_no_validation(tmp_path):
    write_prepared(tmp_path / "data", {"train": {"label": np.zeros(3, np.int64)}}, {})
    assert class_validation(Prepared(tmp_path / "data"), [], local(), lambda *_: torch.zeros(0), batch_size=4) is None
