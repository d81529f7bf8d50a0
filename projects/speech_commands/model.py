"""The network: a small residual CNN over log-mel spectrograms, a GRU in both directions if wanted, pooling over time.

Padding reaches none of these, so a recording's logits do not depend on its neighbours in the batch.

N recordings, F bands, T frames, K classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.audio.features import LogMel
from shared.audio.layers import MelTrunk
from shared.audio.params import Mel
from shared.training.recurrent import BothWays, back_to_front
from shared.training.weights import load_weights, read_config

from .params import Model

TIME_STRIDES = 2, 1, 2  # of the blocks


class SoundNet(nn.Module):
    """(N, F, T) log-mel and (N, T) mask -> (N, K) logits. `features` makes both of samples."""

    def __init__(self, params: Model, mel: Mel, rate_hz: int, num_classes: int) -> None:
        super().__init__()
        self.features = LogMel(mel, rate_hz)
        self.trunk = MelTrunk(params.width, mel.num_mels, TIME_STRIDES)
        size = 2 * params.recurrent_size or self.trunk.size
        self.recurrent = BothWays(nn.GRU, self.trunk.size, params.recurrent_size) if params.recurrent_size else None
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(2 * size, num_classes)

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        found, frames = self.trunk(mel, frames)
        if self.recurrent is not None:
            found = self.recurrent(found.mT, back_to_front(frames)).mT
        inside = frames[:, None]
        mean = (found * inside).sum(2) / frames.sum(1, keepdim=True)
        highest = found.masked_fill(~inside, -torch.inf).amax(2)
        logits: Tensor = self.head(self.dropout(torch.cat([mean, highest], 1)))
        return logits


def build_model(config: Mapping[str, Any]) -> SoundNet:
    """An untrained network.

    Args:
        config: model and mel (see params.py), classes, rate_hz: what model.json holds.
    """
    return SoundNet(Model(**config["model"]), Mel(**config["mel"]), config["rate_hz"], len(config["classes"]))


def load_model(folder: Path) -> tuple[SoundNet, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
