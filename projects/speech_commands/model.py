"""The network: a small residual CNN over log-mel spectrograms, mean and maximum over time, a linear head.

Padding reaches neither the convolutions nor the pooling, so a recording's logits do not depend on its neighbours in the
batch.

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
from shared.training.weights import load_weights, read_config

from .params import Model

TIME_STRIDES = 2, 1, 2  # of the blocks


class SoundNet(nn.Module):
    """(N, F, T) log-mel and (N, T) mask -> (N, K) logits. `features` makes both of samples."""

    def __init__(self, params: Model, mel: Mel, rate_hz: int, num_classes: int) -> None:
        super().__init__()
        self.features = LogMel(mel, rate_hz)
        self.trunk = MelTrunk(params.width, mel.num_mels, TIME_STRIDES)
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(2 * self.trunk.size, num_classes)

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        found, frames = self.trunk(mel, frames)
        mean = found.sum(2) / frames.sum(1, keepdim=True)  # the padding is 0, and nothing is below 0
        logits: Tensor = self.head(self.dropout(torch.cat([mean, found.amax(2)], 1)))
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
