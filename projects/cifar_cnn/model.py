"""The network: a compact residual-free CNN that learns fast from scratch, or any torchvision classifier by name.

The compact net follows the public CIFAR-10 speed records (Page 2019; Jordan 2024, arXiv:2404.00498): a first layer
that whitens 2x2 patches, three blocks of two convolutions that start as the identity, a small head.

N images, C channels, H height, W width, K classes. All networks take float images in [0, 1] and normalise inside.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.image.normalise import Normalise
from shared.training.weights import load_weights, read_config

from .params import Model

PATCH = 2  # px, side of the patches that the first layer whitens
WHITEN_EPS = 5e-4  # added to the eigenvalues, so that flat directions are not amplified
# px, proposed where a network cannot take smaller images
OTHER_SIDES = 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 299
BATCH_NORM_MOMENTUM = 0.4  # of the running statistics: short trainings need recent ones


def identity_conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution whose first filters pass their input through: a new net trains as easily as a shallow one."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding="same", bias=False)
    nn.init.dirac_(conv.weight.data[:channels_in])
    return conv


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm without a gain: the convolution before it is scaled by its optimizer."""
    norm = nn.BatchNorm2d(channels, eps=1e-6, momentum=BATCH_NORM_MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        identity_conv(channels_in, channels_out),
        nn.MaxPool2d(2),
        batch_norm(channels_out),
        nn.GELU(),
        identity_conv(channels_out, channels_out),
        batch_norm(channels_out),
        nn.GELU(),
    )


class CompactNet(nn.Module):
    """Whitening, three blocks, global max pooling, head: (N, C, H, W) -> (N, K) logits."""

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        filters = 2 * channels * PATCH**2
        self.whiten = nn.Conv2d(channels, filters, PATCH)
        self.whiten.weight.requires_grad_(False)
        self.blocks = nn.Sequential(
            nn.GELU(), block(filters, width), block(width, 4 * width), block(4 * width, 4 * width)
        )
        self.head = nn.Linear(4 * width, num_classes, bias=False)
        nn.init.normal_(self.head.weight, std=1 / self.head.in_features)  # small logits at the start

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.whiten(images)).amax(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


@torch.no_grad()
def whiten_from(model: nn.Sequential, images: Tensor) -> None:
    """Sets the compact net's first layer to the eigenvectors of the images' patches, each with both signs.

    Args:
        model: from `build_model`.
        images: (N, C, H, W) float in [0, 1]; some thousands are enough.
    """
    normalise, net = model
    if not isinstance(net, CompactNet):
        return
    patches = normalise(images).unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # N C H W P P
    flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, net.whiten.weight[0].numel()).double()
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    filters = (vectors / (values + WHITEN_EPS).sqrt()).T.reshape(-1, *net.whiten.weight.shape[1:])
    net.whiten.weight.copy_(torch.cat([filters, -filters]))


def torchvision_classifier(name: str, num_classes: int, side: int) -> nn.Module:
    """A classifier of torchvision, from scratch, that gives logits alone. Raises UserError on an unknown name.

    Args:
        side: px of the images: vision transformers are made for one size.
    """
    from torchvision import models  # takes seconds to import, so only on demand

    if name not in models.list_models(module=models):
        raise UserError(f"train.model.name: unknown network {name!r}", expected="compact, or a torchvision classifier")
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # whose further heads would need a loss of their own
        options = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        options = {"image_size": side}
    elif name.startswith("maxvit"):
        options = {"input_size": (side, side)}
    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes, **options)
    return network


def takes(name: str, built_for: int, side: int) -> str:
    """Why a torchvision classifier for images of one size cannot take those of a size; "" where it can.

    Tried on the meta device: nothing is computed and no random number drawn.
    """
    try:
        with torch.device("meta"):
            network = torchvision_classifier(name, 2, built_for)
            output = network(torch.zeros(2, 3, side, side))
    except UserError:
        raise
    except NotImplementedError:  # RegNet, which takes any size: its widths are tensors, which hold nothing there
        return ""
    except Exception as error:  # each network checks its input in its own way, or not at all
        return " ".join(str(error).split())[:120] or type(error).__name__
    return "" if isinstance(output, Tensor) and output.shape == (2, 2) else "it gives no logits"


def check_side(name: str, built_for: int, side: int, key: str) -> None:
    """Raises UserError, with a size that would do, where a network cannot train on images of a size.

    Args:
        key: the param that says the size.
    """
    if name == "compact" or not (why := takes(name, built_for, side)):
        return
    if side == built_for:
        fits = next((size for size in OTHER_SIDES if size > side and not takes(name, size, size)), None)
        fix = f"prepare.image_size={fits}" if fits else "train.model.name=resnet18"
        raise UserError(f"{name} cannot take images of {side} px ({key}): {why}", fix=fix)
    raise UserError(f"{name} for {built_for} px cannot take {side} px ({key}): {why}", fix="train.small_epochs=0")


def build_model(config: Mapping[str, Any]) -> nn.Sequential:
    """Normalisation and network: (N, C, H, W) float in [0, 1] -> (N, K) logits.

    Args:
        config: model (see params.py), classes, channels, image_size, mean, std: what model.json holds.

    Raises:
        UserError: there is no such network, or it cannot take images of these channels or this size.
    """
    params, channels, num_classes = Model(**config["model"]), config["channels"], len(config["classes"])
    if params.name == "compact":
        net: nn.Module = CompactNet(channels, num_classes, params.width)
    else:
        check_side(params.name, config["image_size"], config["image_size"], "prepare.image_size")
        if channels != 3:
            raise UserError(f"{params.name} takes 3 channels, the data has {channels}", fix="train.model.name=compact")
        net = torchvision_classifier(params.name, num_classes, config["image_size"])
    return nn.Sequential(Normalise(config["mean"], config["std"]), net)


def load_model(folder: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config


def _views(images: Tensor, views: int, flip: bool) -> Iterator[tuple[float, Tensor]]:
    """The views of test-time augmentation and their weights, which sum to one."""
    shifted: list[tuple[float, Tensor]] = [(1.0, images)]
    if views == 6:
        height, width = images.shape[2:]
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        corners = padded[:, :, 2:, 2:], padded[:, :, :height, :width]  # the image moved up-left, down-right
        shifted = [(0.5, images)] + [(0.25, corner) for corner in corners]
    for weight, image in shifted:
        yield from [(weight / 2, image), (weight / 2, image.flip(3))] if flip and views > 1 else [(weight, image)]


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Logits averaged over views of each image, as used by evaluate and predict.

    Args:
        model: in eval mode.
        images: (N, C, H, W) float in [0, 1], on the model's device.
        config: views: 1 as it is; 2 and its mirror image; 6 both also moved by a pixel up-left and down-right with
            reflected borders, where the two moves together weigh as much as staying (Jordan 2024, arXiv:2404.00498).
            flip: False leaves the mirror images out, if the model was trained without.

    Returns:
        (N, K) logits.
    """
    views = _views(images, config["views"], config["flip"])
    return torch.stack([weight * model(view) for weight, view in views]).sum(0)
