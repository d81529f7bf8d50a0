"""Prepared recordings -> batches: augmentation of the wave and of the spectrogram.

B batch, L samples, F mel bands, T frames.
"""

import torch

from shared.audio.augment import add_noise, change_speed, mask_bands, shift_time
from shared.audio.features import LogMel, full_scale
from shared.data.batches import Batch
from shared.data.draws import Draws

from .params import Train

QUIET_DB = 100.0  # the ratio of recordings that get no noise


@torch.no_grad()
def augment(batch: Batch, epoch: float, params: Train, features: LogMel) -> Batch:
    """Shifts, plays at another speed, adds noise, blanks stripes: each drawn by (seed, epoch, sample).

    Args:
        batch: sound (B, L) int16, sound_mask (B, L) bool, sample (B,) int64, index in the split.
        features: for the recordings' rate.

    Returns:
        mel (B, F, T) float and mel_mask (B, T) in place of the sound.
    """
    draws, sound, mask = (
        Draws(params.seed, int(epoch) + 1, batch["sample"]),
        full_scale(batch["sound"]),
        batch["sound_mask"],
    )
    rate_hz = features.power.sample_rate
    if params.speed > 1:
        sound, mask = change_speed(sound, mask, draws, params.speed)
    if params.shift_ms:
        sound = shift_time(sound, mask, draws, round(params.shift_ms * rate_hz / 1000))
    if params.noise_share:
        noisy, (low, high) = draws.uniform() < params.noise_share, params.noise_db
        sound = add_noise(sound, mask, draws, torch.where(noisy, low + (high - low) * draws.uniform(), QUIET_DB))
    mel, frames = features(sound, mask)
    if params.mask_bands or params.mask_frames:
        mel = mask_bands(mel, frames, draws, params.mask_bands, params.mask_frames)
    rest = {name: value for name, value in batch.items() if name not in ("sound", "sound_mask")}
    return rest | {"mel": mel, "mel_mask": frames}
