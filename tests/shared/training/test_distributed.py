"""Two processes do what one does: the same losses, buffers and records, whoever has how much of the data."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shared.core.cli import errors_for_people
from shared.core.errors import Stopped, UserError
from shared.core.paths import ROOT
from shared.data.batches import cost_shares, even_shares
from shared.evaluation.records import collect
from shared.training import distributed
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import average_buffers, join, launch, local
from shared.training.step import shared_momentum
from tests.shared.training.tiny import PARAMS, RUNTIME, Data, Killed, describe, loss, net, train

MODULE = "tests.shared.training.test_distributed"
DOUBLE = torch.float64
LENGTHS = np.array([3, 0, 9, 1, 4])


def params(size, **changes):
    """Batch norm groups are micro-batches: two of 4 a process alone or one of 4 in each of two are the same."""
    return PARAMS.model_copy(update={"micro_batch_size": 4, "precision": "fp64"} | changes)


def history(folder, world, **changes):
    """What a training leaves: rows and weights."""
    chosen = params(world.size)
    training = describe(chosen, net(0.0, True, DOUBLE), Data(DOUBLE), world)
    run = train(folder, training, params=chosen, world=world, **changes)
    rows = [list(row.values()) for row in [*run.history.train, *run.history.validation]]
    floats = [tensor.flatten() for tensor in run.result.state_dict().values() if tensor.is_floating_point()]
    return {"rows": rows, "weights": torch.cat(floats).tolist(), "updates": run.progress.updates}


def few_items(folder, world):
    """A loss over some samples alone: half of the steps have items on one rank only, some on none."""

    def some(model, batch):
        kept = batch["sample"] < 12
        return loss(model, {name: value[kept] for name, value in batch.items()})

    chosen = params(world.size, micro_batch_size=2, batch_size=4)
    training = describe(chosen, net(0.0, False, DOUBLE), Data(DOUBLE), world)
    run = train(folder / f"few{world.rank}", training, params=chosen, world=world, loss=some)
    return {"rows": [list(row.values()) for row in run.history.train], "updates": run.progress.updates}


def resumed(folder, world):
    """Killed at step 13; then run again, where only the first rank's disk has the checkpoint."""
    with suppress(Killed):
        history(folder / str(world.rank), world, die_at=13)
    assert (folder / str(world.rank) / "last.pt").exists() == world.is_first
    return history(folder / str(world.rank), world)


def signalled(folder, world):
    """The second process alone is asked to end, in step 5; then run again."""
    folder = folder / f"signalled{world.rank}"
    checkpoint = Checkpoint(folder / "last.pt", world)
    die = partial(os.kill, os.getpid(), signal.SIGTERM) if world.rank else lambda: None
    with checkpoint.listening(), suppress(Stopped):
        history(folder, world, die_at=5, die=die, checkpoint=checkpoint)
        raise AssertionError("went on")
    kept = torch.load(checkpoint.path, weights_only=True)["progress"]["step"] if world.is_first else 0
    return history(folder, world) | {"kept": kept}


def broken(folder, world):
    """What is said of a sample of the second process's share that is not finite."""
    data, chosen = Data(DOUBLE), params(world.size)
    training = describe(chosen, net(0.0, False, DOUBLE), data, world)
    sample = int(training.batches.samples(0)[-1])
    data.x[sample] = float("nan")
    with pytest.raises(UserError) as error:
        train(folder / f"broken{world.rank}", training, params=chosen, world=world)
    return {"sample": sample, "says": str(error.value)}


def buffers(world):
    """Batch norm's statistics of four groups, dealt to the ranks."""
    norm = nn.BatchNorm1d(3, momentum=0.5).double()
    groups = torch.randn(4, 8, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))[world.rank :: world.size]
    with shared_momentum(norm, len(groups)) as share:
        for index, group in enumerate(groups):
            share(index)
            norm(group)
    average_buffers([norm], world)
    return {"mean": norm.running_mean.tolist(), "var": norm.running_var.tolist()}


