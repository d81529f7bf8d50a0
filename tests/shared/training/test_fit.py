import errno
import os

import pytest
import torch

from shared.core.errors import UserError
from tests.shared.training.tiny import PARAMS, RUNTIME, SIZE, Data, Killed, batches, net, train, weights


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("die_at", [0, 1, 3, 4, 11, 12, 13, 23])
def test_killed_and_run_again_ends_with_the_same_bits(tmp_path, uninterrupted, die_at):
    with pytest.raises(Killed):
        train(tmp_path, die_at=die_at)
    resumed = train(tmp_path)
    assert torch.equal(weights(resumed.model), weights(uninterrupted.model))
    assert resumed.history.train == uninterrupted.history.train
    assert resumed.history.validation == uninterrupted.history.validation


def test_the_log_says_from_which_step_it_resumed(tmp_path, capsys):
    with pytest.raises(Killed):
        train(tmp_path, die_at=8)
    train(tmp_path)
    assert "resumed from step 6" in capsys.readouterr().out


def test_worker_processes_read_the_same_batches_as_this_one(tmp_path, uninterrupted):
    with pytest.raises(Killed):
        train(tmp_path, die_at=13, workers=2)
    assert torch.equal(weights(train(tmp_path, workers=2).model), weights(uninterrupted.model))


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


def test_it_learns(uninterrupted):
    losses = [row["valid_loss"] for row in uninterrupted.history.validation]
    assert min(losses) < 0.8 * losses[0]


def test_best_keeps_the_weights_of_the_best_validation(uninterrupted):
    data = Data.make()
    kept = torch.nn.functional.cross_entropy(uninterrupted.model(data.x), data.y).item()
    assert kept == min(row["valid_loss"] for row in uninterrupted.history.validation)


def test_patience_stops_early_and_stays_stopped_on_resume(tmp_path):
    rates = PARAMS.model_copy(update={"monitor": "valid_loss", "patience": 1, "epochs": 400.0, "ema_decay": 0.0})
    first = train(tmp_path, params=rates)
    assert first.progress.step < 400 * 6
    assert train(tmp_path, params=rates).progress.step == first.progress.step


def test_an_unknown_monitor_names_what_there_is(tmp_path):
    with pytest.raises(UserError, match="monitor") as error:
        train(tmp_path, params=PARAMS.model_copy(update={"monitor": "valid_f1"}))
    assert "valid_loss" in str(error.value)


def test_a_nan_names_the_step_and_the_sample(tmp_path):
    data = Data.make()
    data.x[17, 2] = float("nan")
    first = next(step for step in range(6) if 17 in batches(PARAMS, data, uninterrupted_world()).samples(step))
    with pytest.raises(UserError, match=rf"step {first} .*not finite themselves: 17\n"):
        train(tmp_path, data=data)
    assert not (tmp_path / "last.pt").exists() or first >= RUNTIME.checkpoint_steps


def uninterrupted_world():
    from shared.training.distributed import local

    return local()


def test_micro_batches_add_up_to_the_big_batch(tmp_path):
    fp64 = PARAMS.model_copy(update={"ema_decay": 0.0, "keep": "last"})
    runs = [
        train(
            tmp_path / str(size),
            params=fp64.model_copy(update={"micro_batch_size": size}),
            model=net(dropout=0.0, norm=False).double(),
            data=Data(Data.make().x.double(), Data.make().y),
        )
        for size in (16, 4, 5)
    ]
    curves = torch.tensor([[row["train_loss"] for row in run.history.train] for run in runs], dtype=torch.float64)
    assert (curves - curves[0]).abs().max() < 1e-12


def test_profile_leaves_a_trace_and_a_table(tmp_path, capsys):
    train(tmp_path, runtime=RUNTIME.model_copy(update={"profile": True}))
    assert (tmp_path / "trace.json").exists()
    assert "Self CPU" in (tmp_path / "profile.txt").read_text()


def test_logged_loss_is_the_mean_over_the_interval(tmp_path):
    one = train(tmp_path / "1", runtime=RUNTIME.model_copy(update={"log_steps": 1})).history.train
    three = train(tmp_path / "3", runtime=RUNTIME.model_copy(update={"log_steps": 3})).history.train
    assert three[0]["train_loss"] == pytest.approx(sum(row["train_loss"] for row in one[:3]) / 3)
    assert len(one) == 4 * (SIZE // 16)
