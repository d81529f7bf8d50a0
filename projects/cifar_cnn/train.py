"""Train stage: prepared images -> results/train/ (weights, history).

    python -m projects.cifar_cnn.train                          # as params.yaml says
    python -m projects.cifar_cnn.train train.epochs=2            # this run only
    python -m projects.cifar_cnn.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.cifar_cnn.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import class_validation
from shared.image.augment import to_float
from shared.image.params import Reading
from shared.training.distributed import World
from shared.training.fit import Training, count_steps
from shared.training.muon import Muon
from shared.training.stage import train_stage
from shared.training.step import cross_entropy, linear

from .data import augment
from .model import build_model, check_side, whiten_from
from .params import Params, Train

VALID_BATCH = 500
WHITEN_IMAGES = 5000  # plenty for the covariance of a 2x2 patch


def loss(model: nn.Module, batch: Batch, label_smoothing: float) -> tuple[Tensor, int, dict[str, Tensor]]:
    """By the loss contract: sum over images, number of images, sums for the log."""
    return cross_entropy(model(batch["image"]), batch["label"], label_smoothing)


def logits(model: nn.Module, batch: Batch) -> Tensor:
    """Of validation images."""
    found: Tensor = model(to_float(batch["image"]))
    return found


def make_optimizers(model: nn.Module, params: Train) -> list[Optimizer]:
    """The compact net: Muon for its convolutions, SGD for the rest. A torchvision net: AdamW."""
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    if params.model.name != "compact":
        return [AdamW(learning, lr=params.adamw_lr, weight_decay=params.weight_decay, fused=True)]
    filters, heads, biases = ([weight for weight in learning if weight.ndim == ndim] for ndim in (4, 2, 1))
    groups = [
        {"params": weights, "lr": rate, "weight_decay": params.weight_decay / rate}
        for weights, rate in ((biases, params.bias_lr), (heads, params.head_lr))
    ]
    return [Muon(filters, params.filter_lr, momentum=0.6), SGD(groups, momentum=0.85, nesterov=True, fused=True)]


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained network, the same on every rank, with optimizers and schedule."""
    chosen, workers = params.train, params.runtime.workers
    config = {key: prepared.manifest[key] for key in ("classes", *Reading.model_fields, "mean", "std")}
    config |= {"model": chosen.model.model_dump(), "views": chosen.views, "flip": chosen.flip}
    torch.manual_seed(derive(chosen.seed, "weights"))
    model, table = build_model(config), prepared.table("train")
    if chosen.small_epochs:
        check_side(chosen.model.name, config["image_size"], chosen.small_px, "train.small_px")
    whiten_from(model, to_float(torch.from_numpy(table.fixed("image")[:WHITEN_IMAGES])))
    model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    batches = Batches(
        gather(table, "image", "label", device="cpu" if workers else world.device),
        plan=EqualBatches(len(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=partial(augment, params=chosen),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=partial(loss, label_smoothing=chosen.label_smoothing),
        batches=batches,
        validation=class_validation(prepared, ["image"], world, logits, batch_size=VALID_BATCH),
        optimizers=make_optimizers(model, chosen),
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
