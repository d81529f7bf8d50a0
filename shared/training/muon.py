"""Muon for convolutions, which torch lacks: momentum, orthogonalised."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def orthogonalise(matrix: Tensor, steps: int = 3) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: singular values end in about [0.5, 1.5].

    A quintic Newton-Schulz iteration (Bernstein & Newhouse 2024, arXiv:2409.20325) with Jordan's coefficients, which
    trade convergence for slope at 0. (m, n) float -> (m, n).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz, for convolutions that batch norm follows.

    Each filter bank is taken as a matrix (filters, inputs * height * width) and, since batch norm makes its scale
    irrelevant, kept at the norm sqrt(filters) (Jordan 2024). torch.optim.Muon takes 2-d weights alone and lets the
    norm drift.

    Args:
        params: convolution weights, (filters, inputs, height, width).
        lr: length of an update, in units of a filter's norm.
        momentum: in [0, 1), Nesterov's form.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group["lr"], group["momentum"])

    def _update(self, weight: Tensor, rate: float, momentum: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        average = state["momentum"].mul_(momentum).add_(weight.grad)
        direction = weight.grad.add(average, alpha=momentum)  # type: ignore[union-attr]
        weight.mul_(len(weight) ** 0.5 / weight.norm())
        weight.add_(orthogonalise(direction.flatten(1)).view_as(weight), alpha=-rate)
