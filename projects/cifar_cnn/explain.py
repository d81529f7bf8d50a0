"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.cifar_cnn.explain                                       # as params.yaml says
    python -m projects.cifar_cnn.explain 'explain.methods=[grad_cam]'          # this run only
    python -m projects.cifar_cnn.explain explain.num_scored=500                # closer figures, five times as long

What is explained are the log-odds of the class that the model predicts, right or wrong, before test-time augmentation.
What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import torch
from torch import Tensor, nn

from shared.data.batches import Batch
from shared.explain.parts import log_odds
from shared.explain.stage import class_facts, draw, explain
from shared.image.augment import to_float
from shared.image.parts import IMAGE_METHODS, ImageScene, own_colour
from shared.image.show import show
from shared.training.stage import Trained, trained_stage

from .model import load_model, predict_logits
from .params import Params

NOTE = (
    "The network is explained as it sees the image itself. The result averages several views of each image, so "
    "probabilities differ, and sometimes the predicted class."
)


def value(model: nn.Module, batch: Batch) -> Tensor:
    """(M,): the log-odds of each image's target class."""
    return log_odds(model(batch["image"]), batch["target"])


def main(trained: Trained[Params]) -> None:
    test, chosen, device = trained.prepared.table("test"), trained.params.explain, trained.world.device
    rows = draw(len(test), chosen.seed)
    images = to_float(torch.from_numpy(test.fixed("image")[rows]).to(device))
    probabilities = predict_logits(trained.model, images, trained.config | {"views": 1}).softmax(1)
    evidence = torch.from_numpy(test.fixed("evidence")[rows]) if "evidence" in test else None
    explain(
        trained.model.to(memory_format=torch.channels_last),
        ImageScene(images, own_colour(images), {"target": probabilities.argmax(1)}, evidence),
        value,
        class_facts(torch.from_numpy(test.fixed("label")[rows]), probabilities.cpu(), trained.config["classes"]),
        methods=IMAGE_METHODS,
        show=show,
        params=chosen,
        results=trained.project.results("explain"),
        unit="images",
        part="pixels",
        note=NOTE if trained.config["views"] > 1 else "",
    )


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
