"""The first layer of image networks."""

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """(x - mean) / std by channel of (N, C, H, W); 0 where all training pixels were equal: nothing was learned of them.

    Args:
        mean, std: C numbers each, of the training images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor([one or torch.inf for one in std]).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std
