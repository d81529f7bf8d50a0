"""One update: what is divided by, when it is skipped, and what micro-batches share."""

import pytest
import torch
from torch import nn

from shared.training.distributed import local
from shared.training.step import accumulate, linear, make_scaler, shared_momentum, update


def sum_of_squares(model, batch):
    return model(batch["x"]).square().sum(), len(batch["x"]), {}


def step(model, parts, loss=sum_of_squares, seed=0):
    """The sums of one step over the parts of a batch."""
    scaler = make_scaler("fp32", torch.device("cpu"), 1)
    parts = [{"x": part} for part in parts]
    return accumulate(model, loss, parts, scaler=scaler, precision="fp32", world=local(), seed=seed)


def do_update(parameters, optimizers, count, scaler=None, clip_norm=0.0):
    scaler = scaler or make_scaler("fp32", torch.device("cpu"), 1)
    return update(list(parameters), optimizers, count, scaler=scaler, clip_norm=clip_norm, world=local())


def change(parts):
    """Of the weights, after one step with rate 1."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    before = model.weight.detach().clone()
    sums = step(model, parts)
    assert do_update(model.parameters(), [torch.optim.SGD(model.parameters(), lr=1.0)], sums.count)
    return before - model.weight.detach()


def test_micro_batches_of_different_sizes_divide_once():
    data = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(change([data]), change([data[:30], data[30:]]), rtol=1e-13)
    mean_of_means = (change([data[:30]]) + change([data[30:]])) / 2
    assert not torch.allclose(change([data]), mean_of_means, rtol=1e-2)


def test_clipping_bounds_the_norm_of_the_divided_gradient():
    model = nn.Linear(4, 1, bias=False)
    before = model.weight.detach().clone()
    (1000 * model(torch.ones(8, 4)).sum()).backward()
    do_update(model.parameters(), [torch.optim.SGD(model.parameters(), lr=1.0)], 8, clip_norm=0.5)
    assert (before - model.weight.detach()).norm() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_an_overflow_of_one_optimizer_skips_all_and_lowers_the_scale(clip_norm):
    model = nn.ModuleList([nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)])
    optimizers = [torch.optim.SGD(part.parameters(), lr=1.0) for part in model]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    before = [weight.clone() for weight in model.parameters()]
    total = model[0](torch.ones(1, 2)).sum() + model[1](torch.full((1, 2), 3e38)).sum()
    scaler.scale(total).backward()
    assert not do_update(model.parameters(), optimizers, 1, scaler, clip_norm)
    assert all(torch.equal(weight, old) for weight, old in zip(model.parameters(), before, strict=True))
    assert all(weight.grad is None for weight in model.parameters())
    assert scaler.get_scale() == 2.0**15
    scaler.scale(model[0](torch.ones(1, 2)).sum() + model[1](torch.ones(1, 2)).sum()).backward()
    assert do_update(model.parameters(), optimizers, 1, scaler, clip_norm)
    assert not any(torch.equal(weight, old) for weight, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_finite_gradients_whose_norm_overflows_are_no_overflow_of_fp16(clip_norm):
    model, scaler = nn.Linear(2, 1, bias=False), torch.amp.GradScaler("cpu", init_scale=2.0**16)
    before = model.weight.clone()
    scaler.scale(model(torch.full((1, 2), 1e25)).sum()).backward()
    assert nn.utils.get_total_norm([model.weight.grad / 2.0**16]).isinf()
    assert do_update(model.parameters(), [torch.optim.SGD(model.parameters(), lr=1e-20)], 1, scaler, clip_norm)
    assert scaler.get_scale() == 2.0**16
    assert clip_norm or not torch.equal(model.weight, before)


def test_a_step_without_items_moves_nothing():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.5)
    before = model.weight.clone()
    sums = step(model, [torch.zeros(0, 3)])
    assert not do_update(model.parameters(), [optimizer], sums.count)
    assert torch.equal(model.weight, before)
    assert not optimizer.state


def test_dropout_depends_on_the_seed_of_the_step_alone():
    model, data = nn.Dropout(0.5), torch.ones(64, requires_grad=True)

    def total(seed):
        torch.rand(7)  # history must not matter
        return step(model, [data], lambda m, b: (m(b["x"]).sum(), len(b["x"]), {}), seed).loss.item()

    assert total(1) == total(1) != total(2)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_micro_batches_share_batch_norms_momentum_equally_and_give_it_back(number):
    groups = torch.randn(number, 32, 3)
    norm = nn.BatchNorm1d(3, momentum=0.3)
    with shared_momentum(norm, number) as share:
        for index, group in enumerate(groups):
            share(index)
            norm(group)
    assert norm.momentum == 0.3
    assert torch.allclose(norm.running_mean, 0.3 * groups.mean((0, 1)), atol=1e-6)
    assert torch.allclose(norm.running_var, 0.7 + 0.3 * groups.var(1).mean(0), atol=1e-6)
    step(nn.Sequential(norm), [group.requires_grad_() for group in groups])
    assert norm.momentum == 0.3


def test_the_linear_rate_stays_in_zero_to_one_and_ends_low():
    for total, warmup in ((1, 0), (7, 6), (100, 10), (500, 0)):
        rates = [linear(total, warmup)(step) for step in range(total)]
        assert all(0 < rate <= 1 for rate in rates)
        assert max(rates) == 1.0
        assert rates[-1] <= 1 / (total - warmup) + 1e-9
    assert linear(10, 2)(100) == 0.0
