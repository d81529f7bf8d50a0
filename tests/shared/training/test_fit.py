"""The loop: resumes bit by bit, refuses early what would fail late, keeps what is best."""

import errno
import math
import os
import signal
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from shared.core.errors import Stopped, UserError
from shared.training import checkpoint, fit
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local
from shared.training.fit import Validation
from tests.shared.training.tiny import (
    FEATURES,
    PARAMS,
    RUNTIME,
    SIZE,
    Data,
    Killed,
    describe,
    loss,
    net,
    train,
    weights,
)

STEPS_AN_EPOCH = SIZE // PARAMS.batch_size


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


def changed(**changes):
    return PARAMS.model_copy(update=changes)


# --- resuming -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("die_at", "workers"), [(0, 0), (1, 0), (4, 0), (11, 0), (12, 0), (13, 2), (23, 0)])
def test_killed_and_run_again_ends_with_the_same_bits(tmp_path, uninterrupted, die_at, workers):
    with pytest.raises(Killed):
        train(tmp_path, die_at=die_at, workers=workers)
    resumed = train(tmp_path, workers=workers)
    assert torch.equal(weights(resumed.model), weights(uninterrupted.model))
    assert resumed.history.train == uninterrupted.history.train
    assert resumed.history.validation == uninterrupted.history.validation


@pytest.mark.parametrize(
    ("number", "at", "workers"), [("SIGINT", 0, 0), ("SIGTERM", 4, 2), ("SIGHUP", 13, 0), ("SIGINT", 23, 0)]
)
def test_a_signal_keeps_the_step_and_the_next_run_ends_with_the_same_bits(tmp_path, uninterrupted, number, at, workers):
    number, kept = getattr(signal, number), Checkpoint(tmp_path / "last.pt", local(), "make repro")
    die = partial(os.kill, os.getpid(), number)
    with kept.listening(), pytest.raises(Stopped) as stopped:
        train(tmp_path, die_at=at, die=die, checkpoint=kept, workers=workers)
    assert stopped.value.signal == number
    assert f"step {at + 1} is kept in " in stopped.value.what
    assert "to do: make repro (goes on from there)" in stopped.value.what
    resumed = train(tmp_path, die_at=at, workers=workers)  # which would be killed in this step
    assert torch.equal(weights(resumed.model), weights(uninterrupted.model))
    assert resumed.history.train == uninterrupted.history.train
    assert resumed.history.validation == uninterrupted.history.validation


def test_when_checkpoints_are_made_changes_no_bit_of_weights_or_rows(tmp_path, monkeypatch):
    double = torch.float64
    params, rare = changed(precision="fp64"), RUNTIME.model_copy(update={"checkpoint_steps": 1000})
    runs = []
    for seconds in (1000.0, 0.0):
        monkeypatch.setattr(checkpoint, "EVERY_S", seconds)
        monkeypatch.setattr(checkpoint, "LEAST_RATIO", 0.0)
        folder = tmp_path / str(seconds)
        if not seconds:
            with pytest.raises(Killed):
                train(folder, describe(params, net(dtype=double), Data(double)), params=params, runtime=rare, die_at=13)
            assert torch.load(folder / "last.pt", weights_only=True)["progress"]["step"] == 13
        runs.append(train(folder, describe(params, net(dtype=double), Data(double)), params=params, runtime=rare))
    assert torch.equal(weights(runs[0].model), weights(runs[1].model))
    assert runs[0].history.train == runs[1].history.train


