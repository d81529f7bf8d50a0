"""Features are torchaudio's, and a recording's do not depend on its neighbours."""

import torch
import torchaudio

from shared.audio.features import LogMel, mel_edges_hz, mfcc
from shared.audio.params import Mel

MEL = Mel(num_mels=40, window_ms=32.0, hop_ms=10.0, low_hz=50.0)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 0.1


def test_powers_are_those_of_torchaudio() -> None:
    features, sound = LogMel(MEL, 8000), noise(3, 4000)
    expected = torchaudio.transforms.MelSpectrogram(
        8000, 512, 256, 80, f_min=50.0, f_max=4000.0, n_mels=40, pad_mode="constant"
    )(sound)
    torch.testing.assert_close(features.powers(sound), expected, rtol=1e-5, atol=0)
    logs, frames = features(sound, torch.ones(3, 4000, dtype=torch.bool))
    assert frames.sum(1).tolist() == [50] * 3
    logs = logs[:, :, :50]
    torch.testing.assert_close(logs - logs.mean((1, 2), keepdim=True), logs, rtol=0, atol=1e-4)
    contrast = logs[0, 5, 10] - logs[0, 30, 20]
    torch.testing.assert_close(contrast, (expected[0, 5, 10] / expected[0, 30, 20]).log(), rtol=1e-4, atol=1e-4)


def test_cepstra_are_those_of_torchaudio() -> None:
    logs = noise(2, 40, 30)
    expected = torchaudio.functional.create_dct(13, 40, "ortho").T @ logs
    torch.testing.assert_close(mfcc(logs, 13), expected)


def test_padding_and_loudness_change_nothing() -> None:
    features, sound = LogMel(MEL, 8000), noise(1, 3000)
    alone, frames = features(sound, torch.ones(1, 3000, dtype=torch.bool))
    padded = torch.cat([sound, noise(1, 2000)], 1)
    mask = torch.arange(5000)[None] < 3000
    together, more = features(padded, mask)
    assert more.sum() == frames.sum()
    width = int(frames.sum())
    torch.testing.assert_close(together[:, :, :width], alone[:, :, :width], rtol=0, atol=1e-5)
    assert (together[:, :, width:] == 0).all()
    quiet, _ = features(sound * 0.01, torch.ones(1, 3000, dtype=torch.bool))
    torch.testing.assert_close(quiet, alone, rtol=0, atol=1e-3)


def test_digital_silence_gives_zeros() -> None:
    logs, _ = LogMel(MEL, 8000)(torch.zeros(1, 2000), torch.ones(1, 2000, dtype=torch.bool))
    assert (logs.abs() < 1e-4).all()


def test_the_bands_edges_are_those_of_the_filters() -> None:
    features, edges = LogMel(MEL, 8000), mel_edges_hz(MEL, 8000)
    hz = torch.linspace(0, 4000, 257)
    for band, filter_ in enumerate(features.power.mel_scale.fb.T):
        used = hz[filter_ > 0]
        assert edges[band] <= used.min() + 1e-2
        assert used.max() <= edges[band + 2] + 1e-2


def test_a_recording_alone_is_a_batch_of_one() -> None:
    features, sound = LogMel(MEL, 8000), noise(1, 3000)
    expected, frames = features(sound, torch.ones(1, 3000, dtype=torch.bool))
    logs, own = features.alone(sound[0].numpy())
    assert torch.equal(logs, expected)
    assert torch.equal(own, frames)


def test_a_large_batch_is_made_in_parts_with_the_same_values() -> None:
    features, sound = LogMel(MEL, 8000), noise(40, 2000)
    mask = torch.arange(2000)[None] < torch.arange(1000, 2000, 25)[:, None]
    logs, frames = features(sound, mask)
    for row in (0, 17, 39):
        alone, own = features(sound[row : row + 1], mask[row : row + 1])
        torch.testing.assert_close(logs[row], alone[0], rtol=0, atol=1e-5)
        assert torch.equal(frames[row], own[0])
