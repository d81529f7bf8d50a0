import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.data.loaders import Batches, evaluation_shares
from shared.errors import UserError
from shared.training.distributed import World

CPU = torch.device("cpu")


def batches(rank=0, ranks=1, size=50, batch=12, micro=4, workers=0, seed=0):
    return Batches(
        lambda index: (index * 10,),
        lambda raw, index, epoch: (raw[0], index, epoch),
        size=size,
        batch_size=batch,
        micro_batch_size=micro,
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
