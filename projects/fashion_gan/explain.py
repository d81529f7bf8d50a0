"""Explain stage: both networks -> results/explain/ (what the discriminator sees, what the noise does, tests of both).

    python -m projects.fashion_gan.explain                                # as params.yaml says
    python -m projects.fashion_gan.explain explain.num_scored=500         # closer figures, five times as long

What is attributed is the discriminator's verdict, real or generated, right or wrong, on as many held-out real images as
generated ones. What those files hold: shared/explain/image_classes.py. Of the generator:

figures.json           of discriminator, directions and regions, see `tell_apart`, `check_directions`, `check_regions`
directions.tsv         share of the change of images by direction of noise, the largest first
latent/                pictures of both
sections.json          tables and pictures for the page
"""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from shared.data.arrays import Split, read_split
from shared.evaluation.plots import write_table
from shared.explain.image_classes import explain
from shared.image.batches import to_float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.utils import parametrize

from shared.core.cli import run
from shared.core.files import replace_folder, write_json
from shared.core.paths import Project
from shared.data.prepared import check_same, read_manifest
from shared.training.device import pick_device

from .data import Picked, pick
from .latent import REACH, STEPS, check_directions, main_directions, random_directions, walk
from .model import draw_labels, draw_noise, generate, load_model
from .params import Explain, Params
from .regions import attribute_regions, brighten, brightness, check_regions, regions
from .samples import grid, picture, spaced

PROJECT = Project.of(__file__)

MOST = 1000  # real images, and as many generated, that the discriminator is asked about
BATCH = 250
VERDICTS = ["generated", "real"]
DIGITS = 4

CLEARLY = 1.2  # times a random step's effect: less is called hardly more
KNOWN = 0.03  # by which training images are told better: then they are known by heart

Figures = dict[str, float]
Section = dict[str, Any]


# --- discriminator ------------------------------------------------------------------------------------------------


class Verdict(nn.Module):
    """A discriminator as a classifier: (N, C, S, S), (N,) labels -> (N, 2) logits of generated and real.

    Their difference is scale * logit + shift, so that a softmax is a probability whatever the loss was (Platt 1999): a
    Wasserstein critic knows no zero. Spectral normalisation is worked into the weights, which stay as they are here:
    shuffled ones with the singular vectors of the trained ones would explode.
    """

    def __init__(self, discriminator: nn.Module, scale: float, shift: float) -> None:
        super().__init__()
        self.discriminator, self.scale, self.shift = plain(discriminator), scale, shift

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        logit = self.scale * self.discriminator(images, label) + self.shift
        return torch.stack([-logit / 2, logit / 2], dim=1)


def plain(network: nn.Module) -> nn.Module:
    """A copy whose weights are what its parametrisations make of them."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return copied


@torch.no_grad()
def logits_of(discriminator: nn.Module, asked: Picked) -> Tensor:
    """(N,) float on the CPU."""
    device = next(discriminator.parameters()).device
    parts = zip(*(torch.split(part, BATCH) for part in asked), strict=True)
    return torch.cat([discriminator(to_float(images.to(device)), label.to(device)).cpu() for images, label in parts])


def made(generator: nn.Module, config: dict[str, Any], number: int, seed: int, *keys: str) -> Picked:
    """Generated images, drawn anew for each of `keys`."""
    noise = draw_noise(seed, number, config["model"]["latent_size"], *keys)
    label = draw_labels(seed, number, config["class_counts"], *keys)
    return Picked(generate(generator, noise, label, BATCH), label)


def tell_apart(train: Tensor, fresh: Tensor, test: Tensor, others: Tensor) -> tuple[LogisticRegression, Figures]:
    """How the discriminator's logits (N,) tell real from generated images, and the probability that is made of them.

    Args:
        train, fresh: of training images and of generated ones, that the probability is fitted to.
        test, others: of held-out images and of other generated ones, that the figures are taken over.

    Returns:
        The fit, and
        train_auc_score: how often a training image's logit is above a generated one's; 0.5 is a coin's.
        test_auc_score: the same of held-out images; less than the former where training images are known by heart.
        real_accuracy, generated_accuracy: how often the verdict is right, of held-out images and of generated ones.
    """
    fit = LogisticRegression().fit(torch.cat([train, fresh])[:, None].numpy(), [1] * len(train) + [0] * len(fresh))
    areas = {
        f"{name}_auc_score": roc_auc_score([1] * len(real) + [0] * len(fake), torch.cat([real, fake]).numpy())
        for name, real, fake in (("train", train, fresh), ("test", test, others))
    }
    real, fake = (fit.predict(logits[:, None].numpy()) for logits in (test, others))
    return fit, areas | {"real_accuracy": real.mean(), "generated_accuracy": 1 - fake.mean()}


def own_colour(images: Tensor) -> Tensor:
    """The baseline, (N, C, H, W): every image's mean colour, so that what is left blank can count as well."""
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


