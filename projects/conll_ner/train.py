"""Train stage: prepared sentences -> results/train/ (weights, history).

    python -m projects.conll_ner.train                          # as params.yaml says
    python -m projects.conll_ner.train train.forget_rate=0.0    # no word becomes unknown, this run only
    python -m projects.conll_ner.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.conll_ner.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given, in words: n processes take 1/n of it each. An interrupted run goes on from
its last checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from typing import Any

import torch
from seqeval.metrics import f1_score
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.seed import derive
from shared.data.batches import Batch, Batches, CostBatches, cost_shares, unpad
from shared.data.prepared import Prepared
from shared.evaluation.records import Records, collect
from shared.text.pretrained import checkpoint_files, load_pretrained
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.stage import train_stage
from shared.training.step import linear

from .data import PieceFeatures, by_sentence, forget, load_features, read_sequences, reader
from .model import PRETRAINED, Tagger, build_model
from .params import Params, Train


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Negative log-likelihood of the tags by the loss contract: sum over sequences, number of words, nothing to log."""
    # DDP wraps forward alone; its hooks see the CRF's gradients all the same
    tagger: Any = getattr(model, "module", model)
    mask = batch["tokens_mask"]
    return tagger.crf.loss(model(batch["tokens"], mask), mask, batch["tags"]).sum(), mask.sum(), {}


def validation(prepared: Prepared, config: dict[str, Any], batch_size: int, world: World) -> Validation | None:
    """Loss a word, and F1 of entities, on the validation sentences; None where there are none."""
    if "valid" not in prepared.splits:
        return None
    table = prepared.table("valid")
    sequences, actual = read_sequences(table, config), by_sentence(table.ragged("tags"), config["classes"])
    read = reader(table, sequences, world.device)
    shares = cost_shares(sequences.tokens.lengths, batch_size, world)

    def measure(model: Any) -> dict[str, float]:
        def record(index: Tensor) -> Records:
            batch = read(index)
            mask = batch["tokens_mask"]
            emissions = model(batch["tokens"], mask)
            losses = model.crf.loss(emissions, mask, batch["tags"]).double()
            return {"loss": losses, "words": mask.sum(1), "tags": unpad(model.crf.decode(emissions, mask), mask)}

        records = collect(record, shares, world)
        if not records:
            return {}
        predicted = by_sentence(sequences.give_back_tags(records["tags"]), config["classes"])
        mean = records["loss"].sum() / records["words"].sum()
        return {"valid_loss": mean.item(), "valid_f1": float(f1_score(actual, predicted, zero_division=0))}

    return Validation(("valid_loss", "valid_f1"), measure)


def optimizer(model: Tagger, params: Train) -> AdamW:
    """AdamW; a checkpoint's own weights have a rate of their own."""
    own: list[Tensor] = []
    pretrained: list[Tensor] = []
    for name, weight in model.named_parameters():
        (pretrained if name.startswith(PRETRAINED) else own).append(weight)
    groups: list[dict[str, Any]] = [{"params": own}, {"params": pretrained, "lr": params.checkpoint_lr}]
    return AdamW(groups, lr=params.lr, weight_decay=params.weight_decay, fused=True)


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained tagger, or one on a checkpoint, the same on every rank, and its optimizer."""
    chosen, workers = params.train, params.runtime.workers
    config = {key: prepared.manifest[key] for key in ("classes", "max_tokens", "join_sentences")}
    config |= {"features": prepared.read("features.json"), "model": chosen.model.model_dump()}
    features, body, checkpoint = load_features(config["features"]), None, ""
    if isinstance(features, PieceFeatures):
        checkpoint, num_tokens = features.checkpoint, config["max_tokens"] + len(features.added)
        body, config["body"] = load_pretrained(checkpoint, "body", num_tokens)
    torch.manual_seed(derive(chosen.seed, "weights"))
    model = build_model(config, body).to(world.device)

    table = prepared.table("train")
    sequences = read_sequences(table, config)
    batches = Batches(
        reader(table, sequences, "cpu" if workers else world.device),
        plan=CostBatches(sequences.tokens.lengths, chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=None if checkpoint else forget(table.ragged("tokens").values, chosen),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=loss,
        batches=batches,
        validation=validation(prepared, config, chosen.micro_batch_size, world),
        optimizers=[optimizer(model, chosen)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
        files=checkpoint_files(checkpoint) if checkpoint else (),
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
