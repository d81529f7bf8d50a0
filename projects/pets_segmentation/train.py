"""Train stage: prepared tiles -> results/train/ (weights, history).

    python -m projects.pets_segmentation.train                          # as params.yaml says
    python -m projects.pets_segmentation.train train.epochs=2           # this run only
    python -m projects.pets_segmentation.train train.model.name=lraspp_mobilenet_v3_large
    python -m projects.pets_segmentation.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.pets_segmentation.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from shared.core.errors import UserError
from shared.core.paths import weights_file
from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches, even_shares, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import collect
from shared.image.augment import to_float
from shared.image.masks import IGNORED
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.muon import Muon
from shared.training.stage import train_stage
from shared.training.step import linear

from .data import augment
from .model import BACKBONES, IMAGENET, LITE0, OF_LITE0, build_model, start_from
from .params import Params, Train
from .scores import confusion, mean_iou, parts

VALID_BATCH = 8
MOMENTUM = 0.6  # of Muon
KEPT = "classes", "palette", "height", "width", "fit", "overlap_px", "ground", "white", "mean", "std"
SMOOTH = 1.0  # pixels added to both sides of the Dice ratio, so that a class of few pixels does not decide alone


def loss(
    model: nn.Module, batch: Batch, params: Train, weights: Tensor | None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """By the loss contract: sum over labelled pixels, their number, sums for the log.

    Dice is a mean over the classes of an image, which counts for each of its labelled pixels: so it is a sum over
    images, and independent of micro-batches and processes.

    Args:
        weights: (K,) of the classes; None: all alike.
    """
    logits, mask = widened(model(batch["image"])), batch["mask"].long()
    counted = mask != IGNORED
    number = counted.sum()
    summed = F.cross_entropy(logits, mask, weights, ignore_index=IGNORED, reduction="none").sum()
    if params.dice_weight:
        summed = summed + params.dice_weight * (dice_loss(logits, mask, counted) * counted.sum((1, 2))).sum()
    right = (logits.argmax(1) == mask).sum()
    return summed, number, {"pixel_accuracy": right}


def widened(logits: Tensor) -> Tensor:
    """Half precision to single: sums over many pixels need it."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def dice_loss(logits: Tensor, mask: Tensor, counted: Tensor) -> Tensor:
    """(B,): 1 - Dice's coefficient of the probabilities (Milletari et al. 2016), mean over the classes of each image.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W) int64.
        counted: (B, H, W) bool, the pixels that have a label.
    """
    shares = logits.softmax(1) * counted[:, None]
    actual = F.one_hot(mask.masked_fill(~counted, 0), logits.shape[1]).permute(0, 3, 1, 2) * counted[:, None]
    both, sizes = (shares * actual).sum((2, 3)), actual.sum((2, 3))
    missed = 1 - (2 * both + SMOOTH) / (shares.sum((2, 3)) + sizes + SMOOTH)
    there = sizes > 0
    return (missed * there).sum(1) / there.sum(1).clamp_min(1)


def class_weights(shares: list[float], power: float) -> Tensor | None:
    """(K,): share of the pixels to minus this power, with a mean over pixels of 1; None where all are alike."""
    if not power:
        return None
    weights = torch.tensor(shares).clamp_min(1e-6) ** -power
    return weights / (weights * torch.tensor(shares)).sum()


def validation(prepared: Prepared, world: World) -> Validation | None:
    """valid_loss (mean cross-entropy over pixels, in nats), valid_mean_iou_score and valid_pixel_accuracy, over the
    tiles of the validation split without augmentation; None where there is none."""
    if "valid" not in prepared.splits:
        return None
    table, num_classes = prepared.table("valid"), len(prepared.manifest["classes"])
    read = gather(table, "image", "mask", device=world.device)

    def of_batch(model: nn.Module, index: Tensor) -> dict[str, Tensor]:
        batch = read(index)
        logits, mask = widened(model(to_float(batch["image"]))), batch["mask"].long()
        losses = F.cross_entropy(logits, mask, ignore_index=IGNORED, reduction="none").sum((1, 2))
        pairs = zip(mask.cpu().numpy(), logits.argmax(1).cpu().numpy(), strict=True)
        found = np.stack([confusion(*pair, num_classes) for pair in pairs])
        return {"loss": losses, "counts": torch.from_numpy(parts(found))}

    def measure(model: nn.Module) -> dict[str, float]:
        shares = even_shares(len(table), VALID_BATCH, world)
        records = collect(lambda index: of_batch(model, index), shares, world)
        if not records:
            return {}
        counts = records["counts"].numpy().sum(axis=0)
        pixels = max(1, int(counts[1].sum()))
        return {
            "valid_mean_iou_score": float(mean_iou(counts)),
            "valid_pixel_accuracy": float(counts[0].sum() / pixels),
            "valid_loss": records["loss"].double().sum().item() / pixels,
        }

    return Validation(("valid_mean_iou_score", "valid_pixel_accuracy", "valid_loss"), measure)


def make_optimizers(model: nn.Module, params: Train) -> list[Optimizer]:
    """The U-Net: Muon for the convolutions that batch norm follows, where it has a rate; AdamW for all else, with a
    rate of its own for the backbone."""
    convs = [one for one in model.modules() if isinstance(one, nn.Conv2d) and one.bias is None and one.in_channels > 3]
    filters = [one.weight for one in convs] if params.model.name == "unet" and params.filter_lr else []
    known = {id(weight) for weight in filters}
    groups = []
    for backbone, factor in ((False, 1.0), (True, params.backbone_lr_factor)):
        named = [weight for name, weight in model.named_parameters() if name.startswith(BACKBONES) == backbone]
        some = [weight for weight in named if id(weight) not in known]
        groups += [{"params": some, "lr": factor * params.lr}] if some else []
    adamw = AdamW(groups, weight_decay=params.weight_decay, fused=True)
    return [Muon(filters, params.filter_lr, MOMENTUM), adamw] if filters else [adamw]


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained network, or one with torchvision's weights, the same on every rank."""
    chosen, workers = params.train, params.runtime.workers
    if not 0 < chosen.zoom[0] <= chosen.zoom[1]:
        raise UserError(f"train.zoom: {list(chosen.zoom)}", expected="two positive factors, the smaller one first")
    config: dict[str, Any] = {key: prepared.manifest[key] for key in KEPT}
    config |= {"model": chosen.model.model_dump(), "views": chosen.views}
    files = [weights_file(chosen.weights)] if chosen.weights else []
    if files:
        config |= OF_LITE0 if chosen.model.name == LITE0 else IMAGENET
    torch.manual_seed(derive(chosen.seed, "weights"))
    model, table = build_model(config), prepared.table("train")
    for path in files:
        said = start_from(model, path)
        if world.is_first:
            print(f"train: {said}")
    model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = class_weights(prepared.manifest["class_share"], chosen.class_weight_power)

    batches = Batches(
        gather(table, "image", "mask", device="cpu" if workers else world.device),
        plan=EqualBatches(len(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=partial(augment, params=chosen),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=partial(loss, params=chosen, weights=None if weights is None else weights.to(world.device)),
        batches=batches,
        validation=validation(prepared, world),
        optimizers=make_optimizers(model, chosen),
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
        files=files,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
