"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.cifar_cnn.explain                                       # as params.yaml says
    python -m projects.cifar_cnn.explain 'explain.methods=[grad_cam]'          # this run only
    python -m projects.cifar_cnn.explain explain.num_scored=500                # closer figures, five times as long

What is explained is the logit of the class that the model predicts, right or wrong, before test-time augmentation.
What the files hold, and which figure means what: shared/explain/image_classes.py.
"""

import torch
from shared.data.arrays import read_split
from shared.image.batches import to_float
from torch import Tensor

from shared.core.cli import run
from shared.core.paths import Project
from shared.explain.image_classes import explain
from shared.training.device import pick_device

from .model import load_model
from .params import Params

PROJECT = Project.of(__file__)


def own_colour(images: Tensor) -> Tensor:
    """The baseline, (N, C, H, W): every image's mean colour. Nothing can be seen in it, and it is as bright.

    Against one colour for all images, a method spends its mass on how far the ground is from that colour.
    """
    return images.mean(dim=(2, 3), keepdim=True).expand_as(images)


def main(params: Params) -> None:
    model, config = load_model(PROJECT.results("train"), f"dvc repro projects/{PROJECT.name}")
    device = pick_device(params.runtime.device)
    explain(
        model.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        read_split(PROJECT.prepared, "test", mapped=True),
        config["classes"],
        to_float=to_float,
        baseline=own_colour,
        params=params.explain,
        results=PROJECT.results("explain"),
        note="The network is explained as it sees the image itself. The result above averages several views of each "
        "image, so percentages differ, and now and then the answer."
        if params.evaluate.views > 1
        else "",
    )


if __name__ == "__main__":
    run(main, Params, __file__, __doc__)
