"""Train stage: prepared sentences -> results/train/ (weights, history).

    python -m projects.conll_ner.train                          # as params.yaml says
    python -m projects.conll_ner.train train.forget_rate=0.0    # no word becomes unknown, this run only
    python -m projects.conll_ner.train runtime.processes=2      # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.conll_ner.train     # the same; torchrun starts several machines too

Rates hold for the global batch size given, in words: n processes take 1/n of it each. An interrupted run goes on from
its last checkpoint when the same command is given again.
"""

from pathlib import Path
from typing import Any

import torch
from shared.data.columns import Columns, Ragged, read_columns
from shared.training.optim import linear
from torch import Tensor, nn
from torch.optim import AdamW

from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.batches import Batches, length_shares
from shared.data.prepared import read_manifest
from shared.evaluation.records import Records, collect
from shared.text.batches import TextBatch, text_batches, text_reader
from shared.text.pretrained import start_from_vectors
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import World, run
from shared.training.fit import Run, Validate, fit
from shared.training.stage import train_stage

from .data import WordFeatures, forget, load_features, read_features
from .model import CheckpointTagger, LSTMTagger, Tagger, build_model, read_body
from .params import Params, Train
from .scores import counts, figures
from .tags import tag_names

PROJECT = Project.of(__file__)


def loss(model: nn.Module, batch: TextBatch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Negative log likelihood of the tags by the loss contract: sum over sequences, number of words, nothing to log."""
    # DDP wraps forward alone; its hooks see the CRF's gradients all the same
    tagger: Any = getattr(model, "module", model)
    return tagger.crf.loss(model(batch.tokens, batch.mask), batch.mask, batch.label), batch.mask.sum(), {}


def tokens_and_tags(columns: Columns) -> tuple[Ragged, Ragged]:
    """(T, F) numbers of words and (T,) tags of a split."""
    tokens, tags = columns["tokens"], columns["tags"]
    assert isinstance(tokens, Ragged)
    assert isinstance(tags, Ragged)
    return tokens, tags


def make_validation(prepared: Path, classes: list[str], batch_size: int, world: World) -> Validate:
    """Loss a word, and F1 of entities, on the validation sentences."""
    tokens, tags = tokens_and_tags(read_columns(prepared, "valid"))
    read, names = text_reader(tokens, tags, world.device), tag_names(classes)

    def validate(model: nn.Module) -> dict[str, float]:
        def predict(index: Tensor) -> Records:
            numbers, mask, actual = read(index)
            emissions = model(numbers, mask)
            predicted = model.crf.decode(emissions, mask)  # type: ignore[union-attr, operator]
            likelihood = model.crf.score(emissions, mask, actual)  # type: ignore[union-attr, operator]
            errors = model.crf.log_partition(emissions, mask) - likelihood  # type: ignore[union-attr, operator]
            pairs = zip(actual.tolist(), predicted.tolist(), strict=True)
            rows = [counts([names[tag] for tag in true], [names[tag] for tag in said]) for true, said in pairs]
            return {"loss": errors.double(), "words": mask.sum(1), "counts": torch.tensor(rows)}

        records = collect(predict, length_shares(tokens.lengths, batch_size, world), world)
        mean = records["loss"].sum() / records["words"].sum()
        return {"valid_loss": mean.item(), "valid_f1": figures(*records["counts"].sum(0).tolist())[2]}

    return validate


def start(params: Train, prepared: Path, world: World) -> tuple[Tagger, dict[str, Any]]:
    """The model to train, the same on every rank, and the config it can be built from again."""
    manifest = read_manifest(prepared)
    config = {key: manifest[key] for key in ("classes", "max_tokens", "join_sentences")}
    config["features"] = read_features(prepared)
    features, body = load_features(config["features"]), None
    if not isinstance(features, WordFeatures):
        body, config["body"] = read_body(features.checkpoint)
    torch.manual_seed(derive(params.seed, "weights"))
    model = build_model(params.model, features, config["classes"], body)
    if isinstance(model, LSTMTagger):
        start_from_vectors(model.embed.words, prepared, "train.model.word_size")
    return model.to(world.device), config | {"model": params.model.model_dump()}


def optimizer(model: Tagger, params: Train) -> AdamW:
    """AdamW; a checkpoint's own weights have a rate of their own."""
    pretrained = []
    if isinstance(model, CheckpointTagger):
        pretrained = [*model.body.parameters(), *model.embed.vectors.parameters()]
    own = {id(weight) for weight in pretrained}
    groups: list[dict[str, Any]] = [{"params": [weight for weight in model.parameters() if id(weight) not in own]}]
    groups += [{"params": pretrained, "lr": params.checkpoint_lr}] if pretrained else []
    return AdamW(groups, lr=params.lr, weight_decay=params.weight_decay, fused=True)


def train_batches(prepared: Path, params: Params, world: World) -> Batches:
    """Training sequences by length; words become unknown or blank now and then."""
    tokens, tags = tokens_and_tags(read_columns(prepared, "train"))
    is_words = read_features(prepared)["features"] == "words"
    chosen = params.train
    augment = forget(tokens, chosen) if is_words else None
    return text_batches(tokens, tags, augment, chosen, params.runtime, world)


def train(params: Params, prepared: Path, checkpoint: Checkpoint, world: World) -> tuple[Run, dict[str, Any]]:
    """Trains on the prepared sentences: the finished run and the model's config."""
    chosen = params.train
    model, config = start(chosen, prepared, world)
    batches = train_batches(prepared, params, world)
    updates = round(chosen.epochs * len(batches))
    has_valid = "valid" in read_manifest(prepared)["splits"]
    size = chosen.micro_batch_size
    trained = fit(
        model,
        loss,
        train=batches,
        validate=make_validation(prepared, config["classes"], size, world) if has_valid else None,
        optimizers=[optimizer(model, chosen)],
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