def test_death_inside_a_checkpoint_write_leaves_the_one_before(tmp_path, uninterrupted, monkeypatch):
    fsync, calls = os.fsync, []

    def die_in_third(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise Killed
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", die_in_third)
    with pytest.raises(Killed):
        train(tmp_path)
    monkeypatch.undo()
    assert torch.load(tmp_path / "last.pt", weights_only=True)["progress"]["step"] == 6
    assert torch.equal(weights(train(tmp_path).model), weights(uninterrupted.model))


def test_a_full_disk_is_named_and_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"last\.pt: cannot be written: No space left"):
        train(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- what is kept -------------------------------------------------------------------------------------------------


def test_it_learns_and_keeps_the_weights_of_the_best_validation(uninterrupted):
    losses, data = [row["valid_loss"] for row in uninterrupted.history.validation], Data()
    assert min(losses) < 0.8 * losses[0]
    assert F.cross_entropy(uninterrupted.model(data.x), data.y).item() == min(losses)


def scripted(values, name="valid_loss"):
    """A validation that measures these values, one after the other."""
    found = iter(values)
    return Validation((name,), lambda model: {name: next(found)})


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("valid_loss", [0.5, float("nan"), 0.4, 0.6], 3),
        ("valid_loss", [float("nan"), 0.7, 0.8, 0.9], 2),
        ("valid_accuracy", [float("nan"), 0.7, 0.8, float("nan")], 3),
        ("valid_error_rate", [0.10, 0.50, 0.30, 0.20], 1),
    ],
)
def test_the_best_is_told_by_the_metrics_name_and_never_a_nan(tmp_path, name, values, best):
    seen = []
    validation = Validation((name,), lambda model: seen.append(weights(model)) or {name: values[len(seen) - 1]})
    run = train(tmp_path, params=changed(monitor=name), validation=validation)
    assert torch.equal(weights(run.model), seen[best - 1])
    assert abs(run.progress.best) == values[best - 1]


def test_patience_stops_early_keeps_its_last_interval_and_stays_stopped(tmp_path):
    params = changed(patience=2, epochs=400.0)
    runtime = RUNTIME.model_copy(update={"log_steps": 7})
    values = [0.5, 0.4, float("nan"), 0.6, 0.1]
    first = train(tmp_path, params=params, runtime=runtime, validation=scripted(values))
    assert first.progress.step == 4 * STEPS_AN_EPOCH == 24
    assert [row["step"] for row in first.history.train] == [7, 14, 21, 24]
    again = train(tmp_path, params=params, runtime=runtime, validation=scripted([]))
    assert (again.progress.step, again.history.train) == (24, first.history.train)


@pytest.mark.parametrize(
    ("feature", "label"),
    [
        (lambda x: x * 0 + 7, lambda y: y),  # constant inputs
        (lambda x: x * 0, lambda y: y * 0),  # nothing to learn from, nothing to learn
        (lambda x: x, lambda y: y * 0 + 2),  # one class
        (lambda x: x, lambda y: (torch.arange(len(y)) == 5).long()),  # one sample of a class
        (lambda x: torch.where(torch.arange(FEATURES) == 1, 1e4, x), lambda y: y),  # one constant feature, large
    ],
)
def test_data_without_variation_train_to_finite_figures(tmp_path, feature, label):
    data = Data()
    data.x, data.y = feature(data.x), label(data.y)
    run = train(tmp_path, describe(data=data))
    assert torch.isfinite(weights(run.model)).all()
    assert all(math.isfinite(value) for row in run.history.train + run.history.validation for value in row.values())


# --- refused before the first step --------------------------------------------------------------------------------


class WithLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.LSTM(2, 2))


@pytest.mark.parametrize(
    ("params", "changes", "says"),
    [
        ({"monitor": "valid_f1"}, {}, "train.monitor: no metric 'valid_f1'\n  expected: one of valid_loss"),
        ({"monitor": "perplexity"}, {"validation": Validation(("perplexity",), lambda model: {})}, "metric perplexity"),
        ({"patience": 3, "keep": "last"}, {"validation": None}, "train.patience: 3, but there is no validation split"),
        ({"keep": "best"}, {"validation": None}, "train.keep: best, but there is no validation split"),
        ({"precision": "bf16"}, {"model": WithLSTM()}, "train.precision: bf16, but this CPU has no bf16 units"),
    ],
)
def test_what_would_fail_late_is_refused_before_the_first_step(tmp_path, monkeypatch, params, changes, says):
    monkeypatch.setattr(fit, "has_bf16_units", lambda device: False)
    with pytest.raises(UserError) as error:
        train(tmp_path, params=changed(**params), die_at=0, **changes)
    assert says in str(error.value)


