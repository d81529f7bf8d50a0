"""Augmentation of whole batches at once, on the device. Random numbers depend on the sample (see data/draws.py).

N recordings, L samples, F mel bands, T frames. Padding is on the right, 0 in all values, and stays so.
"""

from functools import cache
from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional as F

from shared.audio.features import LogMel
from shared.audio.params import SoundChanges
from shared.data.draws import Draws, generator

NOISE_SAMPLES = 1 << 18  # of each kind; every recording hears another part
QUIET_DB = 100.0  # the ratio of recordings that get no noise
WAVES = 4  # cosines over all bands that a random filter is made of
KINDS = 0.0, 0.5, 1.0  # of noise: power falls with frequency to the power of twice this: white, pink, brown


def change_speed(sound: Tensor, mask: Tensor, draws: Draws, most: float) -> tuple[Tensor, Tensor]:
    """Plays each recording faster or slower, pitch included, by a factor in [1 / most, most]: (N, L') float and mask,
    as wide as the longest of them then.

    By linear interpolation: what it adds lies below speech for factors near 1.
    """
    factor = most ** (2 * draws.uniform() - 1)
    length = (mask.sum(1) / factor).long().clamp(min=1)
    place = torch.arange(int(length.max()), device=sound.device)
    at = place * factor[:, None]
    left = at.long().clamp(max=sound.shape[1] - 1)
    right = (left + 1).clamp(max=sound.shape[1] - 1)
    share = (at - left).clamp(0, 1).to(sound.dtype)
    made = sound.gather(1, left) * (1 - share) + sound.gather(1, right) * share
    inside = place < length[:, None]
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


def mix(sound: Tensor, mask: Tensor, other: Tensor, other_mask: Tensor, share: Tensor) -> Tensor:
    """Mixup (Zhang et al. 2018, arXiv:1710.09412) of (N, L) recordings with N others, which are made as loud and cut to
    the same lengths.

    Args:
        share: (N,) in [0, 1], of the first ones.
    """
    both = F.pad(other, (0, sound.shape[1] - other.shape[1])) * mask
    louder = rms(sound, mask) / rms(other, other_mask)
    return sound * share[:, None] + both * (louder * (1 - share))[:, None]


def rms(sound: Tensor, mask: Tensor) -> Tensor:
    """(N,) root mean square over what is not padding; tiny where there is nothing, so that it can divide."""
    return ((sound * mask).square().sum(1) / mask.sum(1).clamp(min=1)).sqrt().clamp(min=1e-8)


@cache
def _bank() -> Tensor:
    """(kinds, NOISE_SAMPLES): noise of mean power 1, the same on every machine."""
    white = torch.randn(NOISE_SAMPLES, generator=generator(0, "noise"), dtype=torch.float64)
    spectrum = torch.fft.rfft(white)
    flat = NOISE_SAMPLES / 400  # bins up to 1/200 of Nyquist
    fall = torch.arange(len(spectrum), dtype=torch.float64).clamp(min=flat)
    kinds = [torch.fft.irfft(spectrum * fall**-kind, n=NOISE_SAMPLES) for kind in KINDS]
    return torch.stack([kind / kind.square().mean().sqrt() for kind in kinds])


def warp_bands(logs: Tensor, draws: Draws, most: float) -> Tensor:
    """Stretches the bands of each (N, F, T) by a factor in [1 / most, most], from the lowest upwards: another length of
    the vocal tract (Jaitly & Hinton 2013). Beyond the highest band its values go on."""
    factor = most ** (2 * draws.uniform() - 1)
    at = (torch.arange(logs.shape[1], device=logs.device) * factor[:, None]).clamp(max=logs.shape[1] - 1)
    left = at.long()
    right, share = (left + 1).clamp(max=logs.shape[1] - 1), (at - left).to(logs)[:, :, None]
    low, high = (logs.gather(1, place[:, :, None].expand_as(logs)) for place in (left, right))
    return low + (high - low) * share


def tilt(logs: Tensor, frames: Tensor, draws: Draws, deviation_db: float) -> Tensor:
    """Passes each (N, F, T) log power through a smooth filter: another microphone or room. Its response is a sum of
    slow cosines over the bands and deviates from 0 dB by deviation_db (root mean square, on average)."""
    band = (torch.arange(logs.shape[1], device=logs.device) + 0.5) / logs.shape[1]
    # cosines have a mean square of 1/2, the draws one of 1/3
    scale = deviation_db * log(10) / 10 * float((6 / WAVES) ** 0.5)
    response = torch.zeros(logs.shape[:2], device=logs.device)
    for wave in range(1, WAVES + 1):
        response += (2 * draws.uniform() - 1)[:, None] * torch.cos(pi * wave * band)
    return logs + (scale * response).to(logs)[:, :, None] * frames[:, None]


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


def heard(sound: Tensor, mask: Tensor, draws: Draws, params: SoundChanges, features: LogMel) -> tuple[Tensor, Tensor]:
    """Log-mel (N, F, T) and mask (N, T) of (N, L) float recordings in noise, by another voice and microphone, with
    blanked stripes. Their speed is changed before (`change_speed`), since that moves what a project may know of time.
    """
    if params.noise_share:
        noisy, (low, high) = draws.uniform() < params.noise_share, params.noise_db
        sound = add_noise(sound, mask, draws, torch.where(noisy, low + (high - low) * draws.uniform(), QUIET_DB))
    mel, frames = features(sound, mask)
    if params.warp > 1:
        mel = warp_bands(mel, draws, params.warp)
    if params.tilt_db:
        mel = tilt(mel, frames, draws, params.tilt_db)
    if params.mask_bands or params.mask_frames:
        mel = mask_bands(mel, frames, draws, params.mask_bands, params.mask_frames)
    return mel, frames
