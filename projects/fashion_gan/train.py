"""Train stage: prepared images -> results/train/ (weights, history, samples over training).

    python -m projects.fashion_gan.train                           # as params.yaml says
    python -m projects.fashion_gan.train train.loss=hinge          # this run only
    python -m projects.fashion_gan.train runtime.processes=2       # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.fashion_gan.train      # the same; torchrun starts several machines too

Rates hold for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its last
checkpoint when the same command is given again. Two networks learn in turn, so the loop is written out here, of the
pieces that `shared/training/fit.py` is made of.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from shared.data.arrays import Split, read_split
from shared.image.batches import to_float, train_batches
from shared.training.average import make_average
from shared.training.optim import linear, set_rates
from shared.training.profile import profiler
from torch import Tensor, nn
from torch.optim import Adam

from shared.core.errors import UserError
from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.batches import Batches
from shared.data.prepared import read_manifest
from shared.training.checkpoint import Checkpoint
from shared.training.device import resolve_precision
from shared.training.distributed import World, run, wrap
from shared.training.history import Diverged, History, Row
from shared.training.stage import train_stage
from shared.training.step import Sums, make_scaler

from .data import Latents, pick
from .game import Game, Player, Progress
from .losses import DiscriminatorBatch, GeneratorBatch, discriminator_loss, generator_loss
from .model import build_discriminator, build_generator, generate, power_iteration, standing
from .params import Params, Train
from .samples import COLUMNS, ROWS, grid, spaced, write_frames

PROJECT = Project.of(__file__)
STANDING_BATCHES = 16  # that the kept networks' batch norm is measured on
ASKED_IMAGES = 512  # of a split, about which the discriminator is asked now and then

Validate = Callable[[nn.Module], Row]


class Trained(NamedTuple):
    """What is kept."""

    model: nn.Module
    history: History
    progress: Progress


def play(
    game: Game,
    reals: Batches,
    latents: Latents,
    validate: Validate | None,
    params: Params,
    world: World,
    checkpoint: Checkpoint,
    out: Path,
) -> None:
    """Lets both learn in turn, from the checkpoint if there is one.

    Args:
        reals: real images by step of the discriminator.
        latents: noise and labels by step of either.
        validate: what the discriminator says of images it never saw; None: there are none.
        out: folder for the samples over training.

    Raises:
        UserError: a loss became NaN or infinite; names the first such step and the network.
    """
    chosen, runtime, turns = params.train, params.runtime, params.train.discriminator_steps
    total, sample_steps = (_steps(epochs, reals, turns) for epochs in (chosen.epochs, chosen.sample_epochs))
    if saved := checkpoint.load():
        game.restore(saved)
    discriminator, generator, history, progress = game.discriminator, game.generator, game.history, game.progress
    tell_apart = partial(discriminator_loss, generator=generator.network, params=chosen)
    deceive = partial(generator_loss, discriminator=discriminator.network, params=chosen)
    schedule, stream = linear(total), reals.stream(progress.step * turns, total * turns)
    profiling = profiler(runtime.profile and world.is_first, scratch())
    clock = time.perf_counter() - progress.seconds

    with profiling as profile, _naming_divergence(game, len(reals) / turns):
        for step in range(progress.step, total):
            set_rates([discriminator.optimizer, generator.optimizer], schedule(progress.updates))
            judged = []
            for turn in range(step * turns, (step + 1) * turns):
                seed = derive(chosen.seed, "discriminator", turn)
                penalised = chosen.penalty != "none" and turn % chosen.penalty_steps == 0
                pairs = zip(next(stream), latents.share("discriminator", turn), strict=True)
                power_iteration(discriminator.network)
                batches = [DiscriminatorBatch(*pair, seed, penalised) for pair in pairs]
                judged.append(discriminator.learn(tell_apart, batches, seed)[0])

            seed = derive(chosen.seed, "generator", step)
            drawn = [GeneratorBatch(latent, seed) for latent in latents.share("generator", step)]
            with discriminator.frozen():
                fooled, done = generator.learn(deceive, drawn, seed)
            progress.updates += done
            if done and game.average:
                game.average.update_parameters(generator.network)

            history.add(_row(judged, fooled))
            progress.step = made = step + 1
            profile.step()
            epoch, ends = made * turns / len(reals), made == total
            if ends or made % runtime.log_steps == 0:
                history.log(made, epoch, generator.optimizer.param_groups[0]["lr"])
            if ends or made % sample_steps == 0:
                history.read()
                show(game, latents, epoch, out)
                if validate:
                    history.validated(made, epoch, validate(discriminator.network))
            if ends or made % runtime.checkpoint_steps == 0:
                history.read()
                progress.seconds = time.perf_counter() - clock
                checkpoint.save(game.state())
    history.close()


def _steps(epochs: float, reals: Batches, turns: int) -> int:
    """Passes over the real images -> steps of the generator."""
    return max(1, round(epochs * len(reals) / turns))


def _row(judged: Sequence[Sums], fooled: Sums) -> Sums:
    """What a step adds to the history; of several steps of the discriminator the mean."""
    loss = _mean([sums.loss for sums in judged])
    extras = {name: _mean([sums.extras[name] for sums in judged]) for name in judged[0].extras}
    losses = {"discriminator_loss": loss, "generator_loss": fooled.loss}
    return Sums(loss + fooled.loss, fooled.count, losses | extras)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(tuple(values)).mean(0)


@contextmanager
def _naming_divergence(game: Game, steps_an_epoch: float) -> Iterator[None]:
    try:
        yield
    except Diverged as diverged:
        step = game.progress.step - diverged.steps_ago
        name = "discriminator" if "discriminator_loss" in diverged.terms else "generator"
        raise UserError(
            f"training: the {name}'s loss of step {step} (epoch {step / steps_an_epoch:.2f}) is not a finite number",
            fix=f"lower train.{name}_lr, take train.model.normalise=spectral, or use precision fp32",
        ) from None


def show(game: Game, latents: Latents, epoch: float, out: Path) -> None:
    """Adds a grid of samples to the game, by the first rank; writes all of them, for who looks on."""
    if not latents.world.is_first:
        return
    noise = latents.draw(ROWS * COLUMNS, "shown").noise
    label = torch.arange(ROWS * COLUMNS) % COLUMNS % len(latents.counts)
    images = generate(kept_generator(game, latents), noise, label, latents.group)
    game.frames.append({"step": game.progress.step, "epoch": epoch, "image": grid(spaced(images))})
    write_frames(out, game.frames)


def kept_generator(game: Game, latents: Latents) -> nn.Module:
    """The shown generator for use. Its statistics are those of micro-batches as large as in training."""
    drawn = (latents.draw(latents.group, "standing", number) for number in range(STANDING_BATCHES))
    return standing(game.shown, ((latent.noise, latent.label) for latent in drawn))


def kept_discriminator(game: Game, shown: nn.Module, reals: Batches, latents: Latents) -> nn.Module:
    """The discriminator for use, measured on real and generated images in turn, as it learned."""

    def seen() -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(STANDING_BATCHES):
            images, label = reals.read(reals.samples(number)[: latents.group])
            yield to_float(images.to(latents.world.device)), label.to(latents.world.device)
            latent = latents.draw(latents.group, "standing", number)
            yield shown(latent.noise, latent.label), latent.label

    return standing(game.discriminator.network, seen())


def make_validation(prepared: Path, world: World) -> Validate | None:
    """What the discriminator says of real images that it learned from and of others: it knows them by heart when the
    two part. None where there are no validation images."""
    if "valid" not in read_manifest(prepared)["splits"]:
        return None
    asked = {f"{name}_logit": _some(read_split(prepared, name, mapped=True), world) for name in ("valid", "train")}

    @torch.no_grad()
    def validate(discriminator: nn.Module) -> Row:
        return {name: float(discriminator(*images).mean()) for name, images in asked.items()}

    return validate


def _some(split: Split, world: World) -> tuple[Tensor, Tensor]:
    """Images of all classes, as a folder is read class by class, and their labels; the same in every run."""
    images, labels = pick(split, ASKED_IMAGES, 0)[1]
    return to_float(images.to(world.device)), labels.to(world.device)


def check(params: Train) -> None:
    """Raises UserError on a penalty that does not go with batch norm, which mixes the images of a batch."""
    if params.penalty == "interpolates" and params.model.normalise == "batch":
        raise UserError(
            "train.penalty: interpolates bounds the slope at each image, and train.model.normalise=batch mixes images",
            fix="take train.model.normalise=none, or train.penalty=r1",
        )


def start(params: Train, prepared: Path, world: World) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    """The untrained discriminator and generator, the same on every rank, and the config to build them from again."""
    manifest = read_manifest(prepared)
    config = {key: manifest[key] for key in ("classes", "channels", "image_size")}
    form = params.model, config["channels"], config["image_size"], len(config["classes"])
    torch.manual_seed(derive(params.seed, "weights"))
    discriminator, generator = build_discriminator(*form), build_generator(*form)
    for network in (discriminator, generator):
        network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    counts = np.bincount(read_split(prepared, "train", mapped=True).labels, minlength=len(config["classes"]))
    return discriminator, generator, config | {"class_counts": counts.tolist(), "model": params.model.model_dump()}


def make_player(network: nn.Module, rate: float, params: Train, world: World) -> Player:
    adam = Adam(network.parameters(), lr=rate, betas=(params.beta1, params.beta2), fused=True)
    precision = resolve_precision(params.precision, world.device)
    scaler = make_scaler(precision, world.device, params.micro_batch_size)
    return Player(network, wrap(network, world), adam, scaler, precision, world)


def scratch() -> Path:
    """The folder for a profile and TensorBoard events."""
    return ROOT / ".profile" / PROJECT.name


def train(
    params: Params, prepared: Path, checkpoint: Checkpoint, world: World, out: Path
) -> tuple[Trained, dict[str, Any]]:
    """Trains on the prepared images: what is kept, and the config to build it from.

    Args:
        out: folder for the samples over training.
    """
    chosen = params.train
    check(chosen)
    discriminator, generator, config = start(chosen, prepared, world)
    reals = train_batches(prepared, lambda images, sample, epoch: to_float(images), chosen, params.runtime, world)
    latents = Latents(chosen, config["class_counts"], world)
    total = _steps(chosen.epochs, reals, chosen.discriminator_steps)
    game = Game(
        make_player(discriminator, chosen.discriminator_lr, chosen, world),
        make_player(generator, chosen.generator_lr, chosen, world),
        make_average(generator, chosen.ema_decay),
        History(world, total, scratch() / "tensorboard" if params.runtime.tensorboard else None),
    )
    play(game, reals, latents, make_validation(prepared, world), params, world, checkpoint, out)
    if world.is_first:
        write_frames(out, game.frames)  # a run that was killed after its last step has them in the checkpoint alone
    shown = kept_generator(game, latents)
    kept = nn.ModuleDict({"generator": shown, "discriminator": kept_discriminator(game, shown, reals, latents)})
    return Trained(kept, game.history, game.progress), config


def main(params: Params) -> None:
    train_stage(PROJECT, params, partial(train, out=PROJECT.results("train") / "samples"))


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
