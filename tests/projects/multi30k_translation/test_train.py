"""The loss of a step: one sum over all target tokens, however the step is cut into micro-batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from projects.multi30k_translation.data import both_lengths, inputs_of, reading
from projects.multi30k_translation.model import Dropout, TransformerTranslator, build_model
from projects.multi30k_translation.params import Model, Params
from projects.multi30k_translation.pieces import BEGIN, END, UNKNOWN, Marks
from projects.multi30k_translation.train import average_last, check_average, make_loss
from shared.core.errors import UserError
from shared.core.params import load
from shared.core.paths import ROOT
from shared.data.batches import Batches, CostBatches, gather
from shared.data.table import Ragged, Table, write_table
from shared.training.distributed import local
from shared.training.step import accumulate, make_scaler, update

PARAMS = Model(
    name="transformer", width=16, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=32, dropout=0.0
)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    rng = np.random.default_rng(0)
    columns = {
        side: Ragged.of([[*rng.integers(4, 20, rng.integers(1, 12)), END] for _ in range(60)], np.int32)
        for side in ("source", "target")
    }
    write_table(tmp_path / "train", columns)
    return Table(tmp_path / "train")


def batches_of(table: Table, micro: int, rate: float) -> Batches:
    plan = CostBatches(both_lengths(table), 300, micro, local())
    augment = reading(Marks(), rate, 1)
    return Batches(gather(table, "source", "target"), plan=plan, seed=0, world=local(), augment=augment)


def curve(table: Table, micro: int) -> list[float]:
    """Losses of 50 steps in float64."""
    torch.manual_seed(0)
    model, losses = TransformerTranslator(PARAMS, 20).double().train(), []
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), make_scaler("fp64", torch.device("cpu"), 1)
    batches = batches_of(table, micro, rate=0.2)
    for step in range(50):
        sums = accumulate(
            model, make_loss(0.1), batches[step], scaler=scaler, precision="fp64", world=local(), seed=step
        )
        losses.append(float(sums.loss) / float(sums.count))
        update(list(model.parameters()), [optimizer], sums.count, scaler=scaler, clip_norm=1.0, world=local())
    return losses


def test_accumulation_gives_the_curve_of_one_big_batch(table: Table) -> None:
    whole, cut = curve(table, 10_000), curve(table, 60)
    assert len(batches_of(table, 60, 0.0)[0]) > 2
    assert np.abs(np.array(whole) - cut).max() < 1e-8
    assert whole[-1] < whole[0]


def test_the_decoder_reads_what_it_is_to_write_one_step_later(table: Table) -> None:
    (batch,) = batches_of(table, 10_000, 0.0)[0]
    target = batch["target"].long()
    assert torch.equal(batch["inputs"], inputs_of(target, BEGIN))
    assert (batch["inputs"][:, 0] == BEGIN).all()
    assert torch.equal(batch["inputs"][:, 1:], target[:, :-1])


def test_a_share_of_the_words_read_becomes_unknown_and_no_end(table: Table) -> None:
    plain, blanked = (batches_of(table, 10_000, rate)[3][0] for rate in (0.0, 0.5))
    for name in ("source", "inputs"):
        changed = plain[name] != blanked[name]
        words = plain[name] > END
        assert 0.3 < changed[words].float().mean() < 0.7
        assert not changed[~words].any()
        assert (blanked[name][changed] == UNKNOWN).all()
    assert torch.equal(plain["target"], blanked["target"])


@pytest.mark.parametrize("stop", [None, 5])
def test_the_result_is_the_mean_of_the_last_checkpoints(stop: int | None) -> None:
    """Of 9 updates, after 3, 6 and 9; a training that is interrupted and resumed has the same."""
    seen, weight = list[float](), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    average_last(optimizer, updates=9, every=3, number=3)
    for number in range(1, 10):
        weight.grad = torch.full((1,), float(number))
        seen.append(weight.item() - number)
        optimizer.step()
        if number == stop:
            state, weight = optimizer.state_dict(), torch.nn.Parameter(weight.detach().clone())
            optimizer = torch.optim.SGD([weight], lr=1.0)
            average_last(optimizer, updates=9, every=3, number=3)
            optimizer.load_state_dict(state)
    assert seen[:8] == [-sum(range(1, count + 1)) for count in range(1, 9)]
    assert weight.item() == pytest.approx((seen[2] + seen[5] + seen[8]) / 3)


def test_fewer_epochs_than_checkpoints_are_averaged_as_they_are() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    average_last(optimizer, updates=3, every=2, number=5)  # after 1 and 3
    for _ in range(3):
        weight.grad = torch.ones(1)
        optimizer.step()
    assert weight.item() == pytest.approx((-1 - 3) / 2)


@pytest.mark.parametrize("word", ["ema_decay=0.9", "precision=fp16", "keep=best", "patience=2"])
def test_what_would_undo_the_mean_is_refused(word: str) -> None:
    path = ROOT / "projects/multi30k_translation/params.yaml"
    check_average(load(Params, path, ["train.average_last=3"]).train)
    with pytest.raises(UserError, match=f"average_last: 3, beside {word.partition('=')[0]}"):
        check_average(load(Params, path, ["train.average_last=3", f"train.{word}"]).train)


def test_heads_that_do_not_divide_the_width_are_named() -> None:
    model = PARAMS.model_dump() | {"num_heads": 3}
    with pytest.raises(UserError, match="3 heads cannot share a vector of 16 equally"):
        build_model({"model": model})


def test_dropout_is_that_of_torch() -> None:
    """The share that becomes zero, and the mean of all; nothing changes where the model is not trained."""
    torch.manual_seed(0)
    vectors = torch.ones(31, 17, 33)
    found = Dropout(0.25)(vectors)
    torch.testing.assert_close(found.unique(), torch.tensor([0.0, 4 / 3]))
    assert abs((found == 0).float().mean() - 0.25) < 0.01
    assert abs((found[:, :-1] * found[:, 1:]).mean() - 1) < 0.05  # neighbours have draws of their own
    assert torch.equal(Dropout(0.25).eval()(vectors), vectors)
    assert torch.equal(Dropout(0.0)(vectors), vectors)