def explain_discriminator(
    generator: nn.Module, discriminator: nn.Module, config: dict[str, Any], params: Explain
) -> Figures:
    """Writes the attributions and their tests; returns how well the discriminator tells."""
    train, test = (read_split(PROJECT.prepared, name, mapped=True) for name in ("train", "test"))
    number, seed = min(MOST, len(train), len(test)), params.seed
    chosen, real = pick(test, number, seed)
    fake = made(generator, config, number, seed, "explained")
    kinds = pick(train, number, seed)[1], made(generator, config, number, seed, "fitted"), real, fake
    fit, figures = tell_apart(*(logits_of(discriminator, kind) for kind in kinds))

    labels = np.repeat([1, 0], number)
    ids = [*(test.ids[index] for index in chosen.tolist()), *(f"generated/{index:05}" for index in range(number))]
    explain(
        Verdict(discriminator, float(fit.coef_[0, 0]), float(fit.intercept_[0])),
        Split(torch.cat([real.images, fake.images]).numpy(), labels, ids),
        VERDICTS,
        to_float=to_float,
        baseline=own_colour,
        params=params,
        results=PROJECT.results("explain"),
        extra=(torch.cat([real.label, fake.label]),),
        note="The model here is the discriminator, and the class is its verdict, real or generated, on held-out real "
        "images and on as many generated ones.",
    )
    return figures


# --- generator ----------------------------------------------------------------------------------------------------


class Latents(NamedTuple):
    """noise: (N, L) float; label: (N,) int64, on the generator's device."""

    noise: Tensor
    label: Tensor


def draw_latents(config: dict[str, Any], params: Explain, device: torch.device, key: str) -> Latents:
    noise = draw_noise(params.seed, params.num_noises, config["model"]["latent_size"], key)
    label = draw_labels(params.seed, params.num_noises, config["class_counts"], key)
    return Latents(noise.to(device), label.to(device))


def explain_directions(
    generator: nn.Module, seen: Latents, others: Latents, params: Explain, folder: Path
) -> tuple[Figures, Section]:
    """Which directions of noise change images most: directions.tsv, a picture, figures of the test, the page's part."""
    found = main_directions(generator, *seen)
    number = min(params.num_directions, len(found.change))
    figures = check_directions(generator, found, *others, number, params.seed)
    rows = [(rank + 1, share) for rank, share in enumerate(found.share.tolist())]
    write_table(PROJECT.results("explain") / "directions.tsv", ("direction", "share"), rows)

    ways = torch.cat([found.vectors.T[:number].float(), random_directions(1, len(found.change), params.seed)])
    picture(grid(spaced(walk(generator, others.noise[0], others.label[0], ways)), STEPS)).save(
        folder / "directions.png"
    )
    ratio = figures["direction_ratio"]
    section = {
        "title": "Which directions of the noise change images most",
        "intro": f"Found from the generator's Jacobian at {len(seen.noise)} noises. The first {number} of "
        f"{len(found.change)} directions hold {figures['direction_share']:.0%} of the change that a step makes. Tested "
        f"at other noises with whole steps: one along them changes an image {ratio:.2f} times as much as one along a "
        f"random direction{'' if ratio > CLEARLY else ', which is hardly more: do not read much into them'}. Of what "
        "they change nothing is said: a direction may mean one thing, several, or a mere shade.",
        "columns": ["Direction", "Share of the change", "Of a random one"],
        "rows": [[rank, share, 1 / len(found.change)] for rank, share in rows[:number]],
        "pictures": [
            {
                "file": "latent/directions.png",
                "caption": f"A row a direction, the last one random: from -{REACH:g} to {REACH:g} around one noise, "
                "which is in the middle.",
                "sharp": True,
            }
        ],
    }
    return figures, section


