"""Train stage: prepared utterances -> results/train/ (weights, history).

    python -m projects.speech_ctc.train                          # as params.yaml says
    python -m projects.speech_ctc.train train.epochs=2           # this run only
    python -m projects.speech_ctc.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.speech_ctc.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again. The loss is in nats a symbol; `blank_rate` in the history is the share
of outputs that say nothing, which is near 1 until the network has found the words.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.seed import derive
from shared.data.batches import Batch, Batches, CostBatches, cost_shares, gather
from shared.data.prepared import Prepared
from shared.evaluation.records import collect
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.stage import train_stage
from shared.training.step import linear

from .data import augment, check_speed
from .decode import BLANK, WordModel, greedy_text
from .model import build_model, ctc
from .params import Params
from .scores import count_errors

VALID_BATCH = 20_000  # outputs with padding
MOST_WORDS = 2000  # different ones that are kept for decoding: with more, train's texts say little of what follows what


def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """By the loss contract: sum over symbols, number of symbols, sums for the log."""
    log_probs, frames = model(batch["mel"], batch["mel_mask"])
    count = batch["target_mask"].sum()
    blank = ((log_probs.argmax(2) == BLANK) & frames).sum() / frames.sum()
    return ctc(log_probs, frames, batch["target"], batch["target_mask"]).sum(), count, {"blank_rate": blank * count}


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained network, the same on every rank, with optimizer and schedule."""
    chosen, workers, table = params.train, params.runtime.workers, prepared.table("train")
    config = {key: prepared.manifest[key] for key in ("alphabet", "rate_hz", "frame_ms", "max_seconds")}
    check_speed(table, chosen.speed, config["rate_hz"], config["frame_ms"])
    config |= {"model": chosen.model.model_dump(), "bands": chosen.bands.model_dump(), "beam": chosen.beam}
    words = WordModel.of(table.strings("text")[:]) if chosen.word_weight else None
    known = words is not None and len(words.vocabulary) <= MOST_WORDS
    config |= {"word_weight": chosen.word_weight if known else 0.0, "words": words.plain() if words and known else []}
    torch.manual_seed(derive(chosen.seed, "weights"))
    model = build_model(config).to(world.device)
    lengths = -(-table.ragged("sound").lengths // model.frame_samples)
    batches = Batches(
        gather(table, "sound", "target", device="cpu" if workers else world.device),
        plan=CostBatches(lengths, chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=partial(augment, params=chosen, features=model.features),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=loss,
        batches=batches,
        validation=validation(prepared, config["alphabet"], model.frame_samples, world),
        optimizers=[AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
    )


def validation(prepared: Prepared, alphabet: list[str], frame_samples: int, world: World) -> Validation | None:
    """valid_loss (nats a symbol) and valid_word_error_rate of the most probable paths; None without a valid split."""
    if "valid" not in prepared.splits:
        return None
    table = prepared.table("valid")
    read = gather(table, "sound", "target", device=world.device)
    shares = cost_shares(-(-table.ragged("sound").lengths // frame_samples), VALID_BATCH, world)
    texts = table.strings("text")[:]

    def validate(model: nn.Module) -> dict[str, float]:
        def predict(index: Tensor) -> dict[str, Tensor]:
            batch = read(index)
            log_probs, frames = model(*model.features(batch["sound"], batch["sound_mask"]))  # type: ignore[operator]
            found = [
                greedy_text(one[: int(size)].cpu().numpy(), alphabet)
                for one, size in zip(log_probs, frames.sum(1), strict=True)
            ]
            errors = count_errors([texts[row] for row in index.tolist()], found)
            losses = ctc(log_probs, frames, batch["target"], batch["target_mask"])
            return {"loss": losses, "symbols": batch["target_mask"].sum(1), "errors": torch.from_numpy(errors.wrong),
                    "words": torch.from_numpy(errors.words)}  # fmt: skip

        records = collect(predict, shares, world)
        if not records:
            return {}
        sums = {name: records[name].double().sum().item() for name in ("loss", "symbols", "errors", "words")}
        return {"valid_loss": sums["loss"] / sums["symbols"], "valid_word_error_rate": sums["errors"] / sums["words"]}

    return Validation(("valid_loss", "valid_word_error_rate"), validate)


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
