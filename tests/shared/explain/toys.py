"""Models whose attributions are known."""

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """(N, 1, H, W) -> (N, 2): the logits are minus and plus the weighted sum of the pixels."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        total = (images[:, 0] * self.weights).sum((1, 2))
        return torch.stack([-total, total], dim=1)


def small_net(seed: int = 0) -> nn.Sequential:
    """A net with everything that real ones have: convolution, batch norm, pooling, dropout. (N, 3, H, W) -> (N, 4)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Dropout(),
            nn.Flatten(),
            nn.LazyLinear(4),
        )
        net(torch.rand(8, 3, 16, 16))
    return net.eval()


def pictures(count: int, side: int = 16, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed))
