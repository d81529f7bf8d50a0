"""Train stage: prepared images -> results/train/ (weights, history).

    python -m projects.voc_detection.train                            # as params.yaml says
    python -m projects.voc_detection.train train.model.name=fcos      # another network, this run only
    python -m projects.voc_detection.train runtime.processes=2        # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.voc_detection.train       # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from shared.core.errors import UserError
from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches, even_shares, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import collect
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.stage import train_stage
from shared.training.step import Schedule

from .assign import detection_loss
from .data import FIELDS, augment
from .detections import record, truth_of
from .model import MAX_DETECTIONS, NMS_IOU, build_model
from .params import Params, Train
from .scores import average_precision, match
from .torchvision_models import TorchvisionDetector, load_pretrained

VALID_BATCH = 50


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int | Tensor, dict[str, Tensor]]:
    """By the loss contract. torchvision's detectors give means over an image or a batch: they count as means over the
    images of a micro-batch, an exception from the contract."""
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    if not isinstance(inner, TorchvisionDetector):
        return detection_loss(model(batch["image"]), batch)
    losses = model(batch["image"], batch)
    count = len(batch["image"])
    return sum(losses.values()) * count, count, {name: one.detach() * count for name, one in losses.items()}


def validation(prepared: Prepared, world: World) -> Validation | None:
    """valid_ap50_score and valid_ap_score: average precision at an IoU of 0.5, and over 0.5 to 0.95."""
    if "valid" not in prepared.splits:
        return None
    table = prepared.table("valid")
    shares = even_shares(len(table), VALID_BATCH, world)

    def measure(model: nn.Module) -> dict[str, float]:
        records = collect(record(model, table, world, MAX_DETECTIONS, NMS_IOU), shares, world)
        if not records:
            return {}
        scores = average_precision(match(records, truth_of(table), len(prepared.manifest["classes"])))
        return {"valid_ap50_score": scores.at(0.5), "valid_ap_score": scores.mean}

    return Validation(("valid_ap50_score", "valid_ap_score"), measure)


def cosine(total: int, warmup: int) -> Schedule:
    """Linear warm-up, then half a cosine down to a hundredth of the rate."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, total - warmup)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2

    return factor


def make_optimizer(model: nn.Module, params: Train) -> AdamW:
    """AdamW: no decay of biases and norms."""
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in learning if (weight.ndim > 1) == decayed],
         "weight_decay": params.weight_decay * decayed}
        for decayed in (True, False)
    ]  # fmt: skip
    return AdamW(groups, lr=params.lr, fused=True)


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained network, the same on every rank, with optimizer and schedule."""
    chosen, workers = params.train, params.runtime.workers
    config = {key: prepared.manifest[key] for key in ("classes", "width_px", "height_px", "ground", "white")}
    config["model"] = chosen.model.model_dump()
    torch.manual_seed(derive(chosen.seed, "weights"))
    model, table = build_model(config), prepared.table("train")
    files, fields = [], [*FIELDS]
    if isinstance(model, TorchvisionDetector):
        if model.gives_masks and "masks" not in table:
            raise UserError(f"train.model.name: {chosen.model.name} learns masks, and the prepared data have none",
                            fix="prepare.masks=true, on data that have masks")  # fmt: skip
        fields += ["masks"] * model.gives_masks
        files = load_pretrained(model, chosen.model.name, chosen.model.weights)
    elif chosen.model.weights:
        raise UserError(f"train.model.weights: {chosen.model.weights}, but train.model.name is {chosen.model.name}, "
                        "which starts from scratch", expected="'', or a detector of torchvision")  # fmt: skip
    model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    read = gather(table, *fields, device="cpu" if workers else world.device)
    batches = Batches(
        read,
        plan=EqualBatches(len(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=partial(augment, params=chosen, ground=config["ground"], read=read, size=len(table)),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=loss,
        batches=batches,
        validation=validation(prepared, world),
        optimizers=[make_optimizer(model, chosen)],
        schedule=cosine(updates, round(chosen.warmup_fraction * updates)),
        config=config,
        files=files,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
