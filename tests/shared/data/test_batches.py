import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import UserError
from shared.data.batches import Batches, EqualBatches, LengthBatches, evaluation_shares, length_shares
from shared.training.distributed import World

CPU = torch.device("cpu")


def batches(rank=0, ranks=1, size=50, batch=12, micro=4, workers=0, seed=0):
    return Batches(
        lambda index: (index * 10,),
        lambda raw, index, epoch: (raw[0], index, epoch),
        plan=EqualBatches(size, batch, micro, World(rank, ranks, CPU)),
        seed=seed,
        world=World(rank, ranks, CPU),
        workers=workers,
    )


def test_an_epoch_shows_no_sample_twice_and_each_in_another_order():
    loader = batches()
    epochs = [torch.cat([loader.samples(step) for step in range(4 * e, 4 * e + 4)]) for e in range(2)]
    assert len(loader) == 4
    assert all(len(epoch.unique()) == 48 for epoch in epochs)
    assert not torch.equal(*epochs)


@pytest.mark.parametrize(("ranks", "micro"), [(1, 4), (2, 4), (3, 4), (2, 6), (4, 2)])
def test_ranks_and_micro_batches_together_see_the_global_batch_in_order(ranks, micro):
    shares = [index for rank in range(ranks) for index in batches(rank, ranks, micro=micro).share(5)]
    assert torch.equal(torch.cat(shares), batches().samples(5))
    assert all(len(share) <= micro for share in shares)


def test_any_step_can_be_made_alone_and_from_anywhere():
    whole = list(batches().stream(0, 9))
    assert all(torch.equal(a[0][0], b[0][0]) for a, b in zip(batches().stream(6, 9), whole[6:], strict=True))
    assert torch.equal(batches()[7][2][0], whole[7][2][0])
    assert whole[6][0][2] == 1.5


def test_workers_read_what_one_process_would():
    alone, ahead = (list(batches(workers=workers).stream(3, 7)) for workers in (0, 2))
    for step, other in zip(alone, ahead, strict=True):
        assert all(torch.equal(one[0], two[0]) for one, two in zip(step, other, strict=True))


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 5))
def test_evaluation_deals_each_sample_to_one_rank(size, batch, ranks):
    dealt = [index for rank in range(ranks) for index in evaluation_shares(size, batch, World(rank, ranks, CPU))]
    assert sorted(torch.cat(dealt).tolist() if dealt else []) == list(range(size))
    assert all(len(index) <= batch for index in dealt)


def test_batches_that_do_not_fit_are_named():
    with pytest.raises(UserError, match=r"train\.batch_size: 60, but there are only 50"):
        batches(batch=60)
    with pytest.raises(UserError, match="does not divide among 5 processes"):
        batches(ranks=5)


LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=80).map(np.array)


@given(LENGTHS, st.integers(1, 200), st.integers(1, 90), st.integers(0, 3))
def test_batches_by_length_keep_to_their_budget_and_show_everything_each_epoch(lengths, batch, micro, seed):
    plan = LengthBatches(lengths, batch, micro)
    for dealt in (plan.deal(torch.Generator().manual_seed(seed)), plan.deal(torch.Generator().manual_seed(seed + 1))):
        assert len(dealt) == len(plan)
        assert sorted(torch.cat(list(dealt)).tolist()) == list(range(len(lengths)))
        for mine in dealt:
            assert len(mine) == 1 or len(mine) * lengths[mine].max() <= batch
            parts = plan.split(mine)
            assert sorted(torch.cat(list(parts)).tolist()) == sorted(mine.tolist())
            assert all(len(part) == 1 or len(part) * lengths[part].max() <= micro for part in parts)


def test_neighbours_change_from_epoch_to_epoch():
    lengths = np.random.default_rng(0).integers(50, 300, 2000)
    plan = LengthBatches(lengths, 4000, 4000)
    first, second = (plan.deal(torch.Generator().manual_seed(seed)) for seed in (0, 1))
    together = {tuple(sorted((a, b))) for batch in first for a in batch.tolist() for b in batch.tolist() if a < b}
    again = {tuple(sorted((a, b))) for batch in second for a in batch.tolist() for b in batch.tolist() if a < b}
    assert len(together & again) / len(together) < 0.2
    padded = sum(len(batch) * lengths[batch].max() for batch in first)
    assert padded / lengths.sum() < 1.25


@given(LENGTHS, st.integers(1, 90), st.integers(1, 4))
def test_evaluation_by_length_deals_each_sample_to_one_rank(lengths, batch, ranks):
    dealt = [index for rank in range(ranks) for index in length_shares(lengths, batch, World(rank, ranks, CPU))]
    assert sorted(torch.cat(dealt).tolist()) == list(range(len(lengths)))
    assert all(len(index) <= 1 or len(index) * lengths[index].max() <= batch for index in dealt)


def test_a_batch_smaller_than_the_ranks_is_named():
    plan = LengthBatches(np.full(4, 10), 10, 10)
    loader = Batches(lambda index: (index,), lambda raw, *_: raw, plan=plan, seed=0, world=World(0, 2, CPU))
    with pytest.raises(UserError, match="a batch of 1 samples for 2 processes"):
        loader.share(0)
