"""The network: a compact anchor-free detector that learns from scratch, or torchvision's detectors by name.

The compact net predicts at the points of grids 8, 16 and 32 px apart (and 4, where objects are small): for each class
the logit of how well a box of it fits there, and the distances to the box's four sides. A point learns from an object
by task alignment (assign.py).

B images, K classes, A points of all grids, N detections.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from shared.training.weights import load_weights, read_config

from .params import Model
from .torchvision_models import TorchvisionDetector

PRIOR = 0.01  # probability of each class at each point before training
LEAST_SCORE = 0.005  # of a detection; below it is noise
CANDIDATES = 1000  # of an image that go through non-maximum suppression
MAX_DETECTIONS, NMS_IOU = 100, 0.6  # of validation and predict, see `detect`
COARSEST_PX = 32


class Points(NamedTuple):
    """What the compact net predicts: logits (B, A, K), boxes (B, A, 4) in px, and its points: places (A, 2) in px and
    the distance of the grid, step (A,)."""

    logits: Tensor
    boxes: Tensor
    places: Tensor
    step: Tensor


class Detections(NamedTuple):
    """Of one image, by falling score: boxes (N, 4) in px, scores (N,), labels (N,) int64, and of models that give masks
    (N, S, S) probabilities on a grid over the box."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None


def conv(channels_in: int, channels_out: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution with batch norm and SiLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(channels_out, momentum=0.03, eps=1e-3),
        nn.SiLU(),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions, half as wide between them, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels // 2), conv(channels // 2, channels))

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = maps + self.body(maps)
        return found


class CompactDetector(nn.Module):
    """Five halvings of the size, a feature pyramid back up, and a small head on each of its levels."""

    def __init__(self, num_classes: int, width: int, finest_px: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 6 * width, 8 * width]
        self.stem = conv(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(before, after, stride=2), *(Residual(after) for _ in range(depth)))
            for before, after, depth in zip(widths, widths[1:], (1, 2, 2, 1), strict=False)
        )
        self.first = {4: 0, 8: 1}[finest_px]
        used, inner = widths[1 + self.first :], 3 * width
        self.lateral = nn.ModuleList(conv(channels, inner, 1) for channels in used)
        self.smooth = nn.ModuleList(conv(inner, inner) for _ in used)
        self.class_heads = nn.ModuleList(
            nn.Sequential(conv(inner, inner), nn.Conv2d(inner, num_classes, 1)) for _ in used
        )
        self.box_heads = nn.ModuleList(nn.Sequential(conv(inner, inner), nn.Conv2d(inner, 4, 1)) for _ in used)
        for head in self.class_heads:
            nn.init.constant_(head[1].bias, torch.logit(torch.tensor(PRIOR)).item())  # type: ignore[index]

    def forward(self, images: Tensor) -> Points:
        maps, found = self.stem((images - 0.45) / 0.22), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        levels = [lateral(one) for lateral, one in zip(self.lateral, found[self.first :], strict=True)]
        for finer in range(len(levels) - 2, -1, -1):
            levels[finer] = levels[finer] + F.interpolate(levels[finer + 1], levels[finer].shape[-2:])
        parts = []
        for number, level in enumerate(levels):
            smooth = self.smooth[number](level)
            step = COARSEST_PX >> (len(levels) - 1 - number)
            logits = self.class_heads[number](smooth).flatten(2).transpose(1, 2)
            sides = F.softplus(self.box_heads[number](smooth).flatten(2).transpose(1, 2).to(images.dtype)) * step
            places = _places(level.shape[-2:], step, images)
            boxes = torch.cat([places - sides[..., :2], places + sides[..., 2:]], 2)
            parts.append(Points(logits.to(images.dtype), boxes, places, places.new_full((len(places),), step)))
        return Points(*(torch.cat(one, 1 if number < 2 else 0) for number, one in enumerate(zip(*parts, strict=True))))


def _places(sides: Sequence[int], step: int, like: Tensor) -> Tensor:
    """(h w, 2): the middles of a grid's cells, row by row."""
    rows, columns = ((torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * step for side in sides)
    return torch.stack([columns.repeat(len(rows)), rows.repeat_interleave(len(columns))], 1)


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """The network, untrained: (B, 3, H, W) float in [0, 1] -> Points, or as TorchvisionDetector says.

    Args:
        config: model (see params.py), classes, width_px, height_px: what model.json holds.

    Raises:
        UserError: there is no such network.
    """
    params, num_classes = Model(**config["model"]), len(config["classes"])
    if params.name == "compact":
        return CompactDetector(num_classes, params.width, params.finest_px)
    return TorchvisionDetector(params.name, num_classes, (config["height_px"], config["width_px"]))


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config


@torch.no_grad()
def detect(model: nn.Module, images: Tensor, max_detections: int, nms_iou: float) -> list[Detections]:
    """The objects that a model in eval mode finds in images (B, 3, H, W) float in [0, 1].

    Args:
        max_detections: of an image.
        nms_iou: of two boxes of one class that overlap more, the lower score is left out.
    """
    if isinstance(model, TorchvisionDetector):
        return [_kept(Detections(*one), max_detections, nms_iou) for one in model(images)]
    points: Points = model(images)
    scores, boxes = points.logits.sigmoid(), points.boxes
    limits = boxes.new_tensor([images.shape[3], images.shape[2]] * 2)
    found = []
    for of_image, box in zip(scores, boxes.clamp_min(0).minimum(limits), strict=True):
        score, place = of_image.flatten().topk(min(CANDIDATES, of_image.numel()))
        kept = score > LEAST_SCORE
        point, label = place[kept] // of_image.shape[1], place[kept] % of_image.shape[1]
        found.append(_kept(Detections(box[point], score[kept], label), max_detections, nms_iou))
    return found


def _kept(found: Detections, most: int, nms_iou: float) -> Detections:
    chosen = batched_nms(found.boxes.float(), found.scores.float(), found.labels, nms_iou)[:most]
    return Detections(*(None if part is None else part[chosen] for part in found))  # type: ignore[arg-type]
