"""Which point of the compact net learns from which object, and the loss that follows.

Task-aligned assignment (Feng et al. 2021, arXiv:2108.07755): an object is learned by the points inside of it whose
score and box fit it best already, and their target is how well the box fits.

B images, L objects of the image with most, A points, K classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import complete_box_iou_loss

from shared.data.batches import Batch

from .model import Points

TOP = 10  # points of an object
SCORE_POWER, IOU_POWER = 0.5, 6.0  # alignment = score^0.5 * IoU^6
BOX_WEIGHT = 5.0  # of CIoU (Zheng et al. 2020, arXiv:1911.08287) against the classes' cross-entropy
TINY = 1e-9


class Assigned(NamedTuple):
    """The object of each point (B, A) int64, whether it has one (B, A) bool, and its target in [0, 1] (B, A)."""

    which: Tensor
    positive: Tensor
    target: Tensor


def ious(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) and others, broadcast against each other -> (...); 0 where both are
    empty, and with a gradient everywhere, which torchvision's `box_iou` does not promise."""
    low, high = torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:])
    both = (high - low).clamp_min(0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).clamp_min(0).prod(-1) for one in (boxes, others)]
    return both / (areas[0] + areas[1] - both).clamp_min(TINY)


@torch.no_grad()
def assign(points: Points, boxes: Tensor, label: Tensor, wanted: Tensor) -> Assigned:
    """Points for objects.

    Args:
        boxes: (B, L, 4) of the objects.
        label: (B, L) int64.
        wanted: (B, L) bool, which are to be learned.
    """
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    # On the finest grid an object has a point at least, however small it is
    reach = torch.where(points.step == points.step.min(), points.step / 2 + TINY, 0.0)
    inside = wanted[..., None]
    for side in (0, 1):
        away = (points.places[:, side] - centre[..., side, None]).abs()
        inside = inside & (away <= torch.maximum(half[..., side, None], reach))
    # Few of all (B, L, A) pairs are inside: only these are computed
    image, one, point = inside.nonzero(as_tuple=True)
    fits = ious(points.boxes[image, point], boxes[image, one])
    scores = points.logits[image, point, label[image, one]].sigmoid()
    aligned, overlaps = boxes.new_zeros(inside.shape), boxes.new_full(inside.shape, -1.0)
    aligned[image, one, point] = scores.pow(SCORE_POWER) * fits.pow(IOU_POWER) + TINY
    overlaps[image, one, point] = fits
    top = aligned.topk(min(TOP, aligned.shape[2]), dim=2)
    chosen = torch.zeros_like(inside).scatter_(2, top.indices, top.values > 0)
    best = overlaps.masked_fill_(~chosen, -1).max(1)  # a point of several objects learns the one that it fits best
    positive, which = best.values >= 0, best.indices
    image, point = positive.nonzero(as_tuple=True)
    one = which[image, point]
    value, place = aligned[image, one, point], image * boxes.shape[1] + one
    target = boxes.new_zeros(positive.shape)
    highest, closest = (
        boxes.new_zeros(boxes.shape[0] * boxes.shape[1]).scatter_reduce_(0, place, each, "amax")[place]
        for each in (value, best.values[image, point])
    )
    target[image, point] = value / highest.clamp_min(TINY) * closest
    return Assigned(which, positive, target)


def compacted(batch: Batch) -> Batch:
    """Without the places of objects that no image uses: mosaics have four times as many as images."""
    real = batch["real"]
    order = real.int().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(real.sum(1).max()))]
    fields = {name: batch[name].gather(1, order) for name in ("label", "real", "ignored")}
    return batch | fields | {"boxes": batch["boxes"].gather(1, order[..., None].expand(-1, -1, 4))}


def detection_loss(points: Points, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """The loss of a batch by the loss contract: a sum, the number of items, sums for the log.

    Cross-entropy of each class at each point with its target, and CIoU of the boxes, weighted by it. Items are the
    targets' sum, as in the paper, plus one an image, so that images without objects count as well.

    Args:
        batch: boxes (B, L, 4), label, real and ignored (B, L): points in an ignored object learn nothing.
    """
    batch = compacted(batch)
    wanted = batch["real"] & ~batch["ignored"]
    boxes = batch["boxes"].to(points.boxes)
    found = assign(points, boxes, batch["label"], wanted)
    label = batch["label"].gather(1, found.which)
    target = F.one_hot(label, points.logits.shape[2]) * found.target[..., None]
    classes = F.binary_cross_entropy_with_logits(points.logits, target.to(points.logits), reduction="none").sum(2)
    if bool(batch["ignored"].any()):
        within = (points.places[None, :, None] >= boxes[:, None, :, :2]) & (
            points.places[None, :, None] <= boxes[:, None, :, 2:]
        )
        skipped = (within.all(3) & batch["ignored"][:, None]).any(2) & ~found.positive
        classes = classes.masked_fill(skipped, 0)
    actual = boxes.gather(1, found.which[..., None].expand(-1, -1, 4))
    weights = found.target[found.positive]
    overlap = complete_box_iou_loss(points.boxes[found.positive], actual[found.positive], reduction="none", eps=1e-7)
    box_loss = BOX_WEIGHT * (overlap * weights).sum()
    items = found.target.sum() + len(boxes)
    class_loss = classes.sum()
    return class_loss + box_loss, items, {"class_loss": class_loss.detach(), "box_loss": box_loss.detach()}
