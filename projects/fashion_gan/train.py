"""Train stage: prepared images -> results/train/ (weights, history, samples over training).

    python -m projects.fashion_gan.train                           # as params.yaml says
    python -m projects.fashion_gan.train train.loss=hinge          # this run only
    python -m projects.fashion_gan.train runtime.processes=2       # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.fashion_gan.train      # the same; torchrun starts several machines too

The rate holds for the global batch size given: n processes take 1/n of it each. An interrupted run goes on from its
last checkpoint when the same command is given again. Two networks are trained in turn, so the loop is written out here,
of the pieces that `shared/training/fit.py` is made of.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel

from shared.core.errors import UserError
from shared.core.files import write_atomic
from shared.core.paths import ROOT, Project
from shared.core.seed import derive
from shared.data.arrays import read_split
from shared.data.batches import Batches
from shared.data.draws import generator as draws
from shared.data.prepared import read_manifest
from shared.image.batches import to_float, train_batches
from shared.training.average import make_average
from shared.training.checkpoint import Checkpoint
from shared.training.device import resolve_precision
from shared.training.distributed import World, run, wrap
from shared.training.history import Diverged, History, Row
from shared.training.optim import linear, set_rates
from shared.training.profile import profiler
from shared.training.stage import train_stage
from shared.training.step import Loss, Sums, accumulate, make_scaler, update

from .data import Latent, Latents, image_grid
from .losses import DiscriminatorBatch, GeneratorBatch, discriminator_loss, generator_loss
from .model import build, generate, measure_batch_norm
from .params import Params, Train

PROJECT = Project.of(__file__)
BETAS = 0.5, 0.99  # of Adam: little momentum, as each network changes what the other one is trained on
NORM_BATCHES = 16  # that the kept generator's batch norm is measured on
VALIDATED = 512  # real images of a split whose mean logit is logged
ROWS, COLUMNS = 8, 10  # of a grid of samples
FRAMES, FRAME_MS, LAST_MS, QUALITY = 24, 300, 2500, 70  # of the animation: at most; of WebP

Validate = Callable[[nn.Module], Row]


@dataclass
class Network:
    """A network with its optimizer and scaler. The two networks step one after the other, so each has a scaler and a
    skipped fp16 step of its own: nothing is shared that one could step and the other skip."""

    module: nn.Module
    wrapped: nn.Module  # as `distributed.wrap` returned it
    optimizer: Adam
    scaler: torch.amp.GradScaler
    precision: str
    world: World

    def update(self, loss: Loss, micro_batches: Sequence[Any], seed: int) -> tuple[Sums, bool]:
        """One step of the optimizer. Returns the sums, and False for a step that fp16 skipped."""
        common: dict[str, Any] = {"scaler": self.scaler, "world": self.world}
        sums = accumulate(self.wrapped, loss, micro_batches, precision=self.precision, seed=seed, **common)
        weights = list(self.module.parameters())
        return sums, update(weights, [self.optimizer], sums.count, clip_norm=0.0, **common)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The weights take no gradients; those of the input pass. Only for the module that is not wrapped: DDP would
        wait for gradients that never come."""
        self.module.requires_grad_(False)
        try:
            yield
        finally:
            self.module.requires_grad_(True)

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"module": self.module, "optimizer": self.optimizer, "scaler": self.scaler}


