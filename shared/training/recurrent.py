"""Recurrent layers over padded batches.

B batch, L places of a sequence, D size of a vector, H of a state.
"""

import torch
from torch import Tensor, nn


class BothWays(nn.Module):
    """A recurrent layer from each end: (B, L, D) -> (B, L, 2 H). Neither sees padding before the sequence.

    Not `bidirectional=True`, whose way back would begin in the padding: the sequences are turned round by their
    lengths instead, which costs far less on a CPU than packing them.

    Args:
        kind: nn.LSTM or nn.GRU.
    """

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], size: int, hidden: int) -> None:
        super().__init__()
        self.onward = kind(size, hidden, batch_first=True)
        self.back = kind(size, hidden, batch_first=True)
        for layer in (self.onward, self.back):
            if isinstance(layer, nn.LSTM):  # forget-gate bias 1 (Jozefowicz et al. 2015)
                nn.init.ones_(layer.get_parameter("bias_ih_l0")[hidden : 2 * hidden])

    def forward(self, vectors: Tensor, order: Tensor) -> Tensor:
        """vectors (B, L, D), and the places (B, L) of `back_to_front(mask)`."""
        back = self.back(picked(vectors, order))[0]
        return torch.cat([self.onward(vectors)[0], picked(back, order)], dim=2)


def back_to_front(mask: Tensor) -> Tensor:
    """(B, L) int64: the places of each sequence from its last to its first; padding stays."""
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - place, place)


def picked(vectors: Tensor, places: Tensor) -> Tensor:
    """(B, P, D) and (B, L) int64 -> (B, L, D)."""
    return vectors.gather(1, places[:, :, None].expand(-1, -1, vectors.shape[2]))
