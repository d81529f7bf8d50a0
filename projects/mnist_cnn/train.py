"""Train stage: prepared images -> results/train/ (weights, history).

    python -m projects.mnist_cnn.train                          # as params.yaml says
    python -m projects.mnist_cnn.train train.model.name=mlp     # another network, this run only
    python -m projects.mnist_cnn.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.mnist_cnn.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.arrays import read_split
from shared.data.prepared import read_manifest
from shared.evaluation.validation import classification
from shared.image.batches import ImageBatch, train_batches
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, run
from shared.training.fit import Run, fit
from shared.training.optim import linear
from shared.training.stage import train_stage
from shared.training.step import Loss

from .data import augment
from .model import build_model
from .params import Params, Train

PROJECT = Project.of(__file__)


def make_loss(label_smoothing: float) -> Loss:
    """Cross-entropy by the loss contract: sum over images, number of images, sums for the log."""

    def loss(model: nn.Module, batch: ImageBatch) -> tuple[Tensor, int, dict[str, Tensor]]:
        logits = model(batch.image)
        total = F.cross_entropy(logits, batch.label, label_smoothing=label_smoothing, reduction="sum")
        return total, len(batch.label), {"accuracy": (logits.argmax(1) == batch.label).sum()}

    return loss


def start(params: Train, prepared: Path, world: World) -> tuple[nn.Sequential, dict[str, Any]]:
    """The untrained model, the same on every rank, and the config it can be built from again."""
    manifest = read_manifest(prepared)
    config = {key: manifest[key] for key in ("classes", "channels", "image_size")}
    torch.manual_seed(derive(params.seed, "weights"))
    model = build_model(params.model, config["channels"], config["image_size"], len(config["classes"]))
    model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model, config | {"model": params.model.model_dump()}


def train(params: Params, prepared: Path, checkpoint: Checkpoint, world: World) -> tuple[Run, dict[str, Any]]:
    """Trains on the prepared images: the finished run and the model's config."""
    chosen = params.train
    model, config = start(chosen, prepared, world)
    batches = train_batches(prepared, partial(augment, params=chosen), chosen, params.runtime, world)
    updates = round(chosen.epochs * len(batches))
    has_valid = "valid" in read_manifest(prepared)["splits"]
    trained = fit(
        model,
        make_loss(chosen.label_smoothing),
        train=batches,
        validate=classification(read_split(prepared, "valid"), world) if has_valid else None,
        optimizers=[AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        params=chosen,
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