@dataclass
class Progress:
    """Where a training stands."""

    step: int = 0
    updates: int = 0  # of the generator: steps less those that fp16 skipped. The rate depends on them
    seconds: float = 0.0  # of training, over all runs that led here


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    discriminator: Network
    generator: Network
    average: AveragedModel | None
    history: History
    progress: Progress = field(default_factory=Progress)
    grids: list[Tensor] = field(default_factory=list)  # of samples, (3, H, W) uint8
    unread: list[Sums] = field(default_factory=list)  # since the history was last read; empty in a checkpoint

    @property
    def kept(self) -> nn.Module:
        """The generator that is shown and kept: the averaged one if there is one."""
        return self.average.module if self.average else self.generator.module

    def add(self, sums: Sums) -> None:
        self.history.add(sums)
        self.unread.append(sums)

    def read(self, steps_an_epoch: int) -> None:
        """Reads the sums from the device. Raises UserError, naming the network, where one is not finite."""
        try:
            self.history.read()
        except Diverged as diverged:
            step, name = self.progress.step - diverged.steps_ago, self._cause(diverged)
            raise UserError(
                f"training: the {name}'s loss or weights of step {step} (epoch {step / steps_an_epoch:.2f}) are not "
                "finite numbers",
                fix="lower train.lr, raise train.r1_weight, or use precision fp32",
            ) from None
        self.unread.clear()

    def _cause(self, diverged: Diverged) -> str:
        """Which network broke first: it breaks the other one's loss as well.

        Of a step, the logits of real images know the discriminator's weights before its update, those of generated
        ones the generator's too, and the generator's loss the discriminator's weights after its update.
        """
        if "discriminator_loss" in diverged.terms:
            return (
                "generator" if set(diverged.terms) & {"real_logit", "fake_logit"} == {"fake_logit"} else "discriminator"
            )
        following = self.unread[len(self.unread) - diverged.steps_ago + 1 :]
        updated = [following[0].extras["real_logit"]] if following else self.discriminator.module.parameters()
        return "generator" if all(tensor.isfinite().all() for tensor in updated) else "discriminator"

    def state(self) -> dict[str, Any]:
        return {
            "discriminator": self.discriminator.state(),
            "generator": self.generator.state(),
            "average": self.average.state_dict() if self.average else None,
            "history": self.history.state(),
            "progress": asdict(self.progress),
            "grids": self.grids,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.discriminator.restore(state["discriminator"])
        self.generator.restore(state["generator"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.progress, self.grids = Progress(**state["progress"]), state["grids"]
        self.history.restore(state["history"], self.progress.step)
        self.history.say(f"resumed from step {self.progress.step}")


@dataclass
class Trained:
    """What is kept."""

    model: nn.Module
    history: History
    progress: Progress


def train_networks(
    run: Run,
    reals: Batches,
    latents: Latents,
    validate: Validate | None,
    params: Params,
    checkpoint: Checkpoint,
    folder: Path,
) -> None:
    """Trains both networks in turn, from the checkpoint if there is one.

    Args:
        reals: real images by step.
        latents: noise and labels by step.
        validate: logits of real images; None: there are no validation images.
        folder: for the samples over training.

    Raises:
        UserError: a loss became NaN or infinite; names the first such step and the network.
    """
    chosen, runtime = params.train, params.runtime
    total, sample_steps = (max(1, round(epochs * len(reals))) for epochs in (chosen.epochs, chosen.sample_epochs))
    if saved := checkpoint.load():
        run.restore(saved)
    discriminator, generator, history, progress = run.discriminator, run.generator, run.history, run.progress
    of_discriminator = partial(discriminator_loss, generator=generator.module, params=chosen)
    of_generator = partial(generator_loss, discriminator=discriminator.module, params=chosen)
    schedule, clock = linear(total), time.perf_counter() - progress.seconds

    with profiler(runtime.profile and latents.world.is_first, scratch()) as profile:
        for micro_batches in reals.stream(progress.step, total):
            step = progress.step
            set_rates([discriminator.optimizer, generator.optimizer], schedule(progress.updates))
            seed, penalised = derive(chosen.seed, "discriminator", step), step % chosen.r1_steps == 0
            pairs = zip(micro_batches, latents.share("discriminator", step), strict=True)
            judged = [DiscriminatorBatch(*pair, seed, penalised and chosen.r1_weight > 0) for pair in pairs]
            sums = discriminator.update(of_discriminator, judged, seed)[0]

            seed = derive(chosen.seed, "generator", step)
            drawn = [GeneratorBatch(latent, seed) for latent in latents.share("generator", step)]
            with discriminator.frozen():
                generator_sums, updated = generator.update(of_generator, drawn, seed)
            progress.updates += updated
            if updated and run.average:
                run.average.update_parameters(generator.module)

            losses = {"discriminator_loss": sums.loss, "generator_loss": generator_sums.loss}
            run.add(Sums(sums.loss + generator_sums.loss, sums.count, losses | sums.extras))
            progress.step = step = step + 1
            profile.step()
            log, sample, save = (
                step == total or step % steps == 0
                for steps in (runtime.log_steps, sample_steps, runtime.checkpoint_steps)
            )
            if log or sample or save:
                run.read(len(reals))
            if log:
                history.log(step, step / len(reals), generator.optimizer.param_groups[0]["lr"])
            if sample:
                add_samples(run, latents, folder)
                if validate:
                    history.validated(step, step / len(reals), validate(discriminator.module))
            if save:
                progress.seconds = time.perf_counter() - clock
                checkpoint.save(run.state())
    history.close()


def add_samples(run: Run, latents: Latents, folder: Path) -> None:
    """Adds a grid of samples of the same noise and labels as before, by the first rank, and writes them."""
    if latents.world.is_first:
        noise, _, place = latents.draw(ROWS * COLUMNS, "shown")
        shown = Latent(noise, place % COLUMNS % len(latents.counts), place)
        images = generate(kept_generator(run, latents), shown, latents.group)
        run.grids.append(image_grid(images, COLUMNS))
        write_samples(folder, run.grids)


def kept_generator(run: Run, latents: Latents) -> nn.Module:
    """The kept generator in eval mode. Its batch norm is measured on batches as large as in training."""
    drawn = (latents.draw(latents.group, "standing", number) for number in range(NORM_BATCHES))
    return measure_batch_norm(run.kept, drawn)


def write_samples(folder: Path, grids: Sequence[Tensor]) -> None:
    """samples.webp, an animation of the grids that rests on the last one, and that one as samples.png."""
    places = np.linspace(0, len(grids) - 1, min(FRAMES, len(grids))).round().astype(int).tolist()
    frames = [Image.fromarray(grids[place].permute(1, 2, 0).numpy()) for place in places]
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    moving, still = io.BytesIO(), io.BytesIO()
    animated: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(moving, "WEBP", quality=QUALITY, **animated)
    frames[-1].save(still, "PNG")
    for name, file in (("samples.webp", moving), ("samples.png", still)):
        write_atomic(folder / name, file.getvalue())


def make_validation(prepared: Path, world: World) -> Validate | None:
    """The mean logit of real images that the discriminator is trained on and of others: where the two part, it
    memorises its training images. None where there are no validation images."""
    if "valid" not in read_manifest(prepared)["splits"]:
        return None
    chosen = {}
    for name in ("valid", "train"):
        split = read_split(prepared, name, mapped=True)
        index = torch.randperm(len(split), generator=draws(0, "chosen"))[:VALIDATED].numpy()
        images = to_float(torch.from_numpy(split.images[index]).to(world.device))
        chosen[f"{name}_logit"] = images, torch.from_numpy(split.labels[index]).to(world.device)

    @torch.no_grad()
    def validate(discriminator: nn.Module) -> Row:
        return {name: float(discriminator(*images).mean()) for name, images in chosen.items()}

    return validate


def make_network(module: nn.Module, params: Train, world: World) -> Network:
    module.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = resolve_precision(params.precision, world.device)
    scaler = make_scaler(precision, world.device, params.micro_batch_size)
    adam = Adam(module.parameters(), lr=params.lr, betas=BETAS, fused=True)
    return Network(module, wrap(module, world), adam, scaler, precision, world)


def scratch() -> Path:
    """The folder for a profile and TensorBoard events."""
    return ROOT / ".profile" / PROJECT.name


def train(
    params: Params, prepared: Path, checkpoint: Checkpoint, world: World, folder: Path
) -> tuple[Trained, dict[str, Any]]:
    """Trains on the prepared images: what is kept, and the config to build it from.

    Args:
        folder: for the samples over training.
    """
    chosen, manifest, split = params.train, read_manifest(prepared), read_split(prepared, "train", mapped=True)
    config = {key: manifest[key] for key in ("classes", "channels", "image_size")} | {
        "class_counts": np.bincount(split.labels, minlength=len(manifest["classes"])).tolist(),
        "model": chosen.model.model_dump(),
    }
    torch.manual_seed(derive(chosen.seed, "weights"))
    networks = build(chosen.model, config["channels"], config["image_size"], len(config["classes"]))
    reals = train_batches(prepared, lambda images, sample, epoch: to_float(images), chosen, params.runtime, world)
    latents = Latents(chosen, config["class_counts"], world)
    total = max(1, round(chosen.epochs * len(reals)))
    run = Run(
        make_network(networks["discriminator"], chosen, world),
        make_network(networks["generator"], chosen, world),
        make_average(networks["generator"], chosen.ema_decay),
        History(world, total, scratch() / "tensorboard" if params.runtime.tensorboard else None),
    )
    train_networks(run, reals, latents, make_validation(prepared, world), params, checkpoint, folder)
    if world.is_first:
        write_samples(folder, run.grids)  # a run killed after its last step has them in the checkpoint alone
    networks["generator"] = kept_generator(run, latents)
    return Trained(networks.eval(), run.history, run.progress), config


def main(params: Params) -> None:
    train_stage(PROJECT, params, partial(train, folder=PROJECT.results("train")))


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
