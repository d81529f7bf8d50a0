"""Fashion-MNIST by fashion_gan's preset official-cpu, beside the recipe of PyTorch's own DCGAN example.

The example (github.com/pytorch/examples, dcgan) makes images of 64 px: five transposed convolutions against five
convolutions, batch norm in both, 64 channels at the largest map, 100 numbers of noise; Adam at 0.0002 with beta1 0.5,
batches of 64, binary cross-entropy, one step each. The images are enlarged for it as its own resize does, and what it
makes is brought back to the size of the data.

For each seed ours is trained as the preset says, then the example for the same time on the same images. Ours is given
the classes, as its preset has it, the example is not. Both are compared with as many test images, in the features of
one classifier, that of our evaluate stage.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import harmonic_mean, mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.preset import load
from benchmarks.table import report
from projects.fashion_gan import train
from projects.fashion_gan.data import Latents
from projects.fashion_gan.features import describe_images, train_classifier
from projects.fashion_gan.metrics import frechet_distance, precision_recall
from projects.fashion_gan.model import generate
from projects.fashion_gan.params import Params
from shared.data.prepared import Prepared, write_prepared
from shared.data.source import bring, mirror_folder
from shared.image import classes as image_classes
from shared.image.official import OFFICIAL
from shared.training.checkpoint import Checkpoint
from shared.training.distributed import local

PRESET, SEEDS = "official-cpu", (0,)  # one: the distances differ eightfold, those of seeds by a tenth
OURS, THEIRS, REAL = "preset official-cpu", "PyTorch's DCGAN example", "real training images"
MOST_SECONDS = 1200
SHOWN = ("frechet_distance", "precision_score", "recall_score", "f1_score")

Figures = dict[str, float]

SIDE, NOISE, WIDTH, BATCH, RATE = 64, 100, 64, 64, 2e-4  # of the example


def example_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """The example's generator, (N, 100, 1, 1) -> (N, 1, 64, 64) in [-1, 1], and discriminator, -> (N, 1, 1, 1)."""
    sizes = [8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH]
    up: list[nn.Module] = [nn.ConvTranspose2d(NOISE, sizes[0], 4, 1, 0, bias=False)]
    down: list[nn.Module] = [nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for wide, narrow in zip(sizes, [*sizes[1:], 1], strict=True):
        up += [nn.BatchNorm2d(wide), nn.ReLU(), nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)]
    for narrow, wide in zip(sizes[:0:-1], sizes[-2::-1], strict=True):
        down += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
    generator = nn.Sequential(*up, nn.Tanh())
    discriminator = nn.Sequential(*down, nn.Conv2d(sizes[0], 1, 4, 1, 0, bias=False))
    for module in [*generator, *discriminator]:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return generator, discriminator


def train_example(images: Tensor, seconds: float, seed: int) -> tuple[nn.Sequential, int]:
    """The example's generator after so many seconds on (N, 1, S, S) uint8 images, and its steps."""
    torch.manual_seed(seed)
    generator, discriminator = example_networks()
    adams = [Adam(network.parameters(), RATE, (0.5, 0.999), fused=True) for network in (generator, discriminator)]
    start, steps = time.perf_counter(), 0
    for real in _batches(images):
        fake = generator(torch.randn(len(real), NOISE, 1, 1))
        logits = [discriminator(part) for part in (real, fake.detach())]
        _step(adams[1], F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean())
        _step(adams[0], F.softplus(-discriminator(fake)).mean())
        steps += 1
        if time.perf_counter() - start > seconds:
            break
    return generator, steps


