"""Simple models that the network is compared with.

N utterances, F bands, T frames, T' outputs, K symbols.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.seed import derive
from shared.data.batches import Padded, cost_shares
from shared.data.draws import generator
from shared.data.table import Table
from shared.training.distributed import local

from .decode import BLANK, greedy_text
from .model import build_model

CONTEXT = 4  # frames on each side of an output that the linear model sees: about a tenth of a second in all
EPOCHS, BATCH, RATE = 15, 32, 0.01
MOST = 800  # utterances that it learns from
AT_ONCE = 20_000  # outputs with padding


class Window(nn.Module):
    """(N, F, T), (N, T) -> (N, T', K) log probabilities of a linear map of the frames around each output."""

    def __init__(self, num_mels: int, num_symbols: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(num_mels, num_symbols, 2 * CONTEXT + 1, 2, padding=CONTEXT)

    def forward(self, mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        return self.linear(mel).mT.log_softmax(2), frames[:, ::2]


def linear_texts(train: Table, test: Table, config: Mapping[str, Any], frame_samples: int, seed: int) -> list[str]:
    """What a linear map of a tenth of a second hears in the test split, trained by the same loss; greedy."""
    alphabet, features = config["alphabet"], build_model(config).features
    with torch.random.fork_rng([]):
        torch.manual_seed(derive(seed, "linear"))
        model = Window(features.power.n_mels, 1 + len(alphabet))
    sound, target = Padded(train.ragged("sound")), Padded(train.ragged("target"))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    draws = generator(seed, "linear order")
    chosen = torch.randperm(len(train), generator=draws)[:MOST]
    with torch.no_grad():
        made = [(*features(*sound(index)), *target(index)) for index in chosen.split(BATCH)]  # type: ignore[no-untyped-call]
    for _ in range(EPOCHS):
        for place in torch.randperm(len(made), generator=draws).tolist():
            mel, frames, symbols, mask = made[place]
            found, outputs = model(mel, frames)
            losses = F.ctc_loss(found.transpose(0, 1), symbols, outputs.sum(1), mask.sum(1), BLANK, reduction="sum")
            optimizer.zero_grad()
            (losses / mask.sum()).backward()
            optimizer.step()
    texts, pad = [""] * len(test), Padded(test.ragged("sound"))
    with torch.no_grad():
        for index in cost_shares(-(-test.ragged("sound").lengths // frame_samples), AT_ONCE, local()):
            found, outputs = model(*features(*pad(index)))
            for row, one, size in zip(index.tolist(), found, outputs.sum(1).tolist(), strict=True):
                texts[row] = greedy_text(one[:size].numpy(), alphabet)
    return texts
