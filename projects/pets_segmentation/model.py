"""The network: a compact U-Net of our own, the same on EfficientNet-Lite0, or a segmentation network of torchvision.

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
LITE0 = "unet_lite0"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # what torchvision's weights expect
BACKBONES = "1.network.backbone.", "1.encoder.stages."  # in state dicts: what pretrained weights are for
OF_LITE0 = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}  # what EfficientNet-Lite0's weights expect


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


class Encoder(nn.Module):
    """A U-Net's way down, from scratch: (B, 3, H, W) -> depth + 1 maps, the finest first, each half of the last one."""

    def __init__(self, width: int, depth: int, stem: int) -> None:
        super().__init__()
        self.widths = [min(2**level, WIDEST) * width for level in range(depth + 1)]
        halvings = {1: 0, 2: 1, 4: 2}[stem]
        self.stem = nn.Sequential(conv(3, width, 2 if halvings else 1), nn.ReLU())
        if halvings == 2:
            self.stem.extend([conv(width, width, 2), nn.ReLU()])
        self.start = Residual(width, width)
        self.down = nn.ModuleList(
            nn.Sequential(Residual(fine, coarse, stride=2), Residual(coarse, coarse))
            for fine, coarse in itertools.pairwise(self.widths)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.start(self.stem(images))]
        for down in self.down:
            maps.append(down(maps[-1]))
        return maps


class Lite0(nn.Module):
    """Maps of EfficientNet-Lite0: B0 (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation, with ReLU6.

    (B, 3, H, W) -> five maps, reduced by 2, 4, 8, 16 and 32.
    """

    widths = [16, 24, 40, 112, 320]
    ENDS = 1, 2, 3, 5, 7  # stages after which the maps are the last of their size

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import efficientnet  # takes seconds to import, so only on demand

        self.stages = efficientnet.efficientnet_b0(weights=None).features[: self.ENDS[-1] + 1]
        for parent in list(self.stages.modules()):
            for name, child in parent.named_children():
                if isinstance(child, efficientnet.SqueezeExcitation):
                    setattr(parent, name, nn.Identity())
                elif isinstance(child, nn.SiLU):
                    setattr(parent, name, nn.ReLU6())
                elif isinstance(child, nn.BatchNorm2d):
                    child.eps = 1e-3  # as its weights were trained

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        for number, stage in enumerate(self.stages):
            images = stage(images)
            if number in self.ENDS:
                maps.append(images)
        return maps


class UNet(nn.Module):
    """Ronneberger et al. 2015 (arXiv:1505.04597) with residual blocks, and a mean over the whole image at the coarsest
    level: (B, 3, H, W) -> (B, K, H, W) logits.

    Sizes that the strides do not divide are padded at the right and the bottom by the last pixels, and cut again.

    Args:
        encoder: gives maps, the finest first, of as many channels as its `widths` says.
        widths: channels of the same levels on the way back.
        stride: by how much the coarsest map is reduced.
    """

    def __init__(self, num_classes: int, encoder: Encoder | Lite0, widths: list[int], stride: int) -> None:
        super().__init__()
        self.encoder, self.stride = encoder, stride
        self.context = nn.Conv2d(widths[-1], widths[-1], 1)
        pairs = list(itertools.pairwise(widths))[::-1]
        self.lift = nn.ModuleList(conv(coarse, fine, size=1) for fine, coarse in pairs)
        self.up = nn.ModuleList(Residual(fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], num_classes, 1)
        self.lateral = nn.ModuleList(
            nn.Identity() if found == wanted else conv(found, wanted, size=1)
            for found, wanted in zip(encoder.widths, widths, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        *finer, maps = [lateral(one) for lateral, one in zip(self.lateral, self.encoder(padded), strict=True)]
        maps = F.relu(maps + self.context(maps.mean((2, 3), keepdim=True)))
        for lift, up in zip(self.lift, self.up, strict=True):
            maps = up(F.relu(F.interpolate(lift(maps), scale_factor=2.0, mode="nearest") + finer.pop()))
        logits = F.interpolate(self.head(maps), padded.shape[2:], mode="bilinear", align_corners=False)
        return logits[:, :, :height, :width]


def unet(num_classes: int, params: Model) -> UNet:
    """From scratch, or on EfficientNet-Lite0, whose depth and stem are its own."""
    if params.name == LITE0:
        widths = [min(2**level, WIDEST) * params.width for level in range(len(Lite0.widths))]
        return UNet(num_classes, Lite0(), widths, stride=32)
    encoder = Encoder(params.width, params.depth, params.stem)
    return UNet(num_classes, encoder, encoder.widths, stride=params.stem * 2**params.depth)


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
        raise UserError(f"train.model.name: unknown network {name!r}", expected=f"unet, {LITE0}, {', '.join(known)}")
    options: dict[str, Any] = {} if name.startswith("lraspp") else {"aux_loss": False}
    network = models.get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, **options)
    return OnlyLogits(network)


def start_from(model: nn.Sequential, path: Path) -> str:
    """Loads weights that others trained: of a whole network of torchvision, or of a classifier as its backbone.

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
    tensors = saved.items() if isinstance(saved, dict) else ()
    saved = {name: value for name, value in tensors if isinstance(value, Tensor)}
    own = model.state_dict()
    backbone = [name for name in own if name.startswith(BACKBONES) and not name.endswith("num_batches_tracked")]
    found = {}
    if isinstance(model[1], UNet):  # files of EfficientNet-Lite0 name its layers differently, in the same order
        in_order = (value for name, value in saved.items() if not name.endswith("num_batches_tracked"))
        pairs = zip(backbone, in_order, strict=False)
        found = {name: value for name, value in pairs if own[name].shape == value.shape}
    for name, value in saved.items():
        for place in (name, f"backbone.{name}", f"backbone.{name.removeprefix('features.')}"):
            key = f"1.network.{place}"
            if key in own and own[key].shape == value.shape:
                found[key] = value
    missing = [name for name in backbone if name not in found]
    if missing or not backbone:
        raise UserError(
            f"{show(path)}: not weights of this network: {len(missing)} of {len(backbone)} tensors of its backbone "
            "are missing",
            expected="a file of this network or its backbone; train.weights='' starts from scratch",
        )
    model.load_state_dict(own | found)
    return f"{len(found)} of {len(own)} tensors from {show(path)}"


def build_model(config: Mapping[str, Any]) -> nn.Sequential:
    """Normalisation and network: (B, 3, H, W) float in [0, 1] -> (B, K, H, W) logits.

    Args:
        config: model (see params.py), classes, mean, std: what model.json holds.
    """
    params, num_classes = Model(**config["model"]), len(config["classes"])
    own = params.name in ("unet", LITE0)
    net = unet(num_classes, params) if own else torchvision_network(params.name, num_classes)
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
