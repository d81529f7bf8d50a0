"""Train stage: prepared images -> results/train/ (weights, history, samples over training).

    python -m projects.fashion_gan.train                           # as params.yaml says
    python -m projects.fashion_gan.train train.loss=hinge          # this run only
    python -m projects.fashion_gan.train runtime.processes=2       # two processes on this machine
    torchrun --nproc-per-node 2 -m projects.fashion_gan.train      # the same; torchrun starts several machines too

An interrupted run goes on from its last checkpoint when the same command is given again. Two networks are trained in
turn, so the loop is written out here, of the pieces that `shared/training/fit.py` is made of.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from shared.core.errors import UserError
from shared.core.files import write_atomic
from shared.core.paths import Project
from shared.core.sections import Runtime
from shared.core.seed import derive
from shared.data.batches import Batch, Batches, EqualBatches, gather
from shared.data.prepared import Prepared
from shared.image.augment import to_float
from shared.report import blocks
from shared.training.checkpoint import Checkpoint
from shared.training.device import resolve_precision
from shared.training.distributed import World, wrap
from shared.training.fit import Progress, count_steps, make_average, profiler
from shared.training.history import Diverged, History, Row
from shared.training.stage import train_stage
from shared.training.step import Sums, accumulate, linear, make_scaler, set_rates, update

from .data import Latents, pick, share
from .losses import discriminator_loss, generator_loss
from .model import build, generate, measure_batch_norm
from .params import Params, Train

BETAS = 0.5, 0.99  # of Adam: little momentum, as each network changes what the other one is trained on
NORM_BATCHES = 16  # that the kept generator's batch norm is measured on
VALIDATED = 512  # real images of a split whose mean logit is logged
ROWS, COLUMNS, GREY = 8, 10, 96  # of a grid of samples, and between them
FRAMES, FRAME_MS, LAST_MS, QUALITY = 24, 300, 2500, 70  # of the animation: at most; of WebP

Validate = Callable[[nn.Module], Row]
Draw = Callable[[str, int], list[Batch]]  # network, step -> this rank's micro-batches of noise and labels


@dataclass(frozen=True)
class Training:
    """A training of two networks, as `train_networks` takes it.

    Args:
        networks: discriminator and generator, untrained, on the world's device.
        batches: real images by step: image as float in [0, 1], and label.
        latents: noise and labels of the generated images.
        validate: discriminator -> mean logits of real images; None: there are no validation images.
        results: folder for the samples over training.
        config: plain values from which the networks are built again.
        files: that the training starts from besides the prepared data: none.
    """

    networks: nn.ModuleDict
    batches: Batches
    latents: Latents
    validate: Validate | None
    results: Path
    config: dict[str, Any]
    files: Sequence[Path] = ()


class Network:
    """A network with its optimizer and a scaler of its own: where fp16 overflows in one, the other steps all the same.
    `accumulate` and `update` are those of step.py for this network."""

    def __init__(self, module: nn.Module, params: Train, world: World) -> None:
        precision = resolve_precision(params.precision, world.device)
        self.module, self.optimizer = module, Adam(module.parameters(), lr=params.lr, betas=BETAS, fused=True)
        self.scaler = make_scaler(precision, world.device, params.micro_batch_size)
        self.accumulate = partial(accumulate, wrap(module, world), scaler=self.scaler, precision=precision, world=world)
        self.update = partial(
            update, list(module.parameters()), [self.optimizer], scaler=self.scaler, clip_norm=0.0, world=world
        )


@dataclass
class Run:
    """What a checkpoint holds: parts with a state_dict, history, progress, grids of samples (3, H, W) uint8.

    model: both networks; the generator is the one to keep once training has ended.
    """

    parts: dict[str, Any]
    history: History
    model: nn.ModuleDict
    progress: Progress = field(default_factory=Progress)
    grids: list[Tensor] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        return states | {"history": self.history.state(), "progress": vars(self.progress), "grids": self.grids}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.progress, self.grids = Progress(**state["progress"]), state["grids"]
        self.history.restore(state["history"], self.progress.step)
        self.history.say(f"resumed from step {self.progress.step}")


def train_step(
    discriminator: Network, generator: Network, reals: Sequence[Batch], draw: Draw, params: Train, step: int
) -> tuple[Sums, bool]:
    """Updates the discriminator, then the generator. Returns the sums for the log, and False where fp16 skipped the
    generator's update."""
    seed = derive(params.seed, "discriminator", step)
    penalised = params.r1_weight > 0 and step % params.r1_steps == 0
    loss = partial(discriminator_loss, generator=generator.module, params=params, seed=seed, penalised=penalised)
    pairs = zip(reals, draw("discriminator", step), strict=True)
    both = [latent | {"image": real["image"], "real_label": real["label"]} for real, latent in pairs]
    sums = discriminator.accumulate(loss, both, seed=seed)
    discriminator.update(sums.count)

    seed = derive(params.seed, "generator", step)
    loss = partial(generator_loss, discriminator=discriminator.module, params=params, seed=seed)
    discriminator.module.requires_grad_(False)  # not the wrapped one: DDP would wait for its gradients
    made = generator.accumulate(loss, draw("generator", step), seed=seed)
    discriminator.module.requires_grad_(True)
    updated = generator.update(made.count)
    losses = {"discriminator_loss": sums.loss, "generator_loss": made.loss}
    return Sums(sums.loss + made.loss, sums.count, losses | sums.extras), updated


