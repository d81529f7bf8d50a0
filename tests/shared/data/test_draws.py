"""Seeds and random numbers are functions of what they are for, never of history."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.core.seed import derive
from shared.data.draws import Draws, generator

keys = st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text()), max_size=4)


@given(st.integers(0, 2**63), keys)
def test_a_seed_is_a_function_of_its_keys_that_torch_takes(seed, where):
    assert derive(seed, *where) == derive(seed, *where)
    torch.Generator().manual_seed(derive(seed, *where))


def test_order_and_value_of_keys_matter():
    seeds = {derive(0, 1, 2), derive(0, 2, 1), derive(0, "1", 2), derive(1, 1, 2), derive(0, 12)}
    assert len(seeds) == 5
    assert generator(0, "a").initial_seed() != generator(0, "b").initial_seed()


@given(st.permutations(range(20)), st.integers(1, 19))
def test_a_samples_draws_do_not_depend_on_its_company(order, cut):
    sample = torch.tensor(order)
    whole = Draws(3, 1, sample).uniform()
    parts = torch.cat([Draws(3, 1, sample[:cut]).uniform(), Draws(3, 1, sample[cut:]).uniform()])
    assert torch.equal(whole, parts)


def test_draws_are_uniform_and_independent():
    sample = torch.arange(200_000)
    draws = Draws(0, 0, sample)
    first, second, next_epoch = draws.uniform(), draws.uniform(), Draws(0, 1, sample).uniform()
    assert 0 <= first.min() < 1e-4
    assert 1 - 1e-4 < first.max() < 1
    assert abs(first.mean() - 0.5) < 0.003
    assert abs(first.var() - 1 / 12) < 0.001
    assert (torch.corrcoef(torch.stack([first, second, next_epoch])) - torch.eye(3)).abs().max() < 0.01


def test_integers_reach_both_ends_equally():
    counts = Draws(0, 0, torch.arange(50_000)).integers(-2, 2).add(2).bincount()
    assert len(counts) == 5
    assert (counts / 10_000 - 1).abs().max() < 0.05
