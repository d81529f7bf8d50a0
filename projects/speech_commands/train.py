"""Train stage: prepared recordings -> results/train/ (weights, history).

    python -m projects.speech_commands.train                          # as params.yaml says
    python -m projects.speech_commands.train train.epochs=2           # this run only
    python -m projects.speech_commands.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.speech_commands.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import class_validation
from shared.training.distributed import World
from shared.training.fit import Training, count_steps
from shared.training.stage import train_stage
from shared.training.step import cross_entropy, linear

from .data import augment
from .model import build_model
from .params import Params

VALID_BATCH = 200


def loss(model: nn.Module, batch: Batch, label_smoothing: float) -> tuple[Tensor, int, dict[str, Tensor]]:
    """By the loss contract: sum over recordings, number of recordings, sums for the log."""
    found = model(batch["mel"], batch["mel_mask"])
    total, count, sums = cross_entropy(found, batch["label"], label_smoothing)
    if "other_label" in batch:
        other, own = (
            F.cross_entropy(found, batch[name], label_smoothing=label_smoothing, reduction="none")
            for name in ("other_label", "label")
        )
        total = torch.lerp(other, own, batch["share"].to(own)).sum()
    return total, count, sums


def logits(model: nn.Module, batch: Batch) -> Tensor:
    """Of recordings as they were prepared: sound and sound_mask (B, L)."""
    found: Tensor = model(*model.features(batch["sound"], batch["sound_mask"]))  # type: ignore[operator]
    return found


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained network, the same on every rank, with optimizer and schedule."""
    chosen, workers, table = params.train, params.runtime.workers, prepared.table("train")
    config = {key: prepared.manifest[key] for key in ("classes", "rate_hz", "max_seconds", "window_s")}
    config |= {"model": chosen.model.model_dump(), "mel": chosen.mel.model_dump()}
    torch.manual_seed(derive(chosen.seed, "weights"))
    model = build_model(config).to(world.device)
    read = gather(table, "sound", "label", device="cpu" if workers else world.device)
    batches = Batches(
        read,
        plan=EqualBatches(len(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=partial(augment, params=chosen, features=model.features, read=read, count=len(table)),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=partial(loss, label_smoothing=chosen.label_smoothing),
        batches=batches,
        validation=class_validation(prepared, ["sound"], world, logits, batch_size=VALID_BATCH),
        optimizers=[AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
