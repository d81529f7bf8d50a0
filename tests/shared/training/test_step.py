import pytest
import torch
from torch import nn

from shared.training.distributed import local
from shared.training.step import accumulate, make_scaler, share_batch_norm_momentum, update


def sum_of_squares(model, batch):
    return model(batch).square().sum(), len(batch), {}


def gradient(parts, loss=sum_of_squares):
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scaler = make_scaler("fp64", torch.device("cpu"), 1)
    before = model.weight.detach().clone()
    sums = accumulate(model, loss, parts, scaler=scaler, precision="fp64", world=local(), seed=0)
    update(list(model.parameters()), [optimizer], sums.count, scaler=scaler, clip_norm=0.0, world=local())
    return before - model.weight.detach()


def test_micro_batches_of_different_sizes_divide_once():
    data = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(gradient([data]), gradient([data[:30], data[30:]]), rtol=1e-13)
    mean_of_means = (gradient([data[:30]]) + gradient([data[30:]])) / 2
    assert not torch.allclose(gradient([data]), mean_of_means, rtol=1e-2)


def test_clipping_bounds_the_norm_of_the_divided_gradient():
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.weight.detach().clone()
    (1000 * model(torch.ones(8, 4)).sum()).backward()
    scaler = make_scaler("fp32", torch.device("cpu"), 8)
    update(list(model.parameters()), [optimizer], 8, scaler=scaler, clip_norm=0.5, world=local())
    assert (before - model.weight.detach()).norm() == pytest.approx(0.5, rel=1e-4)


def test_an_overflowing_fp16_step_is_skipped_and_lowers_the_scale():
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    before = model.weight.detach().clone()
    scaler.scale(model(torch.full((1, 2), 3e38)).sum()).backward()
    assert not update(list(model.parameters()), [optimizer], 1, scaler=scaler, clip_norm=0.0, world=local())
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() == 2.0**15


def test_dropout_depends_on_the_seed_of_the_step_alone():
    model, data = nn.Dropout(0.5), torch.ones(64, requires_grad=True)
    scaler = make_scaler("fp32", torch.device("cpu"), 1)

    def total(seed):
        sums = accumulate(
            model,
            lambda m, b: (m(b).sum(), len(b), {}),
            [data],
            scaler=scaler,
            precision="fp32",
            world=local(),
            seed=seed,
        )
        torch.rand(7)  # history must not matter
        return sums.loss.item()

    assert total(1) == total(1) != total(2)


@pytest.mark.parametrize("number", [2, 4])
def test_micro_batches_share_batch_norms_momentum_equally(number):
    groups = torch.randn(number, 32, 3)
    norm = nn.BatchNorm1d(3, momentum=0.3)
    for index, group in enumerate(groups):
        share_batch_norm_momentum(norm, index, number)
        norm(group)
    assert torch.allclose(norm.running_mean, 0.3 * groups.mean((0, 1)), atol=1e-6)
    assert torch.allclose(norm.running_var, 0.7 + 0.3 * groups.var(1).mean(0), atol=1e-6)
