"""Explain stage: what makes the discriminator take an image for real or for generated -> results/explain/.

    python -m projects.fashion_gan.explain                                # as params.yaml says
    python -m projects.fashion_gan.explain explain.num_scored=500         # closer figures, five times as long

What is explained are the log-odds of its verdict, real or generated, right or wrong, on as many held-out real images as
generated ones. What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from dataclasses import replace
from functools import partial

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.data.draws import generator as draws
from shared.explain.stage import POOL, class_facts, explain
from shared.image.augment import to_float
from shared.image.parts import IMAGE_METHODS, ImageScene, own_colour
from shared.image.show import show
from shared.training.stage import Trained, trained_stage

from .data import Latents, pick
from .model import generate, load_model, logits_of
from .params import Params

NAMES = ["generated", "real"]
BATCH = 250
NOTE = "The model here is the discriminator, and the class is its verdict: real or generated."


def value(model: nn.Module, batch: Batch, scale: float, shift: float) -> Tensor:
    """(M,): the log-odds of each image's target, 1 for real: scale * logit + shift; 0 for generated: less that."""
    odds = scale * model(batch["image"], batch["label"]) + shift
    return torch.where(batch["target"] == 1, odds, -odds)


def main(trained: Trained[Params]) -> None:
    chosen, device = trained.params.explain, trained.world.device
    generator, discriminator = (trained.model.get_submodule(name) for name in ("generator", "discriminator"))
    train, test = (trained.prepared.table(name) for name in ("train", "test"))
    number = min(POOL, len(train), len(test))

    def both(real: tuple[Tensor, Tensor], key: str) -> tuple[Tensor, Tensor, Tensor]:
        """Real images, then as many generated ones: images (N, C, S, S) uint8, labels and logits (N,)."""
        latent = Latents(trained.config, chosen.seed).draw(number, key)
        made = generate(generator, latent, BATCH), latent["label"]
        images, label = (torch.cat(parts) for parts in zip(real, made, strict=True))
        return images, label, logits_of(discriminator, images, label, BATCH)

    is_real = torch.arange(2 * number) < number
    *_, logits = both(pick(train, number, chosen.seed), "fitted")
    fit = LogisticRegression().fit(logits[:, None].numpy(), is_real)  # so that a sigmoid is a probability (Platt 1999)
    scale, shift = float(fit.coef_[0, 0]), float(fit.intercept_[0])

    order = torch.randperm(2 * number, generator=draws(chosen.seed, "pool"))
    pixels, label, logits = (part[order] for part in both(pick(test, number, chosen.seed), "explained"))
    probability = (scale * logits + shift).sigmoid()
    images, target = to_float(pixels.to(device)), (probability > 0.5).long()
    explain(
        replace(trained, model=discriminator),
        ImageScene(images, own_colour(images), {"label": label.to(device), "target": target.to(device)}),
        partial(value, scale=scale, shift=shift),
        class_facts(is_real[order].long(), torch.stack([1 - probability, probability], 1), NAMES),
        methods=IMAGE_METHODS,
        show=show,
        unit="images",
        part="pixels",
        note=NOTE,
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