def _batches(images: Tensor) -> Iterator[Tensor]:
    """Endless batches in [-1, 1], enlarged."""
    while True:
        for index in torch.randperm(len(images)).split(BATCH):
            part = images[index].float() / 127.5 - 1
            yield F.interpolate(part, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def _step(adam: Adam, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


@torch.no_grad()
def images_of(generator: nn.Sequential, number: int, side: int, seed: int) -> Tensor:
    """(N, 1, S, S) uint8, in training mode by batches, as the example draws its own."""
    draws = torch.Generator().manual_seed(seed)
    noise = torch.randn(number, NOISE, 1, 1, generator=draws)
    parts = [F.interpolate(generator(part), (side, side), mode="bilinear", antialias=True) for part in noise.split(64)]
    return ((torch.cat(parts) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def ours(params: Params, prepared: Prepared, folder: Path, number: int) -> tuple[Tensor, float, int]:
    """Images of the preset's generator, seconds and steps of its training."""
    world, chosen = local("cpu"), params.evaluate
    training = replace(train.describe(params, prepared, world), results=folder)
    checkpoint = Checkpoint(folder / f"{params.train.seed}.pt", world)
    done = train.train_networks(training, params.train, params.runtime, world, checkpoint, folder)
    latent = Latents(training.config, chosen.seed).draw(number, "evaluate")
    return generate(done.model["generator"], latent, chosen.batch_size), done.progress.seconds, done.progress.step


def make_data(folder: Path, params: Params) -> Prepared:
    """Fashion-MNIST in the prepared form, below a folder."""
    bring(OFFICIAL["fashion_mnist"], folder / "raw")
    data, chosen = image_classes.read(folder / "raw", params.prepare), params.prepare
    form = {"channels": chosen.channels, "image_size": chosen.image_size}
    write_prepared(folder / "prepared", data.splits(chosen), {"source": data.source, "classes": data.classes, **form})
    return Prepared(folder / "prepared")


def make_scorer(prepared: Prepared, params: Params) -> tuple[Callable[[Tensor], Figures], int]:
    """What gives the figures of images, by our classifier against the test images, and how many images it wants."""
    chosen, classes = params.evaluate, prepared.manifest["classes"]
    (images, labels), (unseen, _) = (
        [torch.from_numpy(prepared.table(split).fixed(name)) for name in ("image", "label")]
        for split in ("train", "test")
    )
    classifier = train_classifier(images, labels, len(classes), chosen, torch.device("cpu"))
    number = min(chosen.num_images, len(unseen))
    real, _ = describe_images(classifier, unseen[:number], chosen.batch_size)

    def score(pixels: Tensor) -> Figures:
        features, _ = describe_images(classifier, pixels, chosen.batch_size)
        found = {"frechet_distance": frechet_distance(features, real), **precision_recall(features, real)}
        return found | {"f1_score": harmonic_mean([found["precision_score"], found["recall_score"]])}

    return score, number


def main() -> bool:
    """Measures and reports. Returns whether ours is better; True, with a line, where there is no Fashion-MNIST."""
    if mirror_folder("fashion_mnist") is None:
        print("left out: no folder fashion_mnist in $DATASET_MIRROR")
        return True
    found: dict[str, list[Figures]] = {OURS: [], THEIRS: [], REAL: []}
    with tempfile.TemporaryDirectory() as scratch:
        folder, params = Path(scratch), load("fashion_gan", Params, PRESET)
        prepared = make_data(folder, params)
        score, number = make_scorer(prepared, params)
        images = torch.from_numpy(prepared.table("train").fixed("image"))
        for seed in SEEDS:
            chosen = load("fashion_gan", Params, PRESET, {"train.seed": seed})
            made, seconds, steps = ours(chosen, prepared, folder, number)
            found[OURS].append(score(made) | {"seconds": seconds, "steps": steps})
            generator, steps = train_example(images, seconds, seed)
            theirs = images_of(generator, number, images.shape[2], seed)
            found[THEIRS].append(score(theirs) | {"seconds": seconds, "steps": steps})
            some = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:number]]
            found[REAL].append(score(some) | {"seconds": 0, "steps": 0})
            for name, runs in found.items():
                print(f"seed {seed}, {name}: {runs[-1]}", flush=True)  # a long run that breaks off has shown these
    return tell(found, number, params.train.precision)


def tell(found: dict[str, list[Figures]], number: int, precision: str) -> bool:
    """Writes the table. Returns whether our distance is smaller and F1 not worse, within the time."""
    rows = [
        {
            "images": name,
            "seconds": round(mean(one["seconds"] for one in runs), 1),
            "steps": round(mean(one["steps"] for one in runs)),
            **{key: round(mean(one[key] for one in runs), 4) for key in SHOWN},
            "distances": ", ".join(f"{one['frechet_distance']:.3f}" for one in runs),
        }
        for name, runs in found.items()
    ]
    report("dcgan", rows, seeds=len(SEEDS), number=number, precision=precision, shown="means over seeds")
    first, second, _ = rows
    better = first["frechet_distance"] < second["frechet_distance"] and first["f1_score"] >= second["f1_score"]
    return bool(better and first["seconds"] <= MOST_SECONDS)
