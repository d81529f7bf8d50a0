"""Parts in time and frequency: what is removed is removed, in the features as in the sound."""

import numpy as np
import torch
from torch import Tensor, nn

from shared.audio.features import LogMel, mel_edges_hz
from shared.audio.params import Mel
from shared.audio.parts import BANDS, SOUND_METHODS, SoundScene, evidence_parts, resynthesise
from shared.data.batches import Batch
from shared.explain.parts import Subject
from tests.shared.audio.tones import tone

MEL = Mel(num_mels=40, window_ms=32.0, hop_ms=10.0, low_hz=50.0)
RATE_HZ, PART = 8000, 8


def scene() -> SoundScene:
    """Two recordings of 100 and 60 frames, the first with a loud patch."""
    mel = 0.1 * torch.randn(2, 40, 100, generator=torch.Generator().manual_seed(0))
    mel[0, 10:15, 40:48] += 5
    frames = torch.arange(100) < torch.tensor([100, 60])[:, None]
    return SoundScene(mel * frames[:, None], frames, PART, {"target": torch.tensor([0, 1])})


class Patch(nn.Module):
    """Hears one patch: the mean of the bands and frames that the loud one has."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        return self.weight * mel[:, 10:15, 40:48].mean((1, 2))


def subject() -> Subject:
    some = scene()
    return Subject(Patch(), some, lambda model, batch: model(batch["mel"], batch["mel_mask"]), int(some.sizes.max()))


def test_parts_are_ordered_by_time_then_frequency() -> None:
    some = scene()
    assert some.sizes.tolist() == [13 * BANDS, 8 * BANDS]
    assert some.part_of[0, :9].tolist() == [0] * 8 + [BANDS]
    assert some.part_of[::5, 0].tolist() == list(range(BANDS))


def test_removed_parts_are_quiet_and_the_others_untouched() -> None:
    some = scene()
    kept = torch.ones(1, int(some.sizes.max()), dtype=torch.bool)
    kept[0, 5 * BANDS + 2] = False  # the loud patch
    batch: Batch = some.present(torch.tensor([0]), kept)
    assert batch["mel"][0, 10:15, 40:48].max() < 0.1
    changed = batch["mel"][0] != some.mel[0]
    assert changed.nonzero().amin(0).tolist() == [10, 40]
    assert changed.nonzero().amax(0).tolist() == [14, 47]


def test_methods_find_the_patch_that_decides() -> None:
    for name, method in SOUND_METHODS.items():
        maps = method.run(subject(), 0)
        assert maps.shape == (2, 13 * BANDS)
        row, column = divmod(int(maps[0].argmax()), BANDS)
        assert abs(row - 5) <= (name == "group_occlusion"), name
        assert abs(column - 2) <= (name == "group_occlusion"), name
        assert (maps[1, 8 * BANDS :] == 0).all()
        if method.complete:
            torch.testing.assert_close(maps.sum(1), subject().change, rtol=1e-3, atol=1e-3)


def test_evidence_is_the_parts_that_lie_inside() -> None:
    edges = mel_edges_hz(MEL, RATE_HZ)
    box = torch.tensor([[0.40, 0.48, edges[11], edges[15]], [torch.nan] * 4], dtype=torch.float64)
    found = evidence_parts(box, scene(), edges, 0.01)
    assert found[0].nonzero().flatten().tolist() == [5 * BANDS + 2]
    assert not found[1].any()


def test_a_tone_is_removed_from_the_sound_and_another_stays() -> None:
    features = LogMel(MEL, RATE_HZ)
    both = (tone(400, 1.0, RATE_HZ) + tone(2000, 1.0, RATE_HZ)).astype(np.float32)
    both[:2000] = both[6000:] = 0
    noise = np.random.default_rng(0).normal(0, 1e-3, len(both)).astype(np.float32)
    edges = mel_edges_hz(MEL, RATE_HZ)[1:-1]
    kept = (edges < 1000)[:, None].expand(-1, 100)
    made = resynthesise(both + noise, kept, features)
    assert made.shape == both.shape
    spectrum = np.abs(np.fft.rfft(made[2500:5500] * np.hanning(3000)))
    assert spectrum[round(400 * 3000 / RATE_HZ)] > 100 * spectrum[round(2000 * 3000 / RATE_HZ)]
    whole = resynthesise(both + noise, torch.ones(40, 100, dtype=torch.bool), features)
    assert np.abs(whole - both - noise).max() < 1e-4
