"""Evaluate stage: trained weights and the test split -> results/evaluate/ (metrics, predictions, worst errors).

    python -m projects.mnist_cnn.evaluate                         # as params.yaml says
    python -m projects.mnist_cnn.evaluate evaluate.num_worst=50   # this run only
    torchrun --nproc-per-node 2 -m projects.mnist_cnn.evaluate

What the files hold: shared/evaluation/classification.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from shared.image.evaluate import evaluate_images
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params


def main(trained: Trained[Params]) -> None:
    evaluate_images(trained, trained.model)


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__)
