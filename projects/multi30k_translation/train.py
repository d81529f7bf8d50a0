"""Train stage: prepared pairs -> results/train/ (weights, history).

    python -m projects.multi30k_translation.train                            # as params.yaml says
    python -m projects.multi30k_translation.train train.model.name=gru       # another network, this run only
    python -m projects.multi30k_translation.train runtime.processes=2        # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.multi30k_translation.train       # the same; several machines too

Rates hold for the global batch size given, in tokens of both sides with padding: n processes take 1/n of it each. An
interrupted run goes on from its last checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Muon, Optimizer

from shared.core.errors import UserError
from shared.core.seed import derive
from shared.data.batches import Batch, Batches, CostBatches, cost_shares, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import collect
from shared.text.pretrained import checkpoint_files
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.stage import train_stage
from shared.training.step import Loss, linear

from .checkpoint import load_checkpoint
from .data import both_lengths, inputs_of, reading
from .model import build_model
from .params import Params, Train
from .pieces import PIECES, Pieces

# Logits at once on a CPU: with more, which its cache does not hold, the loss of 2,000 tokens took 92 ms instead of 34
CACHED = 1 << 20


def make_loss(label_smoothing: float) -> Loss:
    """Cross-entropy by the loss contract: sum over target tokens, their number, and how many are right."""

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        translator: Any = getattr(model, "module", model)  # DDP's hooks, set up by model(...), see `score` as well
        mask = batch["target_mask"]
        found: Tensor = model(batch["source"], batch["source_mask"], batch["inputs"], mask)
        labels, on_cpu = batch["target"].long()[mask], found.device.type == "cpu"
        size = max(1, CACHED // translator.embedding.num_embeddings) if on_cpu else len(found)
        total, right = found.new_zeros(()), labels.new_zeros(())
        for states, label in zip(torch.split(found, size), torch.split(labels, size), strict=True):
            logits = translator.score(states)
            total = total + F.cross_entropy(logits, label, reduction="sum", label_smoothing=label_smoothing)
            right += (logits.gather(1, label[:, None])[:, 0] == logits.amax(1)).sum()  # argmax takes longer on a CPU
        return total, mask.sum(), {"accuracy": right}

    return loss


def validation(prepared: Prepared, begin: int, batch_size: int, world: World) -> Validation | None:
    """valid_loss (nats a token, without smoothing) and valid_accuracy (of tokens, given those before)."""
    if "valid" not in prepared.splits:
        return None
    table = prepared.table("valid")
    read = gather(table, "source", "target", device=world.device)
    shares = cost_shares(both_lengths(table), batch_size, world)

    def measure(model: nn.Module) -> dict[str, float]:
        def record(index: Tensor) -> dict[str, Tensor]:
            batch = read(index)
            target, mask = batch["target"].long(), batch["target_mask"]
            translator: Any = model
            states = model(batch["source"].long(), batch["source_mask"], inputs_of(target, begin), mask)
            logits = translator.score(states)
            losses, right = logits.new_zeros(mask.shape), torch.zeros_like(mask)
            losses[mask] = F.cross_entropy(logits, target[mask], reduction="none")
            right[mask] = logits.argmax(1) == target[mask]
            return {"loss": losses.sum(1), "accuracy": right.sum(1), "tokens": mask.sum(1)}

        records = collect(record, shares, world)
        sums = {name: records[name].double().sum().item() for name in ("loss", "accuracy", "tokens") if records}
        return {f"valid_{name}": sums[name] / sums["tokens"] for name in ("loss", "accuracy") if sums}

    return Validation(("valid_loss", "valid_accuracy"), measure)


def make_optimizers(model: nn.Module, params: Train) -> list[Optimizer]:
    """AdamW, and Muon (Jordan 2024) for the matrices of the layers where it has a rate: it takes fewer updates, each a
    little longer. Its updates are as long as AdamW's are on average (Liu et al. 2025, arXiv:2502.16982)."""
    table = model.get_submodule(str(model.embedding_layer)).weight
    matrices = [one for one in model.parameters() if one.ndim == 2 and one is not table] if params.muon_lr else []
    chosen = set(map(id, matrices))
    rest = [one for one in model.parameters() if id(one) not in chosen]
    decay = params.weight_decay
    found: list[Optimizer] = [AdamW(rest, lr=params.lr, betas=(0.9, 0.98), weight_decay=decay, fused=True)]
    if matrices:
        found.append(Muon(matrices, lr=params.muon_lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return found


def check_average(params: Train) -> None:
    """Raises UserError where the mean of the last checkpoints would not be the result."""
    beside = {
        "ema_decay above 0": params.ema_decay > 0,
        "precision fp16, which skips updates": params.precision == "fp16",
        "keep=best, which may keep weights from before the mean": params.keep == "best",
        "patience above 0, which may stop before the mean": params.patience > 0,
    }
    if found := [what for what, holds in beside.items() if holds]:
        raise UserError(f"train.average_last: {params.average_last}, beside {found[0]}", fix="train.average_last=1")


def average_last(optimizer: Optimizer, updates: int, every: int, number: int) -> None:
    """After the last of all updates the weights become the mean of those there are then, those `every` updates before,
    and so on, `number` in all. The sums are the optimizer's state: a training that is resumed has them."""
    (group,) = optimizer.param_groups
    group["update"] = 0

    @torch.no_grad()
    def after(*_: Any) -> None:
        (group,) = optimizer.param_groups  # another one, where the optimizer was restored
        group["update"] += 1
        left = updates - group["update"]
        if left % every or left >= every * number:
            return
        for weight in group["params"]:
            state = optimizer.state[weight]
            state["sum"] = state["sum"] + weight if "sum" in state else weight.clone()
            if not left:
                weight.copy_(state["sum"] / min(number, 1 + (updates - 1) // every))

    optimizer.register_step_post_hook(after)


def start(params: Train, prepared: Prepared) -> tuple[nn.Module, dict[str, Any]]:
    """The model to train, the same on every rank, and the config it can be built from again."""
    manifest = prepared.manifest
    config: dict[str, Any] = {key: manifest[key] for key in ("languages", "max_tokens")}
    config |= {"pieces": prepared.read(PIECES), "model": params.model.model_dump()}
    torch.manual_seed(derive(params.seed, "weights"))
    if (params.model.name == "checkpoint") != bool(manifest["checkpoint"]):
        raise UserError(
            f"train.model.name: {params.model.name}, but the pieces are {manifest['checkpoint'] or 'learned ones'}",
            fix="set prepare.pieces to a checkpoint and train.model.name=checkpoint, or neither; prepare again",
        )
    if not manifest["checkpoint"]:
        return build_model(config), config
    pieces = Pieces.of(config["pieces"])
    model, config["network"] = load_checkpoint(manifest["checkpoint"], pieces, manifest["max_tokens"])
    return model, config


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: a model, the same on every rank, with optimizer and schedule."""
    chosen, workers, table = params.train, params.runtime.workers, prepared.table("train")
    model, config = start(chosen, prepared)
    model, marks = model.to(world.device), Pieces.of(config["pieces"]).marks
    batches = Batches(
        gather(table, "source", "target", device="cpu" if workers else world.device),
        plan=CostBatches(both_lengths(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=reading(marks, chosen.blank_rate, derive(chosen.seed, "blank")),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    optimizers = make_optimizers(model, chosen)
    if chosen.average_last > 1:
        check_average(chosen)
        for optimizer in optimizers:
            average_last(optimizer, updates, len(batches), chosen.average_last)
    return Training(
        model=model,
        loss=make_loss(chosen.label_smoothing),
        batches=batches,
        validation=validation(prepared, marks.begin, chosen.micro_batch_size, world),
        optimizers=optimizers,
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
        files=checkpoint_files(prepared.manifest["checkpoint"]) if prepared.manifest["checkpoint"] else (),
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
