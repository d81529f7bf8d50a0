"""Prepared images -> batches: augmentation, boxes with it.

All of a micro-batch in one pass of `grid_sample`, each image by an affine map drawn by (seed, epoch, sample). Not
torchvision's transforms v2: they draw from the global generator, so that a resumed training and one in two processes
would see other images, and they take one image at a time.

B images, C channels, H height, W width, L boxes of the image with most.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from shared.data.batches import Batch, Read
from shared.data.draws import Draws
from shared.image.augment import to_float

from .params import Train

FIELDS = "image", "boxes", "label", "ignored"
LEAST_SEEN, LEAST_PX = 0.3, 2.0  # of a box: share of its area and length of its sides that must stay in the image
CENTRE, SCALE = (0.35, 0.65), (0.4, 0.9)  # of a mosaic: where its four images meet, and how much they are reduced


def augment(batch: Batch, epoch: float, params: Train, ground: int, read: Read, size: int) -> Batch:
    """Mirrors, turns, zooms, shifts and recolours each image, and its boxes; makes some of four.

    Args:
        batch: image (B, C, H, W) uint8; boxes (B, L, 4), boxes_mask, label, ignored (B, L); sample (B,) int64; perhaps
            masks (B, L, H * W / 8) uint8, their bits.
        epoch: a fraction: 1.5 is half of the second pass.
        ground: grey level where there is no image.
        read: the same fields of any samples: the other three images of a mosaic.
        size: number of samples that mosaics are drawn from.

    Returns:
        image as float in [0, 1], boxes, label, and `real`, `ignored` (B, L) bool; masks (B, L, H, W) bool.
    """
    draws = Draws(params.seed, int(epoch) + 1, batch["sample"])
    plain = epoch >= params.epochs * (1 - params.plain_fraction)
    made = draws.uniform() < (0.0 if plain else params.mosaic)
    others = torch.stack([draws.integers(0, size - 1) for _ in range(3)], 1)
    corner = torch.stack([draws.uniform() for _ in range(6)], 1)
    moved = move(prepared(batch), affine(batch["image"].shape[-2:], draws, params), ground)
    if bool(made.any()):
        moved = with_mosaics(moved, made, others[made], corner[made], read, ground)
    return moved | {"image": recolour(moved["image"], draws, params.colour)}


def prepared(batch: Batch) -> Batch:
    """A batch without augmentation, in the form that losses and detectors take."""
    real = batch["boxes_mask"]
    masks = {"masks": unpacked(batch["masks"], batch["image"].shape[-2:])} if "masks" in batch else {}
    return masks | {
        "image": to_float(batch["image"]),
        "boxes": batch["boxes"],
        "label": batch["label"],
        "real": real,
        "ignored": batch["ignored"].bool() & real,
        "sample": batch["sample"],
    }


def unpacked(bits: Tensor, sides: torch.Size) -> Tensor:
    """(B, L, H * W / 8) uint8 -> (B, L, H, W) bool, as np.packbits has put them."""
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=bits.device)
    return ((bits[..., None] & places) != 0).view(*bits.shape[:2], *sides)


def affine(sides: torch.Size, draws: Draws, params: Train) -> Tensor:
    """(B, 2, 3): maps a point (x, y) of the image, in pixels, to where it is seen afterwards."""
    height, width = sides
    zoom = (2 * draws.uniform() - 1) * math.log1p(params.zoom)
    right, down = ((2 * draws.uniform() - 1) * params.shift * side for side in (width, height))
    mirror_x = torch.where(draws.uniform() < 0.5 * params.flip, -1.0, 1.0)
    mirror_y = torch.where(draws.uniform() < 0.5 * params.flip_vertical, -1.0, 1.0)
    turn = draws.integers(0, 3) * int(params.quarter_turns) * (math.pi / 2)
    cos, sin = turn.cos().round(), turn.sin().round()
    linear = torch.stack([cos * mirror_x, -sin * mirror_y, sin * mirror_x, cos * mirror_y], 1).view(-1, 2, 2)
    linear = linear * zoom.exp()[:, None, None]
    middle = torch.tensor([width / 2, height / 2], device=zoom.device)
    moved = middle + torch.stack([right, down], 1) - linear @ middle
    return torch.cat([linear, moved[..., None]], 2).to(torch.get_default_dtype())


def move(batch: Batch, maps: Tensor, ground: int, least: float = LEAST_SEEN) -> Batch:
    """The batch with images and boxes moved by (B, 2, 3); boxes that leave the image are no longer real."""
    image, boxes = batch["image"], batch["boxes"]
    height, width = image.shape[-2:]
    back = torch.linalg.inv(maps[:, :, :2])
    half = torch.tensor([width / 2, height / 2], device=image.device, dtype=maps.dtype)
    # grid_sample's coordinates go from -1 to 1: u = x / half - 1
    linear = back * (half[None, None, :] / half[None, :, None])
    shift = ((back @ (half[:, None] - maps[:, :, 2:])).squeeze(2)) / half - 1
    grid = F.affine_grid(torch.cat([linear, shift[..., None]], 2), list(image.shape), align_corners=False)
    level = ground / 255
    moved = F.grid_sample(image - level, grid, padding_mode="zeros", align_corners=False) + level
    if "masks" in batch:
        seen = F.grid_sample(batch["masks"].to(image), grid, padding_mode="zeros", align_corners=False)
        batch = batch | {"masks": seen >= 0.5}
    corners = torch.stack([boxes[..., [0, 1]], boxes[..., [2, 1]], boxes[..., [2, 3]], boxes[..., [0, 3]]], 2)
    turned = torch.einsum("bij,blcj->blci", maps[:, :, :2], corners) + maps[:, None, None, :, 2]
    whole = torch.cat([turned.amin(2), turned.amax(2)], 2)
    region = torch.tensor([0.0, 0.0, width, height], device=image.device).to(boxes)
    return clip(batch | {"image": moved, "boxes": whole}, region.expand(len(boxes), 4), least)


def clip(batch: Batch, region: Tensor, least: float = LEAST_SEEN) -> Batch:
    """Boxes cut to a region (B, 4) of their image; those of which too little is left are no longer real."""
    boxes = batch["boxes"]
    low, high = region[:, None, :2], region[:, None, 2:]
    cut = torch.cat([boxes[..., :2].clamp(low, high), boxes[..., 2:].clamp(low, high)], 2)
    sides, whole = cut[..., 2:] - cut[..., :2], boxes[..., 2:] - boxes[..., :2]
    seen = sides.prod(2) / whole.prod(2).clamp_min(1e-6)
    large = sides.amin(2) >= torch.minimum(whole.amin(2), whole.new_tensor(LEAST_PX))
    real = batch["real"] & (seen >= least) & large
    return batch | {"boxes": cut, "real": real, "ignored": batch["ignored"] & real}


def with_mosaics(batch: Batch, made: Tensor, others: Tensor, corner: Tensor, read: Read, ground: int) -> Batch:
    """The batch with some images made of four: reduced, and put around a point near the middle.

    Args:
        made: (B,) bool.
        others: (M, 3) int64, samples that fill the quarters besides the first, for the M that are made.
        corner: (M, 6) in [0, 1): where the quarters meet, and the sizes of the images in them.
    """
    first = {name: value[made] for name, value in batch.items()}
    height, width = first["image"].shape[-2:]
    low, high = CENTRE
    middle = (low + (high - low) * corner[:, :2]) * corner.new_tensor([width, height])
    parts = [first]
    for index in others.unbind(1):
        fields = {name: value.to(index.device) for name, value in read(index).items()}
        parts.append(prepared(fields | {"sample": index}))
    pieces = []
    for number, part in enumerate(parts):
        right, below = number % 2, number // 2
        scale = SCALE[0] + (SCALE[1] - SCALE[0]) * corner[:, 2 + number]
        corner_of = scale.new_tensor([width * (1 - right), height * (1 - below)])  # the image's corner in the middle
        maps = scale.new_zeros(len(scale), 2, 3)
        maps[:, 0, 0] = maps[:, 1, 1] = scale
        maps[:, :, 2] = middle - scale[:, None] * corner_of
        lows = torch.stack([middle[:, 0] * right, middle[:, 1] * below], 1)
        highs = torch.stack(
            [width - (width - middle[:, 0]) * (1 - right), height - (height - middle[:, 1]) * (1 - below)], 1
        )
        moved = move(part, maps.to(part["image"].dtype), ground, least=0.0)
        pieces.append(clip(moved, torch.cat([lows, highs], 1).to(part["boxes"])))
    columns, rows = (torch.arange(side, device=made.device) + 0.5 for side in (width, height))
    right_of = (columns[None] > middle[:, :1]).long()[:, None, :]
    below_of = (rows[None] > middle[:, 1:]).long()[:, :, None]
    quarter = (right_of + 2 * below_of)[:, None]
    image = torch.zeros_like(first["image"])
    for number, piece in enumerate(pieces):
        image = torch.where(quarter == number, piece["image"], image)
        if "masks" in piece:
            piece["masks"] &= quarter == number
    names = [name for name in ("boxes", "label", "real", "ignored", "masks") if name in batch]
    joined = {name: torch.cat([piece[name] for piece in pieces], 1) for name in names}
    images = batch["image"].clone()
    images[made] = image
    longest = max(joined["real"].shape[1], batch["real"].shape[1])
    result = batch | {"image": images}
    for name, value in joined.items():
        whole = batch[name].new_zeros(len(made), longest, *value.shape[2:])
        whole[:, : batch[name].shape[1]] = batch[name]
        whole[made] = 0
        whole[made, : value.shape[1]] = value
        result[name] = whole
    return result


def recolour(images: Tensor, draws: Draws, most: float) -> Tensor:
    """Brightness, contrast and saturation of each image change by a factor between 1 - most and 1 + most."""
    if not most:
        return images
    light, contrast, colour = ((1 + most * (2 * draws.uniform() - 1)).to(images).view(-1, 1, 1, 1) for _ in range(3))
    grey = images.mean(1, keepdim=True)
    mixed = grey + colour * (images - grey)
    mean = mixed.mean((1, 2, 3), keepdim=True)
    return ((mean + contrast * (mixed - mean)) * light).clamp(0, 1)
