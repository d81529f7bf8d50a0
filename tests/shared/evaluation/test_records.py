"""One record a sample, in the split's order (two processes: tests/shared/training/test_distributed.py)."""

import pytest
import torch
from torch import nn

from shared.data.batches import even_shares
from shared.evaluation.records import CLASS_METRICS, class_metrics, collect, mean_validation
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


def test_a_mean_is_over_samples_however_batches_are_cut():
    draws = torch.Generator().manual_seed(0)
    x, label = torch.randn(10, 3, generator=draws), torch.randint(3, (10,), generator=draws)

    def read(index):
        return {"x": x[index], "label": label[index]}

    validation = mean_validation(
        lambda model, batch: class_metrics(model(batch["x"]), batch["label"]), CLASS_METRICS, read,
        even_shares(10, 4, local()), local()
    )  # fmt: skip
    found = validation.measure(nn.Identity())
    assert tuple(found) == validation.metrics == ("valid_loss", "valid_accuracy")
    assert found["valid_loss"] == pytest.approx(nn.functional.cross_entropy(x, label).item(), rel=1e-6)
    assert found["valid_accuracy"] == (x.argmax(1) == label).double().mean().item()