def test_bf16_is_fine_where_nothing_is_recurrent(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "has_bf16_units", lambda device: False)
    run = train(tmp_path, params=changed(precision="bf16", epochs=1.0))
    assert run.model[0].weight.dtype == torch.float32


# --- the loss -----------------------------------------------------------------------------------------------------


def test_a_nan_names_the_step_and_the_sample(tmp_path):
    data = Data()
    data.x[17, 2] = float("nan")
    batches = describe(data=data).batches
    first = next(step for step in range(STEPS_AN_EPOCH) if 17 in batches.samples(step))
    with pytest.raises(UserError, match=rf"step {first} .*not finite themselves: 17\n"):
        train(tmp_path, describe(data=data))
    assert not (tmp_path / "last.pt").exists() or first >= RUNTIME.checkpoint_steps


def test_a_nan_is_named_before_the_weights_that_it_broke_are_validated(tmp_path):
    data, runtime = Data(), RUNTIME.model_copy(update={"log_steps": 1000, "checkpoint_steps": 1000})
    data.x[17, 2] = float("nan")
    validation = Validation(("valid_loss",), lambda model: pytest.fail("validated"))
    with pytest.raises(UserError, match="not finite themselves: 17\n"):
        train(tmp_path, describe(data=data), runtime=runtime, validation=validation)


def test_micro_batches_add_up_to_the_big_batch(tmp_path):
    double = torch.float64
    runs = [
        train(tmp_path / str(size), describe(params, net(0.0, False, double), Data(double)), params=params)
        for size in (16, 4, 5)
        for params in [changed(ema_decay=0.0, keep="last", micro_batch_size=size)]
    ]
    curves = torch.tensor([[row["train_loss"] for row in run.history.train] for run in runs], dtype=double)
    assert (curves - curves[0]).abs().max() < 1e-12


def test_logged_loss_is_the_mean_over_the_interval(tmp_path):
    one = train(tmp_path / "1", runtime=RUNTIME.model_copy(update={"log_steps": 1})).history.train
    three = train(tmp_path / "3", runtime=RUNTIME.model_copy(update={"log_steps": 3})).history.train
    assert three[0]["train_loss"] == pytest.approx(sum(row["train_loss"] for row in one[:3]) / 3)
    assert len(one) == 4 * STEPS_AN_EPOCH


def test_a_step_without_items_is_skipped_and_counted(tmp_path):
    """Items are those of class 0 in steps 6 to 11, none at all: the second epoch moves nothing."""

    def some(model, batch):
        if 6 <= model.steps < 12:
            batch = {name: value[:0] for name, value in batch.items()}
        model.steps += 0.5  # two micro-batches a step
        return loss(model, batch)

    model = net(dropout=0.0, norm=False)
    model.steps = 0.0
    rates, params = [], changed(keep="last")
    schedule = lambda update: rates.append(update) or 1.0  # noqa: E731
    seen = []
    validation = Validation(("valid_loss",), lambda model: seen.append(weights(model)) or {"valid_loss": 1.0})
    run = train(tmp_path, describe(params, model), params=params, loss=some, schedule=schedule, validation=validation)
    assert (run.progress.step, run.progress.updates) == (24, 18)
    assert rates == [*range(6), *[6] * 6, *range(6, 18)]
    assert torch.equal(seen[0], seen[1])  # the averaged weights
    assert not torch.equal(seen[1], seen[2])
    assert [row["step"] for row in run.history.train] == [5, 10, 15, 20, 24]
    assert all(row["train_loss"] > 0.1 for row in run.history.train)


def test_profile_leaves_a_trace_and_a_table(tmp_path):
    train(tmp_path, runtime=RUNTIME.model_copy(update={"profile": True}))
    assert (tmp_path / "trace.json").exists()
    assert "Self CPU" in (tmp_path / "profile.txt").read_text()
