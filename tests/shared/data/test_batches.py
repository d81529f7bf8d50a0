"""Batches are a function of the step: any can be made alone, and ranks and workers see those of one process."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import UserError
from shared.data.batches import Batches, CostBatches, EqualBatches, cost_shares, even_shares, gather, unpad
from shared.data.table import Ragged, Table, write_table
from shared.training.distributed import World, local

CPU = torch.device("cpu")
LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=80).map(np.array)
PAIRS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=60).map(np.array)


def batches(rank=0, ranks=1, size=50, batch=12, micro=4, workers=0, plan=None):
    world = World(rank, ranks, CPU)
    return Batches(
        lambda index: {"x": index * 10},
        plan=plan or EqualBatches(size, batch, micro, world),
        seed=0,
        world=world,
        augment=lambda batch, epoch: batch | {"epoch": torch.tensor(epoch)},
        workers=workers,
    )


def cost(lengths, index):
    """Of a batch with its padding; several lengths add up."""
    return len(index) * np.maximum(lengths.reshape(len(lengths), -1)[index], 1).max(0).sum()


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    tokens = Ragged.of([[5, 6, 7], [], [8]], np.int32)
    columns = {
        "tokens": tokens,
        "sound": Ragged.of([[0.5], [0.25, 1], []], np.float32),
        "spans": Ragged.of([[(1, 2)], [(3, 4), (5, 6)], []], np.int16),
        "image": np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2),
        "id": ["a", "b", "c"],
    }
    write_table(tmp_path / "train", columns)
    return Table(tmp_path / "train")


def test_floats_have_the_dtype_of_the_weights(table):
    torch.set_default_dtype(torch.float64)
    try:
        read = gather(table, "sound", "tokens")
    finally:
        torch.set_default_dtype(torch.float32)
    assert [read(torch.tensor([0]))[name].dtype for name in ("sound", "tokens")] == [torch.float64, torch.int32]


def test_fixed_columns_and_padded_ones_keep_their_dtype(table):
    batch = gather(table, "tokens", "sound", "spans", "image")(torch.tensor([2, 0, 1]))
    assert batch["tokens"].tolist() == [[8, 0, 0], [5, 6, 7], [0, 0, 0]]
    assert batch["tokens_mask"].tolist() == [[True, False, False], [True, True, True], [False, False, False]]
    assert batch["sound"].tolist() == [[0, 0], [0.5, 0], [0.25, 1]]
    assert batch["spans"].tolist() == [[[0, 0], [0, 0]], [[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert batch["image"][0].tolist() == [[[8, 9], [10, 11]]]
    dtypes = [batch[name].dtype for name in ("tokens", "sound", "spans", "image")]
    assert dtypes == [torch.int32, torch.float32, torch.int16, torch.uint8]
    rows = unpad(batch["spans"], batch["spans_mask"])
    assert [row.tolist() for row in rows] == [[], [[1, 2]], [[3, 4], [5, 6]]]


# --- planning -----------------------------------------------------------------------------------------------------


def test_an_epoch_shows_no_sample_twice_and_each_in_another_order():
    loader = batches()
    epochs = [torch.cat([loader.samples(step) for step in range(4 * e, 4 * e + 4)]) for e in range(2)]
    assert len(loader) == 4
    assert all(len(epoch.unique()) == 48 for epoch in epochs)
    assert not torch.equal(*epochs)


def test_batches_that_do_not_fit_are_named():
    with pytest.raises(UserError, match=r"train\.batch_size: 60, but there are only 50"):
        batches(batch=60)
    with pytest.raises(UserError, match="does not divide among 5 processes") as error:
        batches(ranks=5)
    assert "train.batch_size=10" in str(error.value)
    with pytest.raises(UserError, match="makes a batch of 1 samples for 2 processes"):
        CostBatches(np.full(4, 10), 10, 10, World(0, 2, CPU))


@given(LENGTHS, st.integers(1, 200), st.integers(1, 90), st.integers(0, 3))
def test_batches_by_cost_keep_to_their_budget_and_show_everything_each_epoch(lengths, batch, micro, seed):
    plan = CostBatches(lengths, batch, micro, local())
    for dealt in (plan.deal(torch.Generator().manual_seed(seed)), plan.deal(torch.Generator().manual_seed(seed + 1))):
        assert len(dealt) == len(plan)
        assert sorted(torch.cat(list(dealt)).tolist()) == list(range(len(lengths)))
        for mine in dealt:
            assert len(mine) == 1 or cost(lengths, mine) <= batch
            parts = plan.split(mine)
            assert sorted(torch.cat(list(parts)).tolist()) == sorted(mine.tolist())
            assert all(len(part) == 1 or cost(lengths, part) <= micro for part in parts)


@given(PAIRS, st.integers(1, 200), st.integers(1, 90))
def test_of_source_and_target_the_longest_of_each_count(lengths, batch, micro):
    plan = CostBatches(lengths, batch, micro, local())
    dealt = plan.deal(torch.Generator().manual_seed(0))
    assert sorted(torch.cat(list(dealt)).tolist()) == list(range(len(lengths)))
    for part in (part for mine in dealt for part in plan.split(mine)):
        assert len(part) == 1 or cost(lengths, part) <= micro


def test_neighbours_change_from_epoch_to_epoch_and_little_is_padding():
    lengths = np.random.default_rng(0).integers(50, 300, 2000)
    plan = CostBatches(lengths, 4000, 4000, local())
    first, second = (plan.deal(torch.Generator().manual_seed(seed)) for seed in (0, 1))
    pairs = [{(a, b) for batch in dealt for a in batch.tolist() for b in batch.tolist() if a < b}
             for dealt in (first, second)]  # fmt: skip
    assert len(pairs[0] & pairs[1]) / len(pairs[0]) < 0.2
    assert sum(cost(lengths, batch) for batch in first) / lengths.sum() < 1.25


# --- serving ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ranks", "micro"), [(1, 4), (2, 4), (3, 4), (2, 6), (4, 2)])
def test_ranks_and_micro_batches_together_see_the_global_batch_in_order(ranks, micro):
    shares = [index for rank in range(ranks) for index in batches(rank, ranks, micro=micro).share(5)]
    assert torch.equal(torch.cat(shares), batches().samples(5))
    assert all(len(share) <= micro for share in shares)


def test_ranks_together_see_the_batches_by_cost_of_one_process():
    lengths = np.random.default_rng(0).integers(1, 30, 60)

    def dealt(rank, ranks):
        loader = batches(rank, ranks, plan=CostBatches(lengths, 200, 60, World(rank, ranks, CPU)))
        return [set(torch.cat(list(loader.share(step))).tolist()) for step in range(len(loader))]

    assert [one | two for one, two in zip(dealt(0, 2), dealt(1, 2), strict=True)] == dealt(0, 1)


def test_any_step_can_be_made_alone_and_from_anywhere():
    whole = list(batches().stream(0, 9))
    assert all(torch.equal(a[0]["x"], b[0]["x"]) for a, b in zip(batches().stream(6, 9), whole[6:], strict=True))
    assert torch.equal(batches()[7][2]["x"], whole[7][2]["x"])
    assert torch.equal(whole[6][0]["x"], whole[6][0]["sample"] * 10)
    assert whole[6][0]["epoch"] == 1.5


def test_workers_read_what_one_process_would():
    alone, ahead = (list(batches(workers=workers).stream(3, 7)) for workers in (0, 2))
    for step, other in zip(alone, ahead, strict=True):
        assert all(torch.equal(one["x"], two["x"]) for one, two in zip(step, other, strict=True))


@given(PAIRS, st.integers(1, 90), st.integers(1, 5))
def test_evaluation_deals_each_sample_to_one_rank(lengths, batch, ranks):
    worlds = [World(rank, ranks, CPU) for rank in range(ranks)]
    even, by_cost = ([deal(one) for one in worlds] for deal in (
        lambda world: even_shares(len(lengths), batch, world), lambda world: cost_shares(lengths, batch, world)
    ))  # fmt: skip
    for shares in (even, by_cost):
        dealt = [index for share in shares for index in share]
        assert sorted(torch.cat(dealt).tolist()) == list(range(len(lengths)))
    assert all(len(index) <= 1 or cost(lengths, index) <= batch for index in dealt)