def boxes(index):
    return {"boxes": [torch.full((int(LENGTHS[row]), 4), float(row)) for row in index.tolist()]}


def records(world):
    """Of one sample, which leaves a rank without any, and of ragged ones."""
    one = collect(lambda index: {"square": index**2}, even_shares(1, 2, world), world)
    several = collect(boxes, cost_shares(LENGTHS, 9, world), world)
    return {
        "one": {name: value.tolist() for name, value in one.items()},
        "several": [box.tolist() for box in several.get("boxes", [])],
        "sample": several["sample"].tolist() if several else None,
    }


def visit(folder, world):
    made = {"trained": history(folder / f"trained{world.rank}", world), "few": few_items(folder, world)}
    made |= {"signalled": signalled(folder, world), "broken": broken(folder, world)}
    return made | {"resumed": resumed(folder, world), "buffers": buffers(world), "records": records(world)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("OMP_NUM_THREADS", "1")
        assert launch(MODULE, [str(folder)], 2) == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def assert_close(found, expected):
    assert found["updates"] == expected["updates"]
    for name in ("rows", "weights"):
        for one, other in zip(found.get(name, []), expected.get(name, []), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


def test_one_and_two_processes_train_alike(two, tmp_path):
    alone = history(tmp_path, local())
    assert len(alone["rows"]) == 9
    for one in two:
        assert_close(one["trained"], alone)


def test_a_step_may_have_items_on_one_rank_or_none(two, tmp_path):
    alone = few_items(tmp_path, local())
    assert 10 < alone["updates"] < 96
    assert_close(two[0]["few"], alone)


def test_every_rank_names_a_broken_sample_of_any_rank(two):
    for one in two:
        assert f"not finite themselves: {one['broken']['sample']}\n" in one["broken"]["says"]


def test_the_first_ranks_checkpoint_reaches_a_rank_whose_disk_has_none(two):
    for one in two:
        assert one["resumed"] == one["trained"]


def test_a_signal_to_one_rank_keeps_the_work_of_all(two):
    assert 6 <= two[0]["signalled"].pop("kept") < 24
    del two[1]["signalled"]["kept"]
    for one in two:
        assert one["signalled"] == one["trained"]


CHILD = """
import signal, sys, time
signal.signal(signal.{name}, lambda *_: sys.exit({status}))
print(1, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_to_the_starter_reaches_its_processes(name, status):
    command = [sys.executable, "-c", CHILD.format(name=name, status=status)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for child in children:
        child.stdout.read(1)
    threading.Timer(0.1, os.kill, (os.getpid(), getattr(signal, name))).start()
    assert distributed._wait(children) == status
    for child in children:
        child.stdout.close()


def test_ranks_hold_the_same_buffers_as_one_process(two):
    expected = buffers(local())
    for one in two:
        for name, value in expected.items():
            np.testing.assert_allclose(one["buffers"][name], value, rtol=0, atol=1e-12)


def test_the_first_rank_holds_every_record_once_in_order(two):
    expected = records(local())
    assert two[0]["records"] == expected
    assert expected["one"] == {"square": [0], "sample": [0]}
    assert expected["several"][2] == [[2.0] * 4] * 9
    assert [len(boxes) for boxes in expected["several"]] == LENGTHS.tolist()
    assert two[1]["records"] == {"one": {}, "several": [], "sample": None}


def test_an_error_for_the_user_is_printed_once_and_ends_all_with_2(monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    assert launch(MODULE, ["fail"], 2) == 2
    told = capfd.readouterr().err
    assert told.count("error: both see it") == 1
    assert "Traceback" not in told


def main(word):
    with errors_for_people(), join(RUNTIME) as world:
        if word == "fail":
            raise UserError("both see it")
        (Path(word) / f"{world.rank}.json").write_text(json.dumps(visit(Path(word), world)))


if __name__ == "__main__":
    main(sys.argv[1])
