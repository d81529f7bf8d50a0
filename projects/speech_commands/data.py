"""Prepared recordings -> batches: augmentation of the wave and of the spectrogram.

B batch, L samples, F mel bands, T frames.
"""

import torch

from shared.audio.augment import change_speed, heard, mix, shift_time
from shared.audio.features import LogMel, full_scale
from shared.data.batches import Batch, Read
from shared.data.draws import Draws

from .params import Train


@torch.no_grad()
def augment(batch: Batch, epoch: float, params: Train, features: LogMel, read: Read, count: int) -> Batch:
    """Plays at another speed, shifts, mixes with another recording, adds noise, changes voice and microphone, blanks
    stripes: each drawn by (seed, epoch, sample).

    Args:
        batch: sound (B, L) int16, sound_mask (B, L) bool, sample (B,) int64, index in the split.
        features: for the recordings' rate.
        read: sound and label of any of the `count` training recordings.

    Returns:
        mel (B, F, T) float and mel_mask (B, T) in place of the sound; where recordings are mixed, other_label (B,)
        int64 and share (B,) float, that of the first label.
    """
    draws, rate_hz = Draws(params.seed, int(epoch) + 1, batch["sample"]), features.power.sample_rate
    sound, mask = full_scale(batch["sound"]), batch["sound_mask"]
    if params.speed > 1:
        sound, mask = change_speed(sound, mask, draws, params.speed)
    if params.shift_ms:
        sound = shift_time(sound, mask, draws, round(params.shift_ms * rate_hz / 1000))
    labels = {name: value for name, value in batch.items() if name not in ("sound", "sound_mask")}
    if params.mix_share:
        mixed, share = draws.uniform() < params.mix_share, 0.5 + draws.uniform() / 2
        other, share = read(draws.integers(0, count - 1)), torch.where(mixed, share, 1.0)
        there = full_scale(other["sound"]).to(sound), other["sound_mask"].to(mask.device)
        sound = mix(sound, mask, *there, share)
        labels |= {"other_label": other["label"].to(share.device), "share": share}
    mel, frames = heard(sound, mask, draws, params, features)
    return labels | {"mel": mel, "mel_mask": frames}
