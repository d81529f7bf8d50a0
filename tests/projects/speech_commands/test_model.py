"""What the network promises: neighbours and padding change nothing, in training as well."""

import pytest
import torch

from projects.speech_commands.model import SoundNet
from projects.speech_commands.params import Model
from shared.audio.layers import FrameNorm
from shared.audio.params import Mel
from tests.shared.audio.tones import as_if_trained, padded_noise

MEL = Mel(num_mels=24, window_ms=32.0, hop_ms=12.5, low_hz=60.0)


@pytest.fixture(params=[0, 6])
def model(request: pytest.FixtureRequest) -> SoundNet:
    torch.manual_seed(0)
    model = SoundNet(Model(width=4, recurrent_size=request.param, dropout=0.0), MEL, 8000, 3)
    as_if_trained(model)
    return model


@torch.no_grad()
def test_logits_do_not_depend_on_the_batch(model: SoundNet) -> None:
    wave, mask = padded_noise([9000, 2000, 5000, 301])
    together = model(*model.features(wave, mask))
    for row, length in enumerate([9000, 2000, 5000, 301]):
        alone = model(*model.features(wave[row : row + 1, :length], mask[row : row + 1, :length]))
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-5)


def test_batch_statistics_are_those_of_the_frames_that_sound() -> None:
    norm = FrameNorm(2).train()
    maps, frames = torch.randn(3, 2, 5, 8), torch.arange(8) < torch.tensor([8, 3, 5])[:, None]
    made = norm(maps, frames)
    inside = made.permute(0, 3, 1, 2)[frames]
    torch.testing.assert_close(inside.mean((0, 2)), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(inside.var((0, 2), unbiased=False), torch.ones(2), rtol=0, atol=1e-3)
    assert (made.permute(0, 3, 1, 2)[~frames] == 0).all()
    again = norm(torch.where(frames[:, None, None], maps, 99.0), frames)
    torch.testing.assert_close(again, made)


def test_the_gradient_reaches_every_weight(model: SoundNet) -> None:
    wave, mask = padded_noise([4000, 3000])
    model.train()(*model.features(wave, mask)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())
