"""Prepared utterances -> batches.

B batch, L samples, F mel bands, T frames, S symbols.
"""

import torch

from shared.audio.augment import change_speed, heard
from shared.audio.features import LogMel, full_scale
from shared.core.errors import UserError
from shared.data.batches import Batch
from shared.data.draws import Draws
from shared.data.table import Table

from .decode import frames_needed, num_frames
from .params import Train


@torch.no_grad()
def augment(batch: Batch, epoch: float, params: Train, features: LogMel) -> Batch:
    """Plays at another speed, adds noise, changes voice and microphone, blanks stripes: each drawn by (seed, epoch,
    sample).

    Args:
        batch: sound (B, L) int16, sound_mask (B, L) bool, sample (B,) int64; target (B, S) int64 and its mask.
        features: for the recordings' rate.

    Returns:
        mel (B, F, T) float and mel_mask (B, T) in place of the sound.
    """
    draws = Draws(params.seed, int(epoch) + 1, batch["sample"])
    sound, mask = full_scale(batch["sound"]), batch["sound_mask"]
    if params.speed > 1:
        sound, mask = change_speed(sound, mask, draws, params.speed)
    mel, frames = heard(sound, mask, draws, params, features)
    rest = {name: value for name, value in batch.items() if name not in ("sound", "sound_mask")}
    return rest | {"mel": mel, "mel_mask": frames}


def check_speed(table: Table, speed: float, rate_hz: int, frame_ms: float) -> None:
    """Raises UserError where an utterance played so much faster would be too short for its text: an infinite loss."""
    sounds, targets, bad = table.ragged("sound").lengths, table.ragged("target"), []
    for row, size in enumerate(sounds.tolist()):
        if num_frames(int(size / speed), rate_hz, frame_ms) < frames_needed(targets.row(row).tolist()):
            bad.append(table.strings("id")[row])
    if bad:
        raise UserError(
            f"train.speed={speed:g}: played so fast, {len(bad):,} utterances are too short for their texts: "
            + ", ".join(bad[:3]) + ", ..." * (len(bad) > 3),
            fix="a smaller train.speed or prepare.frame_ms",
        )  # fmt: skip
