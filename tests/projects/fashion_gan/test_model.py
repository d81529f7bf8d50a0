"""Networks of any side that can be halved, and what keeps them in bounds."""

import itertools

import pytest
import torch
from torch import nn

from projects.fashion_gan.model import (
    SpectralNorm,
    build_discriminator,
    build_generator,
    draw_labels,
    draw_noise,
    generate,
    power_iteration,
    standing,
)
from projects.fashion_gan.params import Model, halvings

SIDES = [8, 14, 20, 24, 28, 64]


def model(name: str = "dcgan", normalise: str = "spectral", conditional: bool = True) -> Model:
    return Model.model_validate(
        {"name": name, "width": 4, "latent_size": 5, "conditional": conditional, "normalise": normalise}
    )


@pytest.mark.parametrize(("name", "side"), list(itertools.product(["dcgan", "residual"], SIDES)))
def test_both_networks_fit_the_side(name: str, side: int) -> None:
    torch.manual_seed(0)
    params, label = model(name), torch.tensor([0, 2, 1])
    images = build_generator(params, 3, side, 3)(torch.randn(3, 5), label)
    assert images.shape == (3, 3, side, side)
    assert images.min() >= 0
    assert images.max() <= 1
    assert build_discriminator(params, 3, side, 3)(images, label).shape == (3,)


def test_dcgan_at_64_px_has_the_shape_of_the_paper() -> None:
    params = Model(name="dcgan", width=64, latent_size=100, conditional=False, normalise="batch")
    generator, discriminator = build_generator(params, 3, 64, 1), build_discriminator(params, 3, 64, 1)
    # torch's public example: 3,576,704 and 2,765,568 weights without biases; the stem is its first convolution
    count = sum(weight.numel() for weight in generator.parameters() if weight.ndim > 1)
    assert count == 100 * 512 * 16 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    count = sum(weight.numel() for weight in discriminator.parameters() if weight.ndim > 1)
    assert count == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 512 * 16


def test_sides_that_cannot_be_halved_to_4_to_7_px() -> None:
    makeable = [side for side in range(1, 65) if halvings(side)]
    assert makeable == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]


@pytest.mark.parametrize(("name", "conditional"), list(itertools.product(["dcgan", "residual"], [False, True])))
def test_only_conditional_networks_look_at_the_label(name: str, conditional: bool) -> None:
    torch.manual_seed(0)
    params = model(name, conditional=conditional)
    generator, discriminator = build_generator(params, 1, 8, 2), build_discriminator(params, 1, 8, 2)
    for weight in generator.parameters():
        nn.init.normal_(weight, std=0.3)
    noise, image, labels = torch.randn(4, 5), torch.rand(4, 1, 8, 8), (torch.zeros(4).long(), torch.ones(4).long())
    for one, two in ([generator(noise, label) for label in labels], [discriminator(image, label) for label in labels]):
        assert torch.equal(one, two) != conditional


@pytest.mark.parametrize("shape", [(6, 4), (8, 3, 3, 3), (1, 20)])
def test_the_spectral_norm_is_1_after_iterations(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64) * 7
    norm = SpectralNorm(weight).double()
    for _ in range(200):
        norm.iterate(weight)
    assert torch.linalg.matrix_norm(norm(weight).flatten(1), 2).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["dcgan", "residual"])
def test_every_weight_of_a_spectral_discriminator_is_bounded(name: str) -> None:
    torch.manual_seed(0)
    network = build_discriminator(model(name), 1, 16, 3)
    for _ in range(100):
        power_iteration(network)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding)]
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
    assert norms == pytest.approx([1] * len(layers), abs=1e-3)


@pytest.mark.parametrize(("name", "normalise"), list(itertools.product(["dcgan", "residual"], ["batch", "spectral"])))
def test_under_autocast_images_logits_and_spectral_norms_keep_their_precision(name: str, normalise: str) -> None:
    torch.manual_seed(0)
    params, label = model(name, normalise), torch.tensor([0, 2, 1])
    generator, discriminator = build_generator(params, 1, 16, 3), build_discriminator(params, 1, 16, 3)
    with torch.autocast("cpu", torch.bfloat16):
        images = generator(torch.randn(3, 5), label)
        logits = discriminator(images, label)
        layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
        inside = [layer.weight for layer in layers]
    assert {images.dtype, logits.dtype} == {torch.float32}
    for weight, layer in zip(inside, layers, strict=True):
        assert torch.equal(weight, layer.weight)


def test_a_forward_moves_nothing_and_an_iteration_does() -> None:
    torch.manual_seed(0)
    network = build_discriminator(model(normalise="spectral"), 1, 8, 3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(2, 1, 8, 8), torch.tensor([0, 1])).sum().backward()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    power_iteration(network)
    moved = {
        name.rsplit(".", 1)[-1] for name, value in network.state_dict().items() if not torch.equal(before[name], value)
    }
    assert moved == {"left", "right"}


def test_standing_statistics_are_the_mean_over_batches_and_leave_the_network_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(2, momentum=0.0)).train()
    batches = torch.randn(3, 5, 2, 4, 4, dtype=torch.float64) + torch.arange(3).view(3, 1, 1, 1, 1)
    kept = standing(network.double(), [(batch,) for batch in batches])
    torch.testing.assert_close(kept[0].running_mean, batches.mean((1, 3, 4)).mean(0))
    variance = batches.transpose(1, 2).flatten(2).var(2).mean(0)
    torch.testing.assert_close(kept[0].running_var, variance)
    assert not kept.training
    assert network.training
    assert network[0].running_mean.abs().sum() == 0


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    torch.manual_seed(0)
    params = model("residual", "batch")
    noise, label = draw_noise(0, 9, 5, "test"), draw_labels(0, 9, [1, 2, 3], "test")
    generator = standing(build_generator(params, 1, 8, 3), [(noise, label)])
    together, alone = generate(generator, noise, label, 9), generate(generator, noise, label, 1)
    assert together.dtype == torch.uint8
    assert (together.int() - alone.int()).abs().max() <= 1  # a rounding apart
    assert together.float().std() > 1


def test_draws_are_functions_of_seed_and_keys() -> None:
    assert torch.equal(draw_noise(3, 4, 2, "a", 1), draw_noise(3, 4, 2, "a", 1))
    assert not torch.equal(draw_noise(3, 4, 2, "a", 1), draw_noise(3, 4, 2, "a", 2))
    noise, label = draw_noise(0, 20_000, 1), draw_labels(0, 20_000, [100, 0, 300])
    assert noise.mean().item() == pytest.approx(0, abs=0.03)
    assert noise.std().item() == pytest.approx(1, abs=0.03)
    assert (label.bincount(minlength=3) / 20_000).tolist() == pytest.approx([0.25, 0, 0.75], abs=0.01)