def train_networks(
    training: Training, params: Train, runtime: Runtime, world: World, checkpoint: Checkpoint, scratch: Path
) -> Run:
    """Trains both networks in turn, from the checkpoint if there is one.

    Args:
        scratch: folder for a profile, if runtime asks for one.

    Raises:
        UserError: a loss became NaN or infinite: names the first such step and what was not finite.
    """
    networks, reals, latents = training.networks, training.batches, training.latents
    group = min(params.micro_batch_size, params.batch_size // world.size)  # images that batch norm sees at once
    total, sample_steps = count_steps(params.epochs, reals), count_steps(params.sample_epochs, reals)
    discriminator, generator = (Network(networks[name], params, world) for name in ("discriminator", "generator"))
    average = make_average(generator.module, params.ema_decay)
    parts = {f"discriminator_{name}": getattr(discriminator, name) for name in ("module", "optimizer", "scaler")}
    parts |= {f"generator_{name}": getattr(generator, name) for name in ("module", "optimizer", "scaler")}
    run = Run(parts | ({"average": average} if average else {}), History(world, total), networks)
    if saved := checkpoint.load():
        run.restore(saved)
    history, progress, schedule = run.history, run.progress, linear(total)
    kept = average.module if average else generator.module
    place = torch.arange(ROWS * COLUMNS, device=world.device)
    shown = latents.draw(len(place), "shown") | {"label": place % COLUMNS % len(training.config["classes"])}
    draw = partial(share, latents, params, world)
    clock = time.perf_counter() - progress.seconds

    with profiler(runtime.profile and world.is_first, scratch) as profile, naming_divergence(progress, len(reals)):
        for micro_batches in reals.stream(progress.step, total):
            set_rates([discriminator.optimizer, generator.optimizer], schedule(progress.updates))
            sums, updated = train_step(discriminator, generator, micro_batches, draw, params, progress.step)
            progress.updates += updated
            if updated and average:
                average.update_parameters(generator.module)
            history.add(sums)
            progress.step = step = progress.step + 1
            if profile:
                profile.step()

            every = runtime.log_steps, sample_steps, runtime.checkpoint_steps
            log, sample, save = (step == total or step % steps == 0 for steps in every)
            save = checkpoint.is_due(step) or save
            if log or sample or save:
                history.read()
            if log:
                history.log(step, step / len(reals), generator.optimizer.param_groups[0]["lr"])
            if sample and world.is_first:
                images = generate(kept_generator(kept, latents, group), shown, group)
                run.grids.append(make_grid(images, COLUMNS, padding=1, pad_value=GREY))
                write_samples(training.results, run.grids)
            if sample and training.validate:
                history.validated(step, step / len(reals), training.validate(discriminator.module))
            if save:
                progress.seconds = time.perf_counter() - clock
                checkpoint.save(run.state())
    history.close()
    if world.is_first:
        write_samples(training.results, run.grids)  # a run killed after its last step has them in the checkpoint alone
    networks["generator"] = kept_generator(kept, latents, group)
    networks.eval()
    return run


@contextmanager
def naming_divergence(progress: Progress, steps_an_epoch: int) -> Iterator[None]:
    try:
        yield
    except Diverged as diverged:
        step = progress.step - diverged.steps_ago
        broken = ", ".join(term.replace("_", " ") for term in diverged.terms if term != "loss")
        raise UserError(
            f"training: not finite in step {step} (epoch {step / steps_an_epoch:.2f}): {broken}",
            fix="lower train.lr, raise train.r1_weight, or use precision fp32",
        ) from None


def kept_generator(generator: nn.Module, latents: Latents, group: int) -> nn.Module:
    """A copy in eval mode, its batch norm measured on batches as large as in training."""
    return measure_batch_norm(generator, (latents.draw(group, "standing", number) for number in range(NORM_BATCHES)))


def write_samples(results: Path, grids: Sequence[Tensor]) -> None:
    """samples/moving.webp, an animation of the grids that rests on the last one, that one as still.png, and their
    place on the page."""
    places = np.linspace(0, len(grids) - 1, min(FRAMES, len(grids))).round().astype(int).tolist()
    frames = [to_pil_image(grids[place]) for place in places]
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    moving, still = io.BytesIO(), io.BytesIO()
    animated: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    frames[0].save(moving, "WEBP", quality=QUALITY, **animated)
    frames[-1].save(still, "PNG")
    (results / "samples").mkdir(parents=True, exist_ok=True)
    for name, file in (("moving.webp", moving), ("still.png", still)):
        write_atomic(results / "samples" / name, file.getvalue())
    row = {"file": "samples/moving.webp", "still": "samples/still.png", "caption": "The same noise, from start to end"}
    blocks.leave(results, [blocks.section("Samples over training"), blocks.pictures([row], sharp=True, size="large")])


def validation(prepared: Prepared, world: World) -> Validate | None:
    """The mean logit of real images that the discriminator is trained on and of others: where the two part, it
    memorises its training images. None where there are no validation images."""
    if "valid" not in prepared.splits:
        return None
    chosen = {}
    for name in ("valid", "train"):
        images, label = pick(prepared.table(name), VALIDATED, 0)
        chosen[f"{name}_logit"] = to_float(images.to(world.device)), label.to(world.device)

    @torch.no_grad()
    def validate(discriminator: nn.Module) -> Row:
        return {name: float(discriminator(*images).mean()) for name, images in chosen.items()}

    return validate


def describe(params: Params, prepared: Prepared, world: World) -> Training:
    """The training: untrained networks, the same on every rank, and all that they learn by."""
    chosen, workers, table = params.train, params.runtime.workers, prepared.table("train")
    config = {key: prepared.manifest[key] for key in ("classes", "channels", "image_size")} | {
        "class_counts": np.bincount(table.fixed("label"), minlength=len(prepared.manifest["classes"])).tolist(),
        "model": chosen.model.model_dump(),
    }
    torch.manual_seed(derive(chosen.seed, "weights"))
    networks = build(config)
    reals = Batches(
        gather(table, "image", "label", device="cpu" if workers else world.device),
        plan=EqualBatches(len(table), chosen.batch_size, chosen.micro_batch_size, world),
        seed=chosen.seed,
        world=world,
        augment=lambda batch, epoch: batch | {"image": to_float(batch["image"])},
        workers=workers,
    )
    return Training(
        networks=networks.to(world.device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        batches=reals,
        latents=Latents(config, chosen.seed, world.device),
        validate=validation(prepared, world),
        results=Project.of(__file__).results("train"),
        config=config,
    )


if __name__ == "__main__":
    train_stage(describe, Params, __file__, loop=train_networks)
