"""Train stage: prepared histories -> results/train/ (weights, history).

    python -m projects.movielens_recommender.train                            # as params.yaml says
    python -m projects.movielens_recommender.train train.model.name=factors   # another model, this run only
    python -m projects.movielens_recommender.train train.num_negatives=1000   # a softmax over drawn items
    torchrun --nproc-per-node 2 -m projects.movielens_recommender.train       # several processes

Rates hold for the global batch size given, in users: n processes take 1/n of it each. An interrupted run goes on from
its last checkpoint when the same command is given again.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches
from shared.data.prepared import Prepared
from shared.training.distributed import World
from shared.training.fit import Training, Validation, count_steps
from shared.training.stage import train_stage
from shared.training.step import linear

from .data import Asked, hide, reader, score_of, to_left
from .model import Causal, Recommender, build_model
from .params import Params

METRICS = "valid_ndcg_score_at_10", "valid_recall_at_20"


def loss(model: nn.Module, batch: Batch, num_negatives: int = 0) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Cross-entropy of the items to be found by the loss contract: sum over items, their number, nothing to log.

    For factors and two_tower these are the hidden items, all of a user from one softmax; for a sequence each item, from
    those before it.
    """
    recommender: Any = getattr(model, "module", model)  # DDP's hooks, set up by model(...), see its gradients as well
    items, mask = batch["items"], batch["items_mask"]
    causal = isinstance(recommender.reader, Causal)
    if causal:
        found, user = mask, torch.arange(int(mask.sum()), device=mask.device)
        users = model(items, mask, every=True)[mask]
    else:
        found, kept = batch["hidden"], mask & ~batch["hidden"]
        user = found.nonzero()[:, 0]
        users = model(*to_left(items, kept))
    wanted = items[found]
    if num_negatives:
        total, right = drawn_softmax(recommender, users, user, wanted, num_negatives)
    else:
        logits = recommender.scores(users)
        right = logits[user, wanted]
        if not causal:  # what is shown is never recommended
            logits = logits.index_put((kept.nonzero()[:, 0], items[kept]), logits.new_tensor(-torch.inf))
        total = logits.logsumexp(1)[user]
    return (total - right).sum(), found.sum(), {}


def drawn_softmax(
    model: Recommender, users: Tensor, user: Tensor, wanted: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """Log of the softmax's sum, and the score of the wanted item (T,) of each user (T,), a row of users (B, D).

    The sum is estimated from drawn items, the same for the whole batch, each for I / number of them; the wanted item is
    added, so that no loss is below 0. Memory grows with B x number, and no (T, number) scores are made.
    """
    vectors, bias = model.vectors()[1], model.bias
    drawn = torch.randint(len(bias), (number,), device=users.device)
    right = (users[user] * vectors[wanted]).sum(1) + bias[wanted]
    others = model.scores(users, drawn).logsumexp(1) + math.log(len(bias) / number)
    return torch.logaddexp(others[user], right), right


def validation(prepared: Prepared, max_history: int, world: World) -> Validation | None:
    """NDCG@10 and recall@20 over the validation users and the whole catalogue; None where there are none."""
    if "valid" not in prepared.splits:
        return None
    asked = Asked.of(prepared, "valid")

    def measure(model: nn.Module) -> dict[str, float]:
        if not world.is_first:
            return {}
        _, found = asked.measure(score_of(model, max_history, world.device))
        return {name: float(found[name.removeprefix("valid_")].mean()) for name in METRICS}

    return Validation(METRICS, measure)


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: an untrained model, the same on every rank, with its optimizer and schedule."""
    chosen, workers = params.train, params.runtime.workers
    config = {"catalogue": prepared.read("items.json"), "model": chosen.model.model_dump()}
    torch.manual_seed(derive(chosen.seed, "weights"))
    model = build_model(config).to(world.device)
    table = prepared.table("train")
    batches = Batches(
        reader(table.ragged("items"), chosen.model.max_history, "cpu" if workers else world.device),
        plan=EqualBatches(len(table), min(chosen.batch_size, len(table)), chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=None if chosen.model.name == "sequence" else hide(chosen.seed, chosen.hide),
        workers=workers,
    )
    updates = count_steps(chosen.epochs, batches)
    return Training(
        model=model,
        loss=partial(loss, num_negatives=chosen.num_negatives),
        batches=batches,
        validation=validation(prepared, chosen.model.max_history, world),
        optimizers=[AdamW(model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)],
        schedule=linear(updates, warmup=round(chosen.warmup_fraction * updates)),
        config=config,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__)
