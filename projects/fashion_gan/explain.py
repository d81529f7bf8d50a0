"""Explain stage: what makes the discriminator take an image for real or for generated -> results/explain/.

    python -m projects.fashion_gan.explain                                # as params.yaml says
    python -m projects.fashion_gan.explain explain.num_scored=500         # closer figures, five times as long

Attributed is its prediction, real or generated, right or wrong, on as many held-out real images as generated ones. The
files are those of shared/explain/image_classes.py, and

figures.json     how well the discriminator separates real from generated images, see `separation`
sections.json    the same for the page
"""

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from shared.core.cli import run
from shared.core.files import write_json
from shared.core.paths import Project
from shared.data.arrays import Split, read_split
from shared.data.prepared import check_same, read_manifest
from shared.explain.image_classes import explain
from shared.image.batches import to_float
from shared.training.device import pick_device

from .data import draw_latent
from .evaluate import pick
from .model import generate, load_model
from .params import Params

PROJECT = Project.of(__file__)
MOST = 1000  # real images, and as many generated
BATCH = 250
NAMES = ["generated", "real"]
DIGITS = 4
MEMORISED = 0.03  # by which the area under the curve is larger on training images


class RealOrGenerated(nn.Module):
    """A discriminator as a classifier: (N, C, S, S), (N,) labels -> (N, 2) logits of generated and real.

    Their difference is scale * logit + shift, fitted so that a softmax is a probability (Platt 1999).
    """

    def __init__(self, discriminator: nn.Module, scale: float, shift: float) -> None:
        super().__init__()
        self.discriminator, self.scale, self.shift = discriminator, scale, shift

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        logit = self.scale * self.discriminator(images, label) + self.shift
        return torch.stack([-logit / 2, logit / 2], dim=1)


@torch.no_grad()
def logits_of(discriminator: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """(N,) float on the CPU, of uint8 images."""
    device = next(discriminator.parameters()).device
    parts = zip(torch.split(images, BATCH), torch.split(label, BATCH), strict=True)
    return torch.cat([discriminator(to_float(part.to(device)), of.to(device)).cpu() for part, of in parts])


def separation(train: Tensor, fitted: Tensor, test: Tensor, generated: Tensor) -> tuple[LogisticRegression, Any]:
    """How well the discriminator's logits (N,) separate real from generated images, and the probability fitted to them.

    Args:
        train, fitted: of training images and of generated ones, which the probability is fitted to.
        test, generated: of held-out images and of other generated ones, which are evaluated.

    Returns:
        The fit, and
        train_auc_score: area under the ROC curve of training against generated images; 0.5 is chance.
        test_auc_score: of held-out images; clearly lower where the discriminator has memorised its training images.
    """
    labels = [1] * len(train) + [0] * len(fitted)
    fit = LogisticRegression().fit(torch.cat([train, fitted])[:, None].numpy(), labels)
    pairs = {"train": (train, fitted), "test": (test, generated)}
    return fit, {
        f"{name}_auc_score": roc_auc_score([1] * len(real) + [0] * len(fake), torch.cat([real, fake]).numpy())
        for name, (real, fake) in pairs.items()
    }


def own_colour(images: Tensor) -> Tensor:
    """The baseline, (N, C, H, W): every image's mean colour, so that what is left blank can count as well."""
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


def section(figures: dict[str, float]) -> dict[str, Any]:
    """The page's table of how well the discriminator separates."""
    gap = figures["train_auc_score"] - figures["test_auc_score"]
    memory = "It has memorised training images." if gap > MEMORISED else "It has not memorised its training images."
    return {
        "title": "Real against generated images",
        "intro": f"Area under the ROC curve of the discriminator's logit: 1 is perfect, 0.5 is chance. {memory}",
        "columns": ["Real images", "Area under the curve"],
        "rows": [["training", figures["train_auc_score"]], ["held out", figures["test_auc_score"]]],
    }


def main(params: Params) -> None:
    networks, config = load_model(PROJECT.results("train"))
    check_same(PROJECT, config, read_manifest(PROJECT.prepared), "classes", "channels", "image_size")
    generator, discriminator = (
        networks[name].to(pick_device(params.runtime.device)).requires_grad_(False)
        for name in ("generator", "discriminator")
    )
    train, test = (read_split(PROJECT.prepared, name, mapped=True) for name in ("train", "test"))
    number, seed, size = min(MOST, len(train), len(test)), params.explain.seed, config["model"]["latent_size"]
    index, *real = pick(test, number, seed)
    latents = [draw_latent(seed, number, size, config["class_counts"], key) for key in ("fitted", "explained")]
    fitted, fake = ((generate(generator, latent, BATCH), latent.label) for latent in latents)
    kinds = pick(train, number, seed)[1:], fitted, real, fake
    fit, figures = separation(*(logits_of(discriminator, *kind) for kind in kinds))
    ids = [*(test.ids[place] for place in index.tolist()), *(f"generated/{place:05}" for place in range(number))]
    explain(
        RealOrGenerated(discriminator, float(fit.coef_[0, 0]), float(fit.intercept_[0])),
        Split(torch.cat([real[0], fake[0]]).numpy(), np.repeat([1, 0], number), ids),
        NAMES,
        to_float=to_float,
        baseline=own_colour,
        params=params.explain,
        results=PROJECT.results("explain"),
        extra=(torch.cat([real[1], fake[1]]),),
        note="The model here is the discriminator, and the class is real or generated.",
    )
    rounded = {name: round(value, DIGITS) for name, value in figures.items()}
    write_json(PROJECT.results("explain") / "sections.json", [section(figures)])
    write_json(PROJECT.results("explain") / "figures.json", rounded)


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
