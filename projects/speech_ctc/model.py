"""The network: convolutions over a log-mel spectrogram, a GRU in both directions, a symbol for each 25 ms or so.

Padding reaches nothing: it is zero before every convolution, batch norm does not see it, and the GRU's way back begins
at the end of the recording, so a recording has the same outputs alone and in any batch.

N recordings, F bands, T frames of the spectrogram, T' outputs, K symbols, of which 0 is the blank.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from shared.audio.features import LogMel
from shared.audio.layers import MelTrunk
from shared.audio.params import Bands, Mel
from shared.training.recurrent import BothWays, back_to_front
from shared.training.weights import load_weights, read_config

from .decode import BLANK, frame_samples
from .params import Model

TIME_STRIDES = 2, 1, 1  # of the blocks: two frames of the spectrogram become one output


class Recogniser(nn.Module):
    """(N, F, T) log-mel and (N, T) mask -> (N, T', K) log probabilities in fp32 at least, and (N, T') mask.

    `features` makes both inputs of samples. The mean over time of each band is removed first: a microphone's colour
    changes nothing, and part of a voice's. Where padded, the outputs mean nothing.
    """

    def __init__(self, params: Model, bands: Bands, rate_hz: int, frame_ms: float, num_symbols: int) -> None:
        super().__init__()
        self.frame_samples = frame_samples(rate_hz, frame_ms)
        self.mel = Mel(**bands.model_dump(), hop_ms=500 * self.frame_samples / rate_hz)
        self.features = LogMel(self.mel, rate_hz)
        self.trunk = MelTrunk(params.width, bands.num_mels, TIME_STRIDES)
        self.before, self.behind = nn.Dropout(params.dropout), nn.Dropout(params.dropout)
        self.recurrent = BothWays(nn.GRU, self.trunk.size, params.hidden_size)
        self.head = nn.Linear(2 * params.hidden_size, num_symbols)

    def forward(self, mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        centred = (mel - mel.sum(2, keepdim=True) / frames.sum(1)[:, None, None]) * frames[:, None]
        found, frames = self.trunk(centred, frames)
        hidden = self.recurrent(self.before(found.mT), back_to_front(frames))
        logits = self.head(self.behind(hidden))
        return (logits if logits.dtype.itemsize >= 4 else logits.float()).log_softmax(2), frames


def ctc(log_probs: Tensor, frames: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """(N,): the negative log probability of each target, (N, S) padded (Graves et al. 2006)."""
    return F.ctc_loss(log_probs.transpose(0, 1), target, frames.sum(1), mask.sum(1), BLANK, reduction="none")


def build_model(config: Mapping[str, Any]) -> Recogniser:
    """An untrained network.

    Args:
        config: model and bands (see params.py), alphabet, rate_hz, frame_ms: what model.json holds.
    """
    model, bands = Model(**config["model"]), Bands(**config["bands"])
    return Recogniser(model, bands, config["rate_hz"], config["frame_ms"], 1 + len(config["alphabet"]))


def load_model(folder: Path) -> tuple[Recogniser, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
