"""Train stage: prepared images -> results/train/ (weights, history).

    python -m projects.cifar_cnn.train                           # as params.yaml says
    python -m projects.cifar_cnn.train train.epochs=2            # this run only
    python -m projects.cifar_cnn.train runtime.processes=2       # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.cifar_cnn.train      # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.arrays import read_split
from shared.data.prepared import read_manifest
from shared.evaluation.validation import classification
from shared.image.batches import ImageBatch, to_float, train_batches
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, run
from shared.training.fit import Run, fit
from shared.training.optim import Muon, linear
from shared.training.stage import train_stage
from shared.training.step import Loss

from .data import augment
from .model import build_model, whiten_from
from .params import Params, Train

PROJECT = Project.of(__file__)
WHITEN_IMAGES = 5000  # plenty for the covariance of a 2x2 patch


def make_loss(label_smoothing: float) -> Loss:
    """Cross-entropy by the loss contract: sum over images, number of images, sums for the log."""

    def loss(model: nn.Module, batch: ImageBatch) -> tuple[Tensor, int, dict[str, Tensor]]:
        logits = model(batch.image)
        total = F.cross_entropy(logits, batch.label, label_smoothing=label_smoothing, reduction="sum")
        return total, len(batch.label), {"accuracy": (logits.argmax(1) == batch.label).sum()}

    return loss


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


def start(params: Train, prepared: Path, world: World) -> tuple[nn.Sequential, dict[str, Any]]:
    """The untrained model, the same on every rank, and the config it can be built from again."""
    manifest = read_manifest(prepared)
    config = {key: manifest[key] for key in ("classes", "channels", "image_size", "mean", "std")}
    torch.manual_seed(derive(params.seed, "weights"))
    model = build_model(params.model, config["channels"], len(config["classes"]), config["mean"], config["std"])
    images = read_split(prepared, "train", mapped=True).images[:WHITEN_IMAGES]
    whiten_from(model, to_float(torch.from_numpy(images.copy())))
    model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model, config | {"model": params.model.model_dump()}


def train(params: Params, prepared: Path, checkpoint: Checkpoint, world: World) -> tuple[Run, dict[str, Any]]:
    """Trains on the prepared images: the finished run and the model's config."""
    model, config = start(params.train, prepared, world)
    batches = train_batches(prepared, partial(augment, params=params.train), params.train, params.runtime, world)
    updates = round(params.train.epochs * len(batches))
    has_valid = "valid" in read_manifest(prepared)["splits"]
    trained = fit(
        model,
        make_loss(params.train.label_smoothing),
        train=batches,
        validate=classification(read_split(prepared, "valid"), world) if has_valid else None,
        optimizers=make_optimizers(model, params.train),
        schedule=linear(updates, warmup=round(params.train.warmup_fraction * updates)),
        params=params.train,
        runtime=params.runtime,
        world=world,
        checkpoint=checkpoint,
        scratch=ROOT / ".profile" / PROJECT.name,
    )
    return trained, config


def main(params: Params) -> None:
    train_stage(PROJECT, params, train)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
