"""Augmentation of whole batches at once, on the device. Random numbers depend on the sample (see data/draws.py).

N recordings, L samples, F mel bands, T frames. Padding is on the right, 0 in all values, and stays so.
"""

from functools import cache

import torch
from torch import Tensor

from shared.data.draws import Draws, generator

NOISE_SAMPLES = 1 << 18  # of each kind; every recording hears another part
KINDS = 0.0, 0.5, 1.0  # of noise: power falls with frequency to the power of twice this: white, pink, brown


def change_speed(sound: Tensor, mask: Tensor, draws: Draws, most: float) -> tuple[Tensor, Tensor]:
    """Plays each recording faster or slower, pitch included, by a factor in [1 / most, most]: (N, L) float and mask.

    By linear interpolation: what it adds lies below speech for factors near 1. A slower recording is cut at its end
    where it would be longer than the batch.
    """
    factor = most ** (2 * draws.uniform() - 1)
    length = (mask.sum(1) / factor).long().clamp(1, sound.shape[1])
    at = torch.arange(sound.shape[1], device=sound.device) * factor[:, None]
    left = at.long().clamp(max=sound.shape[1] - 1)
    right = (left + 1).clamp(max=sound.shape[1] - 1)
    share = (at - left).clamp(0, 1).to(sound.dtype)
    made = sound.gather(1, left) * (1 - share) + sound.gather(1, right) * share
    inside = torch.arange(sound.shape[1], device=sound.device) < length[:, None]
    return made * inside, inside


def shift_time(sound: Tensor, mask: Tensor, draws: Draws, most: int) -> Tensor:
    """Moves each recording (N, L) by up to `most` samples within its own length; what moves in is mirrored."""
    shift, length = draws.integers(-most, most), mask.sum(1)
    at = torch.arange(sound.shape[1], device=sound.device) + shift[:, None]
    last = (length - 1)[:, None]
    at = (last - (last - at.abs()).abs()).clamp(min=0)  # reflected at both ends
    return sound.gather(1, torch.minimum(at, last)) * mask


def add_noise(sound: Tensor, mask: Tensor, draws: Draws, snr_db: Tensor) -> Tensor:
    """Adds coloured noise at (N,) signal-to-noise ratios in dB, over a recording's whole length."""
    kind = draws.integers(0, len(KINDS) - 1)
    start = draws.integers(0, NOISE_SAMPLES - 1)
    bank = _bank().to(sound)
    at = (start[:, None] + torch.arange(sound.shape[1], device=sound.device)) % NOISE_SAMPLES
    noise = bank[kind[:, None], at] * mask
    return sound + noise * (rms(sound, mask) / rms(noise, mask) * 10 ** (-snr_db.to(sound) / 20))[:, None]


def rms(sound: Tensor, mask: Tensor) -> Tensor:
    """(N,) root mean square over what is not padding; tiny where there is nothing, so that it can divide."""
    return ((sound * mask).square().sum(1) / mask.sum(1).clamp(min=1)).sqrt().clamp(min=1e-8)


@cache
def _bank() -> Tensor:
    """(kinds, NOISE_SAMPLES): noise of mean power 1, the same on every machine."""
    white = torch.randn(NOISE_SAMPLES, generator=generator(0, "noise"), dtype=torch.float64)
    spectrum = torch.fft.rfft(white)
    fall = torch.arange(len(spectrum), dtype=torch.float64).clamp(
        min=NOISE_SAMPLES / 400
    )  # flat below 1/200 of Nyquist
    kinds = [torch.fft.irfft(spectrum * fall**-kind, n=NOISE_SAMPLES) for kind in KINDS]
    return torch.stack([kind / kind.square().mean().sqrt() for kind in kinds])


def mask_bands(logs: Tensor, frames: Tensor, draws: Draws, most_bands: int, most_frames: int) -> Tensor:
    """SpecAugment (Park et al. 2019, arXiv:1904.08779) without warping: blanks one stripe of bands and one of frames in
    each (N, F, T), with the recording's mean, which is 0."""
    width, height = draws.integers(0, most_frames), draws.integers(0, most_bands)
    left = (draws.uniform() * (frames.sum(1) - width + 1).clamp(min=1)).long()
    low = (draws.uniform() * (logs.shape[1] - height + 1)).long()
    time, band = (torch.arange(size, device=logs.device) for size in (logs.shape[2], logs.shape[1]))
    in_time = (time >= left[:, None]) & (time < (left + width)[:, None])
    in_band = (band >= low[:, None]) & (band < (low + height)[:, None])
    return logs.masked_fill(in_time[:, None] | in_band[:, :, None], 0)
