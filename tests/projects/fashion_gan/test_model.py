"""Networks for any side that can be reached by doubling; batch norm measured for use."""

import pytest
import torch
from torch import nn

from projects.fashion_gan.data import Latents
from projects.fashion_gan.model import build, generate, measure_batch_norm
from projects.fashion_gan.params import num_doublings


def networks(channels: int, side: int, num_classes: int, conditional: bool = True, **model: int) -> nn.ModuleDict:
    torch.manual_seed(0)
    chosen = {"width": 4, "latent_size": 5, "conditional": conditional} | model
    classes = ["a", "b", "c"][:num_classes]
    return build({"model": chosen, "channels": channels, "image_size": side, "classes": classes})


LATENTS = Latents({"model": {"latent_size": 5}, "class_counts": [1, 2, 3]}, seed=0)


@pytest.mark.parametrize("side", [8, 14, 20, 24, 28, 64])
def test_both_networks_fit_the_side(side: int) -> None:
    both, label = networks(3, side, 3), torch.tensor([0, 2, 1])
    images = both["generator"](torch.randn(3, 5), label)
    assert images.shape == (3, 3, side, side)
    assert 0 <= images.min() <= images.max() <= 1
    assert both["discriminator"](images, label).shape == (3,)


def test_at_64_px_they_have_the_shape_of_the_paper() -> None:
    both = networks(3, 64, 1, conditional=False, width=64, latent_size=100)
    # torch's public example: 3,576,704 and 2,765,568 weights without biases; the stem is its first convolution
    counts = {name: sum(one.numel() for one in net.parameters() if one.ndim > 2) for name, net in both.items()}
    assert counts["generator"] + 100 * 512 * 16 == 3_576_704 - 2 * (512 + 256 + 128 + 64)  # less batch norm
    assert counts["discriminator"] + 512 * 16 == 2_765_568 - 2 * (128 + 256 + 512)


def test_sides_that_can_be_reached() -> None:
    makeable = [side for side in range(1, 65) if num_doublings(side)]
    assert makeable == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]


@pytest.mark.parametrize("conditional", [False, True])
def test_only_conditional_networks_use_the_label(conditional: bool) -> None:
    both = networks(1, 8, 2, conditional)
    for layer in both.modules():
        if isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight)
    labels = torch.zeros(4).long(), torch.ones(4).long()
    for name, given in (("generator", torch.randn(4, 5)), ("discriminator", torch.rand(4, 1, 8, 8))):
        first, second = (both[name](given, label) for label in labels)
        assert torch.equal(first, second) != conditional


def test_under_autocast_images_and_logits_are_in_full_precision() -> None:
    both, label = networks(1, 16, 3), torch.tensor([0, 2, 1])
    with torch.autocast("cpu", torch.bfloat16):
        images = both["generator"](torch.randn(3, 5), label)
        logits = both["discriminator"](images, label)
    assert {images.dtype, logits.dtype} == {torch.float32}


def test_measured_statistics_are_the_mean_over_batches_and_leave_the_network_alone() -> None:
    generator = networks(1, 8, 3)["generator"].train()
    batches = [LATENTS.draw(6, number) for number in range(3)]
    with torch.no_grad():
        stem = generator.get_submodule("stem")
        maps = torch.stack([stem(batch["noise"]).view(6, 4, 4, 4) for batch in batches])
    kept = measure_batch_norm(generator, batches)
    statistics = {name: kept.get_buffer(f"norms.0.running_{name}") for name in ("mean", "var")}
    torch.testing.assert_close(statistics["mean"], maps.mean((1, 3, 4)).mean(0))
    torch.testing.assert_close(statistics["var"], maps.transpose(1, 2).flatten(2).var(2).mean(0))
    assert not kept.training
    assert generator.training
    assert generator.get_buffer("norms.0.running_mean").abs().sum() == 0


def test_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    latent = LATENTS.draw(9, "test")
    generator = measure_batch_norm(networks(1, 8, 3)["generator"], [latent])
    together, alone = generate(generator, latent, 9), generate(generator, latent, 1)
    assert together.dtype == torch.uint8
    assert (together.int() - alone.int()).abs().max() <= 1  # a rounding apart
    assert together.float().std() > 1
