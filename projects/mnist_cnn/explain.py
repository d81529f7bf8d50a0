"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.mnist_cnn.explain                                       # as params.yaml says
    python -m projects.mnist_cnn.explain 'explain.methods=[grad_cam]'          # this run only
    python -m projects.mnist_cnn.explain explain.num_scored=500                # closer figures, five times as long

What is explained are the log-odds of the class that the model predicts, right or wrong.
What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

import torch

from shared.image.explain import explain_images
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params


def main(trained: Trained[Params]) -> None:
    explain_images(trained, torch.zeros_like)  # no ink


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
