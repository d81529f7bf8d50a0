"""Train stage: prepared texts -> results/train/ (weights, history).

    python -m projects.imdb_sentiment.train                          # as params.yaml says
    python -m projects.imdb_sentiment.train train.model.name=cnn     # another network, this run only
    python -m projects.imdb_sentiment.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.imdb_sentiment.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given, in tokens: n processes take 1/n of it each. An interrupted run goes on from
its last checkpoint when the same command is given again.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from shared.data.columns import read_columns
from shared.training.optim import linear
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.errors import UserError
from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.batches import length_shares
from shared.data.prepared import read_manifest
from shared.evaluation.records import Records, collect
from shared.text.batches import TextBatch, text_reader
from shared.text.classes import read_encoder
from shared.text.pretrained import start_from_vectors
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, run
from shared.training.fit import Run, Validate, fit
from shared.training.stage import train_stage
from shared.training.step import Loss

from .data import tokens_and_labels, train_batches
from .model import TextClassifier, build_model, load_pretrained, network_config
from .params import Params, Train

PROJECT = Project.of(__file__)


def make_loss(label_smoothing: float) -> Loss:
    """Cross-entropy by the loss contract: sum over texts, number of texts, sums for the log."""

    def loss(model: nn.Module, batch: TextBatch) -> tuple[Tensor, int, dict[str, Tensor]]:
        logits = model(batch.tokens, batch.mask)
        total = F.cross_entropy(logits, batch.label, label_smoothing=label_smoothing, reduction="sum")
        return total, len(batch.label), {"accuracy": (logits.argmax(1) == batch.label).sum()}

    return loss


def make_validation(prepared: Path, params: Train, world: World) -> Validate:
    """Loss and accuracy on the validation texts."""
    tokens, labels = tokens_and_labels(read_columns(prepared, "valid"))
    read = text_reader(tokens, labels, world.device)

    def validate(model: nn.Module) -> dict[str, float]:
        def predict(index: Tensor) -> Records:
            ids, mask, label = read(index)
            logits = model(ids, mask)
            return {"loss": F.cross_entropy(logits, label, reduction="none"), "accuracy": logits.argmax(1) == label}

        records = collect(predict, length_shares(tokens.lengths, params.micro_batch_size, world), world)
        return {f"valid_{name}": records[name].double().mean().item() for name in ("loss", "accuracy")}

    return validate


def start(params: Train, prepared: Path, world: World) -> tuple[nn.Module, dict[str, Any]]:
    """The model to train, the same on every rank, and the config it can be built from again."""
    manifest = read_manifest(prepared)
    config = {key: manifest[key] for key in ("classes", "max_tokens")}
    config |= {"encoder": read_encoder(prepared), "model": params.model.model_dump()}
    torch.manual_seed(derive(params.seed, "weights"))
    if params.model.name == "checkpoint":
        if not manifest["checkpoint"]:
            raise UserError(
                "train.model.name: a checkpoint, but the texts were prepared for another model",
                fix="set prepare.tokenizer=checkpoint as well, and prepare again",
            )
        config["network"] = network_config(manifest["checkpoint"], config)
    model = build_model(config)
    if params.model.name == "checkpoint":
        load_pretrained(model, manifest["checkpoint"])
    elif isinstance(model, TextClassifier):
        start_from_vectors(model.embedding.words, prepared, "train.model.width")
    return model.to(world.device), config


def train(params: Params, prepared: Path, checkpoint: Checkpoint, world: World) -> tuple[Run, dict[str, Any]]:
    """Trains on the prepared texts: the finished run and the model's config."""
    chosen = params.train
    model, config = start(chosen, prepared, world)
    batches = train_batches(prepared, chosen, params.runtime, world)
    updates = round(chosen.epochs * len(batches))
    has_valid = "valid" in read_manifest(prepared)["splits"]
    trained = fit(
        model,
        make_loss(chosen.label_smoothing),
        train=batches,
        validate=make_validation(prepared, chosen, world) if has_valid else None,
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