def explain_regions(
    generator: nn.Module, side: int, latents: Latents, seed: int, folder: Path
) -> tuple[Figures, Section]:
    """Which numbers of the noise each part of the image depends on: a picture, figures of the test, the page's part."""
    masks = regions(side)
    bright = brightness(generator, masks)
    found = attribute_regions(bright, *latents)
    figures = check_regions(bright, found, *latents, seed)
    picture(brighten(generator, found, *latents, masks)).save(folder / "regions.png")
    ratio = figures["region_ratio"]
    rows = [
        ["It becomes brighter by", figures["region_change"], figures["region_random_change"]],
        ["Its share of what changes in all parts", figures["region_share"], 1 / len(masks)],
    ]
    section = {
        "title": "Which noise a part of the image depends on",
        "intro": "Integrated gradients from a part's brightness to the numbers of the noise name, for each part, a "
        f"direction that should make it brighter. A step of length 1 along it moves the part {ratio:.2f} times as far "
        f"as a random step{'' if ratio > CLEARLY else ', which is hardly more: the attribution says little here'}. "
        "Where the share is not far above that of a random step, parts cannot be changed one by one: the generator "
        "moves them together.",
        "columns": ["A step of length 1 for a part", "Along its attribution", "At random"],
        "rows": rows,
        "pictures": [
            {
                "file": "latent/regions.png",
                "caption": "A row a part, shown white on the left: images of one noise, moved against its attribution "
                "(left) and along it (right).",
                "sharp": True,
            }
        ],
    }
    return figures, section


def discriminator_section(figures: Figures) -> Section:
    """The page's table of how well the discriminator tells."""
    known = figures["train_auc_score"] - figures["test_auc_score"]
    return {
        "title": "How well the discriminator tells",
        "intro": "How often a real image's logit lies above a generated one's: 1 is always, 0.5 a coin's. "
        + (
            f"Training images are told {known:.2f} better than held-out ones: it knows them by heart."
            if known > KNOWN
            else "Were training images told much better than held-out ones, it would know them by heart; near 1 the "
            "two can no longer part."
        ),
        "columns": ["Real images", "Told from generated ones"],
        "rows": [["training", figures["train_auc_score"]], ["held-out", figures["test_auc_score"]]],
    }


def main(params: Params) -> None:
    chosen, results = params.explain, PROJECT.results("explain")
    generator, discriminator, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    check_same(PROJECT, config, read_manifest(PROJECT.prepared), "classes", "channels", "image_size")
    device = pick_device(params.runtime.device)
    for network in (generator, discriminator):
        network.to(device).requires_grad_(False)

    figures = explain_discriminator(generator, discriminator, config, chosen)
    sections = [discriminator_section(figures)]
    seen, others = (draw_latents(config, chosen, device, key) for key in ("directions", "checked"))
    with replace_folder(results / "latent") as folder:
        parts = (
            explain_directions(generator, seen, others, chosen, folder),
            explain_regions(generator, config["image_size"], others, chosen.seed, folder),
        )
    for found, section in parts:
        figures |= found
        sections.append(section)
    write_json(results / "sections.json", sections)
    write_json(results / "figures.json", {name: round(float(value), DIGITS) for name, value in figures.items()})
    for name, value in figures.items():
        print(f"{name:28}{value:.4f}")


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
