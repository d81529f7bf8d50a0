"""The explain stage of an image classifier."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.explain.parts import log_odds
from shared.explain.stage import class_facts, draw, explain
from shared.image.augment import to_float
from shared.image.parts import IMAGE_METHODS, ImageScene
from shared.image.show import show
from shared.training.stage import Trained


def explain_images(trained: Trained[Any], baseline: Callable[[Tensor], Tensor], note: str = "") -> None:
    """The whole stage, see shared/explain/stage.py: why does the model see this class in this image?

    What is explained are the log-odds of the class that the model predicts, right or wrong.

    Args:
        trained: its model takes (N, C, H, W) float in [0, 1] and gives (N, K) logits.
        baseline: images -> the same without content, such as black ones.
        note: a caveat for the reader of the pictures.
    """
    test, model = trained.prepared.table("test"), trained.model
    rows = draw(len(test), trained.params.explain.seed)
    images = to_float(torch.from_numpy(test.fixed("image")[rows]).to(trained.world.device))
    with torch.inference_mode():
        probabilities = model(images).softmax(1)
    evidence = torch.from_numpy(test.fixed("evidence")[rows]) if "evidence" in test else None

    def value(model: nn.Module, batch: Batch) -> Tensor:
        return log_odds(model(batch["image"]), batch["target"])

    model.to(memory_format=torch.channels_last)  # what convolutions are fastest in
    explain(
        trained,
        ImageScene(images, baseline(images), {"target": probabilities.argmax(1)}, evidence),
        value,
        class_facts(torch.from_numpy(test.fixed("label")[rows]), probabilities.cpu(), trained.config["classes"]),
        methods=IMAGE_METHODS,
        show=show,
        unit="images",
        part="pixels",
        note=note,
    )
