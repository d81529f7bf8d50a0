"""What a sample looks like depends on (seed, epoch, sample) alone, and padding stays padding."""

import pytest
import torch

from shared.audio.augment import add_noise, change_speed, mask_bands, mix, rms, shift_time, tilt, warp_bands
from shared.data.draws import Draws


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(4000)[None] < torch.tensor([[4000], [2500], [1000]])
    return torch.randn(3, 4000, generator=torch.Generator().manual_seed(0)) * mask, mask


def test_the_noise_has_the_ratio_that_was_asked_for() -> None:
    sound, mask = batch()
    wanted = torch.tensor([20.0, 0.0, -5.0])
    noise = add_noise(sound, mask, Draws(0, 1, torch.arange(3)), wanted) - sound
    found = 20 * torch.log10(rms(sound, mask) / rms(noise, mask))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.01)
    assert (noise[~mask] == 0).all()


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    sound, mask = batch()
    for change in (
        lambda s, m, d: add_noise(s, m, d, torch.full((len(s),), 10.0)),
        lambda s, m, d: shift_time(s, m, d, 300),
        lambda s, m, d: change_speed(s, m, d, 1.2)[0],
    ):
        together = change(sound, mask, Draws(5, 2, torch.arange(3)))
        for row, size in enumerate(mask.sum(1).tolist()):
            alone = change(sound[row : row + 1, :size], mask[row : row + 1, :size], Draws(5, 2, torch.tensor([row])))
            width = min(alone.shape[1], together.shape[1])
            torch.testing.assert_close(together[row : row + 1, :width], alone[:, :width], rtol=0, atol=1e-6)
            assert (together[row, width:] == 0).all()
            assert (alone[:, width:] == 0).all()
        other = change(sound, mask, Draws(5, 3, torch.arange(3)))
        assert not torch.equal(together, other)


def test_a_shift_moves_and_keeps_the_length() -> None:
    sound, mask = torch.arange(1.0, 101)[None].repeat(50, 1), torch.ones(50, 100, dtype=torch.bool)
    mask[:, 80:] = False
    sound = sound * mask
    moved = shift_time(sound, mask, Draws(0, 0, torch.arange(50)), 10)
    assert (moved[:, 80:] == 0).all()
    starts = moved[:, 40] - 41
    assert starts.abs().max() == 10
    assert len(starts.unique()) > 10


def test_speed_changes_the_length_and_the_pitch() -> None:
    wave = torch.sin(2 * torch.pi * 200 * torch.arange(8000) / 8000)[None].repeat(40, 1)
    mask = torch.arange(8000)[None].expand(40, -1) < 6000
    made, inside = change_speed(wave * mask, mask, Draws(0, 0, torch.arange(40)), 1.25)
    lengths = inside.sum(1)
    assert 4700 < lengths.min() < 5300 < 6800 < lengths.max() < 7600
    assert made.shape == inside.shape == (40, lengths.max())
    crossings = ((made[:, 1:4000] > 0) & (made[:, : 4000 - 1] <= 0)).sum(1)
    assert (crossings * lengths / 6000 / 100 - 1).abs().max() < 0.05


def test_stripes_are_blanked_inside_the_recording() -> None:
    logs, frames = torch.ones(64, 20, 50), torch.arange(50)[None].expand(64, -1) < 30
    made = mask_bands(logs, frames, Draws(0, 0, torch.arange(64)), 4, 6)
    bands = (made[:, :, 45:] == 0).all(2).sum(1)
    times = (made == 0).all(1).sum(1)
    assert bands.max() == 4
    assert times.max() == 6
    assert not (made == 0).all(1)[:, 30:].any()
    assert made.mean().item() == pytest.approx(1 - (2 / 20 + 3 / 50), abs=0.04)


def test_a_mixture_has_the_shares_that_were_asked_for() -> None:
    sound, mask = batch()
    other = torch.randn(3, 3000, generator=torch.Generator().manual_seed(1)) * 5
    share = torch.tensor([1.0, 0.75, 0.5])
    made = mix(sound, mask, other, torch.ones_like(other, dtype=torch.bool), share)
    torch.testing.assert_close(made[0], sound[0])
    added = made - sound * share[:, None]
    torch.testing.assert_close(rms(added, mask)[1:], rms(sound, mask)[1:] * (1 - share[1:]), rtol=0.05, atol=0)
    assert (made[~mask] == 0).all()


def test_bands_are_stretched_from_the_lowest_upwards() -> None:
    logs = torch.arange(20.0)[None, :, None].repeat(50, 1, 3)
    made = warp_bands(logs, Draws(0, 0, torch.arange(50)), 1.25)
    assert (made[:, 0] == 0).all()
    factor = made[:, 10, 0] / 10
    assert 0.8 < factor.min() < 0.85 < 1.2 < factor.max() < 1.25
    torch.testing.assert_close(made[:, 5, 0], 5 * factor)


def test_a_filter_is_the_same_at_all_times_and_as_strong_as_asked_for() -> None:
    logs, frames = torch.zeros(500, 40, 6), torch.arange(6)[None].expand(500, -1) < 4
    made = tilt(logs, frames, Draws(0, 0, torch.arange(500)), 4.0)
    assert (made[:, :, 4:] == 0).all()
    assert (made[:, :, :4] == made[:, :, :1]).all()
    decibels = made[:, :, 0] * 10 / torch.log(torch.tensor(10.0))
    assert decibels.square().mean().sqrt().item() == pytest.approx(4, rel=0.05)
    assert decibels.diff(dim=1).abs().max() < 3
