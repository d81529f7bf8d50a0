"""The network: a small residual CNN over log-mel spectrograms with a branch in time alone, as BC-ResNet has it.

Each block adds to its input a convolution over bands and frames, and one over frames of the mean over all bands, which
is broadcast to every band (Kim et al. 2021, arXiv:2106.04140). Padding reaches nothing: it is zero before every
convolution, and neither the statistics of batch norm nor the pooling see it, so a recording's logits do not depend on
its neighbours in the batch.

N recordings, C channels, F bands, T frames, K classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.audio.features import LogMel
from shared.audio.params import Mel
from shared.training.weights import load_weights, read_config

from .params import Model

BANDS_FACTOR = 8  # by which the network reduces the bands


class FrameNorm(nn.Module):
    """Batch norm (N, C, F, T) whose statistics are those of the frames that are not padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, maps: Tensor, frames: Tensor) -> Tensor:
        if not self.norm.training or frames.all():
            return self.norm(maps.flatten(2)).view_as(maps) * frames[:, None, None]  # type: ignore[no-any-return]
        by_frame = maps.permute(0, 3, 1, 2)  # (N, T, C, F)
        normed = torch.zeros_like(by_frame).masked_scatter(
            frames[:, :, None, None], self.norm(by_frame[frames].contiguous()).to(maps)
        )
        return normed.permute(0, 2, 3, 1)


class Block(nn.Module):
    """(N, C, F, T) -> (N, C', F / stride, T / stride): two convolutions and the branch in time, with a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.first_norm = FrameNorm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = FrameNorm(channels)
        self.time = nn.Conv2d(channels, channels, (1, 5), padding=(0, 2), bias=False)
        self.time_norm = FrameNorm(channels)
        self.shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, maps: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        after = frames[:, :: self.stride[1]]
        inner = F.relu(self.first_norm(self.first(maps), after))
        bands = self.second_norm(self.second(inner), after)
        time = self.time_norm(self.time(inner.mean(2, keepdim=True)), after)
        return F.relu(self.shortcut(maps) + bands + time) * after[:, None, None], after


class SoundNet(nn.Module):
    """(N, F, T) log-mel and (N, T) mask -> (N, K) logits. `features` makes both of samples."""

    def __init__(self, params: Model, mel: Mel, rate_hz: int, num_classes: int) -> None:
        super().__init__()
        self.features = LogMel(mel, rate_hz)
        width = params.width
        self.stem = nn.Conv2d(1, width, 5, (2, 1), padding=2, bias=False)
        self.stem_norm = FrameNorm(width)
        self.blocks = nn.ModuleList(
            [Block(width, width, (1, 2)), Block(width, 2 * width, (2, 1)), Block(2 * width, 3 * width, (2, 2))]
        )
        rows = -(-mel.num_mels // BANDS_FACTOR)
        self.join = nn.Conv2d(3 * width, 4 * width, (rows, 1), bias=False)  # where a band lies, matters
        self.join_norm = FrameNorm(4 * width)
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(8 * width, num_classes)

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        maps = F.relu(self.stem_norm(self.stem(mel[:, None]), frames))
        for block in self.blocks:
            maps, frames = block(maps, frames)
        found = F.relu(self.join_norm(self.join(maps), frames))[:, :, 0]
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
