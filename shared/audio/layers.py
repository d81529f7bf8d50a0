"""Layers over spectrograms that padding does not reach: 0 before every convolution, and unseen by batch norm.

N recordings, C channels, F bands, T frames; masks (N, T) are True on frames that sound.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
    """(N, C, F, T) -> (N, C', F / stride, T / stride): two convolutions, and one over frames alone of the mean over all
    bands, which is broadcast to every band, with a shortcut, as BC-ResNet has it (Kim et al. 2021, arXiv:2106.04140).
    """

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


class MelTrunk(nn.Module):
    """(N, F, T) log-mel and (N, T) mask -> (N, size, T') of a residual CNN, 0 where padded, and (N, T').

    Args:
        width: channels of the first block; the others have twice and three times as many.
        time_strides: of the three blocks; the bands are always reduced to an eighth, over which a last convolution
            spans, since where a band lies, matters.
    """

    def __init__(self, width: int, num_mels: int, time_strides: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = 4 * width
        self.stem = nn.Conv2d(1, width, 5, (2, 1), padding=2, bias=False)
        self.stem_norm = FrameNorm(width)
        channels, first = (width, width, 2 * width, 3 * width), (1, 2, 2)
        self.blocks = nn.ModuleList(
            [Block(channels[k], channels[k + 1], (first[k], time_strides[k])) for k in range(len(first))]
        )
        self.join = nn.Conv2d(3 * width, self.size, (-(-num_mels // 8), 1), bias=False)
        self.join_norm = FrameNorm(self.size)

    def forward(self, mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        maps = F.relu(self.stem_norm(self.stem(mel[:, None]), frames))
        for block in self.blocks:
            maps, frames = block(maps, frames)
        return F.relu(self.join_norm(self.join(maps), frames))[:, :, 0], frames
