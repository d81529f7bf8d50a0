"""The network: a compact U-Net of our own, or a segmentation network of torchvision by name.

B images, H, W their height and width, K classes. All networks take float images in [0, 1] of any size and give a logit
for each class and pixel.
"""

import itertools
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from shared.core.errors import UserError
from shared.core.paths import show
from shared.image.normalise import Normalise
from shared.training.weights import load_weights, read_config

from .params import Model

WIDEST = 8  # times the width: the most channels of a level
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # what torchvision's weights expect


def conv(channels_in: int, channels_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(channels_out)
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016); with a stride of 2 the shortcut takes means."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = conv(channels_in, channels_out, stride), conv(channels_out, channels_out)
        shrink = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        same = channels_in == channels_out
        self.shortcut = nn.Sequential(shrink, nn.Identity() if same else conv(channels_in, channels_out, size=1))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(maps))) + self.shortcut(maps))


class UNet(nn.Module):
    """Ronneberger et al. 2015 (arXiv:1505.04597) with residual blocks, and a mean over the whole image at the coarsest
    level: (B, 3, H, W) -> (B, K, H, W) logits.

    Sizes that the strides do not divide are padded at the right and the bottom by the last pixels, and cut again.
    """

    def __init__(self, num_classes: int, width: int, depth: int, stem: int) -> None:
        super().__init__()
        widths = [min(2**level, WIDEST) * width for level in range(depth + 1)]
        halvings = {1: 0, 2: 1, 4: 2}[stem]
        self.stem = nn.Sequential(conv(3, width, 2 if halvings else 1), nn.ReLU())
        if halvings == 2:
            self.stem.extend([conv(width, width, 2), nn.ReLU()])
        self.start = Residual(width, width)
        self.down = nn.ModuleList(
            nn.Sequential(Residual(fine, coarse, stride=2), Residual(coarse, coarse))
            for fine, coarse in itertools.pairwise(widths)
        )
        self.context = nn.Conv2d(widths[-1], widths[-1], 1)
        pairs = list(itertools.pairwise(widths))[::-1]
        self.lift = nn.ModuleList(conv(coarse, fine, size=1) for fine, coarse in pairs)
        self.up = nn.ModuleList(Residual(fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(width, num_classes, 1)
        self.stride = stem * 2**depth

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        maps = self.start(self.stem(padded))
        finer = []
        for down in self.down:
            finer.append(maps)
            maps = down(maps)
        maps = F.relu(maps + self.context(maps.mean((2, 3), keepdim=True)))
        for lift, up in zip(self.lift, self.up, strict=True):
            maps = up(F.relu(F.interpolate(lift(maps), scale_factor=2.0, mode="nearest") + finer.pop()))
        logits = F.interpolate(self.head(maps), padded.shape[2:], mode="bilinear", align_corners=False)
        return logits[:, :, :height, :width]


class OnlyLogits(nn.Module):
    """A network of torchvision, whose logits are one of several outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)["out"]
        return logits


def torchvision_network(name: str, num_classes: int) -> OnlyLogits:
    """From scratch. Raises UserError on an unknown name."""
    from torchvision import models  # takes seconds to import, so only on demand

    known = models.list_models(module=models.segmentation)
    if name not in known:
        raise UserError(f"train.model.name: unknown network {name!r}", expected=f"unet, {', '.join(known)}")
    options: dict[str, Any] = {} if name.startswith("lraspp") else {"aux_loss": False}
    network = models.get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, **options)
    return OnlyLogits(network)


def start_from(model: nn.Module, path: Path) -> str:
    """Loads weights of torchvision into a network: of the whole, or of a classifier as its backbone.

    The last layer, made for other classes, keeps its own. Nothing is unpickled but tensors.

    Returns:
        How many tensors were taken, for the terminal.

    Raises:
        UserError: the file cannot be read, or holds no weights of this network.
    """
    try:
        saved = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(f"{show(path)}: cannot be read as weights: {error}", fix="download it again") from None
    own = model.state_dict()
    found = {}
    for name, value in saved.items():
        for place in (name, f"backbone.{name}", f"backbone.{name.removeprefix('features.')}"):
            key = f"1.network.{place}"
            if key in own and own[key].shape == value.shape:
                found[key] = value
    backbone = [name for name in own if name.startswith("1.network.backbone.")]
    missing = [name for name in backbone if name not in found]
    if missing or not backbone:
        raise UserError(
            f"{show(path)}: not weights of this network: {len(missing)} of {len(backbone)} tensors of its backbone "
            "are missing",
            expected="a file of torchvision for this network or its backbone; train.weights='' starts from scratch",
        )
    model.load_state_dict(own | found)
    return f"{len(found)} of {len(own)} tensors from {show(path)}"


def build_model(config: Mapping[str, Any]) -> nn.Sequential:
    """Normalisation and network: (B, 3, H, W) float in [0, 1] -> (B, K, H, W) logits.

    Args:
        config: model (see params.py), classes, mean, std: what model.json holds.
    """
    params, num_classes = Model(**config["model"]), len(config["classes"])
    if params.name == "unet":
        net: nn.Module = UNet(num_classes, params.width, params.depth, params.stem)
    else:
        net = torchvision_network(params.name, num_classes)
    return nn.Sequential(Normalise(config["mean"], config["std"]), net)


def load_model(folder: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config


@torch.inference_mode()
def predict_probabilities(model: nn.Module, images: Tensor, config: Mapping[str, Any]) -> Tensor:
    """(B, K, H, W) probabilities of images (B, 3, H, W) float in [0, 1], as used by evaluate and predict.

    Args:
        model: in eval mode.
        config: views: 1 as it is; 2 the mean with its mirror image.
    """
    found: Tensor = model(images).softmax(1)
    if config["views"] == 1:
        return found
    mirrored: Tensor = model(images.flip(3)).softmax(1).flip(3)
    return (found + mirrored) / 2
