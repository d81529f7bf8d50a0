"""Train stage: prepared texts -> results/train/ (weights, history).

    python -m projects.imdb_sentiment.train                          # as params.yaml says
    python -m projects.imdb_sentiment.train train.model.name=ngrams  # another network, this run only
    python -m projects.imdb_sentiment.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.imdb_sentiment.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given, in tokens: n processes take 1/n of it each. An interrupted run goes on from
its last checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.errors import UserError
from shared.core.seed import derive
from shared.data.batches import Batch, Batches, CostBatches, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import class_validation
from shared.text.pretrained import check_checkpoint, checkpoint_files, load_pretrained
from shared.text.tokens import ENCODER, load_encoder
from shared.training.distributed import World
from shared.training.fit import Training, count_steps
from shared.training.stage import train_stage
from shared.training.step import cross_entropy, linear

from .model import NGramClassifier, build_model, learn_ratios
from .params import Params, Train


def logits(model: nn.Module, batch: Batch) -> Tensor:
    found: Tensor = model(batch["tokens"], batch["tokens_mask"])
    return found


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int, dict[str, Tensor]]:
    """By the loss contract: sum over texts, number of texts, sums for the log."""
    return cross_entropy(logits(model, batch), batch["label"])


def start(params: Train, prepared: Prepared) -> tuple[nn.Module, dict[str, Any]]:
    """The model to train, the same on every rank, and the config it can be built from again."""
    manifest = prepared.manifest
    config = {key: manifest[key] for key in ("classes", "max_tokens")}
    config |= {"encoder": prepared.read(ENCODER), "model": params.model.model_dump()}
    torch.manual_seed(derive(params.seed, "weights"))
    network = None
    if params.model.name == "checkpoint":
        if not manifest["checkpoint"]:
            raise UserError(
                "train.model.name: a checkpoint, but the texts were prepared for another model",
                fix="set prepare.tokenizer=checkpoint as well, and prepare again",
            )
        network, config["network"] = load_pretrained(
            manifest["checkpoint"], "classifier", manifest["max_tokens"], num_labels=len(config["classes"])
        )
    elif params.model.name == "ngrams":
        table, blank = prepared.table("train"), load_encoder(config["encoder"]).blank
        labels = torch.from_numpy(table.fixed("label"))
        keys, ratios = learn_ratios(table.ragged("tokens"), labels, len(config["classes"]), params.model, blank)
        config["num_ngrams"] = len(keys)
    model = build_model(config, network)
    if network is not None:
        check_checkpoint(manifest["checkpoint"], model, load_encoder(config["encoder"]))
    if isinstance(model, NGramClassifier):
        model.votes.fill(keys, ratios)
    return model, config


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: a model, the same on every rank, with optimizers and schedule."""
    chosen, workers, table = params.train, params.runtime.workers, prepared.table("train")
    model, config = start(chosen, prepared)
    model = model.to(world.device)
    batches = Batches(
        gather(table, "tokens", "label", device="cpu" if workers else world.device),
        plan=CostBatches(table.ragged("tokens").lengths, chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=loss,
        batches=batches,
        validation=class_validation(
            prepared, ["tokens"], world, logits, batch_size=chosen.micro_batch_size, cost="tokens"
        ),
        optimizers=[AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
        files=checkpoint_files(prepared.manifest["checkpoint"]) if chosen.model.name == "checkpoint" else (),
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
