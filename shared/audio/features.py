"""Log-mel spectrograms of whole batches at once, on the device; padding changes nothing.

N recordings, L samples, F mel bands, T frames. Powers are torchaudio's (HTK mel scale, Hann window, frames centred at
t * hop, zeros beyond both ends).
"""

from math import ceil, log, log2

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from shared.audio.params import Mel

RANGE_DB = 60.0  # what lies further below the loudest place of a recording is as good as silence
AT_ONCE = 16  # recordings that are transformed together on a CPU
_FLOOR = 1e-12  # added to powers, so that zeros have a logarithm


class LogMel(nn.Module):
    """(N, L) samples and mask -> (N, F, T) log powers and (N, T) mask.

    The logarithm's floor lies RANGE_DB below the recording's loudest place, and the recording's mean is removed: how
    loud it is changes nothing. Where padded, and where a recording is digitally silent, the values are 0.
    """

    def __init__(self, params: Mel, rate_hz: int) -> None:
        super().__init__()
        window, self.hop = round(params.window_ms * rate_hz / 1000), round(params.hop_ms * rate_hz / 1000)
        num_fft = 2 ** ceil(log2(2 * window))  # twice as fine as the window, so that no low band lies between bins
        self.power = torchaudio.transforms.MelSpectrogram(
            rate_hz, num_fft, window, self.hop, params.low_hz, rate_hz / 2, n_mels=params.num_mels, pad_mode="constant"
        )

    def forward(self, sound: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """sound (N, L) float, or int16 as it is kept; mask (N, L) bool, padded on the right.

        On a CPU a few recordings at a time: what is made of a whole batch does not fit into its caches.
        """
        if sound.device.type != "cpu" or len(sound) <= AT_ONCE:
            return self._features(sound, mask)
        parts = zip(sound.split(AT_ONCE), mask.split(AT_ONCE), strict=True)  # type: ignore[no-untyped-call]
        logs, frames = zip(*(self._features(*part) for part in parts), strict=True)
        return torch.cat(logs), torch.cat(frames)

    def alone(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """(L,) float32 samples of one recording -> (1, F, T) and (1, T), on this module's device."""
        sound = torch.from_numpy(samples)[None].to(self.power.spectrogram.window.device)
        return self(sound, torch.ones_like(sound, dtype=torch.bool))  # type: ignore[no-any-return]

    def _features(self, sound: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        powers = self.powers(torch.where(mask, full_scale(sound), 0))
        frames = torch.arange(powers.shape[2], device=mask.device) * self.hop < mask.sum(1)[:, None]
        inside = frames[:, None]
        logs = (powers + _FLOOR).log()
        highest = logs.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True)
        logs = torch.maximum(logs, highest - RANGE_DB / 10 * log(10)) * inside
        mean = logs.sum((1, 2), keepdim=True) / (inside.sum((1, 2), keepdim=True) * logs.shape[1])
        return (logs - mean) * inside, frames

    def powers(self, sound: Tensor) -> Tensor:
        """(N, L) float -> (N, F, T): what `power` gives, without the square roots that it takes and squares again."""
        form, bands = self.power.spectrogram, self.power.mel_scale.fb  # (bins, F)
        spectrum = torch.stft(
            sound, form.n_fft, form.hop_length, form.win_length, form.window, center=True, pad_mode="constant",
            return_complex=True,
        )  # fmt: skip
        real, imaginary = torch.view_as_real(spectrum).unbind(3)
        found: Tensor = bands.T @ (real.square() + imaginary.square())
        return found


def full_scale(sound: Tensor) -> Tensor:
    """int16 -> float of full scale 1; floats as they are."""
    return sound if sound.is_floating_point() else sound.to(torch.get_default_dtype()) / 32768


def mfcc(logs: Tensor, number: int) -> Tensor:
    """(N, F, T) log-mel -> (N, number, T) cepstral coefficients, as torchaudio's MFCC has them (orthonormal DCT-II)."""
    basis = torchaudio.functional.create_dct(number, logs.shape[1], "ortho").to(logs)  # (F, number)
    found: Tensor = basis.T @ logs
    return found


def mel_edges_hz(params: Mel, rate_hz: int) -> Tensor:
    """(F + 2,): band f rises from the f-th to the next and falls to the one after (HTK scale)."""
    low, high = (2595 * torch.log10(1 + torch.tensor(hz, dtype=torch.float64) / 700)
                 for hz in (params.low_hz, rate_hz / 2))  # fmt: skip
    mels = low + (high - low) * torch.linspace(0, 1, params.num_mels + 2, dtype=torch.float64)
    return 700 * (10 ** (mels / 2595) - 1)
