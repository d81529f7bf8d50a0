"""Muon turns updates into nearly orthogonal ones and keeps filters at their norm."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.training.muon import Muon, orthogonalise


@given(st.integers(1, 40), st.integers(1, 40))
def test_orthogonalised_singular_values_are_near_one(rows, columns):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows * 41 + columns))
    values = torch.linalg.svdvals(orthogonalise(matrix, steps=8))
    assert values.max() < 1.3


def test_orthogonalise_keeps_the_singular_vectors():
    q, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(
        orthogonalise(3.0 * q, steps=5) @ q.T, torch.eye(8) * (orthogonalise(3.0 * q, 5) @ q.T)[0, 0], atol=1e-4
    )


def test_muon_keeps_filters_at_their_norm_and_lowers_the_loss():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 16, 3, bias=False)
    norm = torch.nn.BatchNorm2d(16, affine=False)
    images, target = torch.randn(8, 3, 8, 8), torch.randn(8, 16, 6, 6)
    optimizer = Muon([conv.weight], lr=0.05, momentum=0.6)
    losses = []
    for _ in range(20):
        loss = (norm(conv(images)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert abs(conv.weight.norm().item() - 16**0.5) < 0.5
