"""What the network promises: neighbours and padding change nothing; what the question of explain asks."""

import pytest
import torch

from projects.speech_ctc.decode import num_frames
from projects.speech_ctc.explain import value
from projects.speech_ctc.model import Recogniser, ctc
from projects.speech_ctc.params import Model
from shared.audio.params import Bands
from tests.shared.audio.tones import as_if_trained, padded_noise

BANDS = Bands(num_mels=24, window_ms=32.0, low_hz=60.0)
LENGTHS = [9000, 2000, 5001, 301]


@pytest.fixture
def model() -> Recogniser:
    torch.manual_seed(0)
    model = Recogniser(Model(width=4, hidden_size=8, dropout=0.0), BANDS, 8000, 25.0, 5)
    as_if_trained(model)
    return model


@torch.no_grad()
def test_outputs_do_not_depend_on_the_batch_and_are_as_many_as_prepare_counts(model: Recogniser) -> None:
    wave, mask = padded_noise(LENGTHS)
    together, frames = model(*model.features(wave, mask))
    assert frames.sum(1).tolist() == [num_frames(length, 8000, 25.0) for length in LENGTHS]
    for row, length in enumerate(LENGTHS):
        alone, own = model(*model.features(wave[row : row + 1, :length], mask[row : row + 1, :length]))
        size = int(own.sum())
        assert size == int(frames[row].sum())
        torch.testing.assert_close(alone[0, :size], together[row, :size], rtol=0, atol=1e-5)


def test_the_loss_reaches_every_weight(model: Recogniser) -> None:
    found, outputs = model(*model.features(*padded_noise([4000, 2000])))
    ctc(found, outputs, torch.tensor([[1, 2], [3, 0]]), torch.tensor([[True, True], [True, False]])).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


@torch.no_grad()
def test_what_is_explained_are_the_log_odds_of_the_text_with_the_word(model: Recogniser) -> None:
    mel, frames = model.features(*padded_noise([4000]))
    batch = {"mel": mel, "mel_mask": frames}
    for name, text in (("with", [2, 1, 3]), ("without", [2])):
        batch |= {name: torch.tensor([text]), f"{name}_mask": torch.ones(1, len(text), dtype=torch.bool)}
    log_probs, outputs = model(mel, frames)
    losses = [
        ctc(log_probs, outputs, torch.tensor([text]), torch.ones(1, len(text), dtype=torch.bool))[0]
        for text in ([2], [2, 1, 3])
    ]
    torch.testing.assert_close(value(model, batch)[0], losses[0] - losses[1])
