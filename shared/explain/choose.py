"""Which test samples are explained."""

import numpy as np
import torch
from torch import Tensor

from shared.core.sections import Explain
from shared.core.seed import derive

POOL = 2000  # test samples, drawn, among which the wrongly answered ones are looked for


def draw(size: int, seed: int) -> np.ndarray:
    """(P,) int64: which of `size` test samples make the pool, in random order; all where they are 2000 or fewer."""
    return np.random.default_rng(derive(seed, "pool")).permutation(size)[:POOL]


def choose(correct: Tensor, params: Explain) -> tuple[Tensor, Tensor]:
    """Which samples of the pool are scored and which are shown.

    Args:
        correct: (N,) bool, in random order.

    Returns:
        Rows of the scored; rows of the shown, wrongly answered ones first: half, or as many as there are.
    """
    wrong, right = (torch.nonzero(part)[:, 0] for part in (~correct, correct))
    num_wrong = min(len(wrong), max(params.num_shown // 2, params.num_shown - len(right)))
    shown = torch.cat([wrong[:num_wrong], right[: params.num_shown - num_wrong]])
    return torch.arange(min(params.num_scored, len(correct))), shown
