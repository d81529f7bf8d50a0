"""Explain stage: trained weights and test images -> results/explain/ (attributions and tests of them).

    python -m projects.cifar_cnn.explain                                       # as params.yaml says
    python -m projects.cifar_cnn.explain 'explain.methods=[grad_cam]'          # this run only
    python -m projects.cifar_cnn.explain explain.num_scored=500                # closer figures, five times as long

What is explained are the log-odds of the class that the model predicts, right or wrong, before test-time augmentation.
What the files hold, and which figure means what: shared/explain/stage.py.
"""

from shared.core.cli import answer_help

answer_help(__name__, __doc__, __file__)  # before torch is imported, which takes seconds

from shared.image.explain import explain_images
from shared.image.parts import own_colour
from shared.training.stage import Trained, trained_stage

from .model import load_model
from .params import Params

NOTE = (
    "The network is explained as it sees the image itself. The result averages several views of each image, so "
    "probabilities differ, and sometimes the predicted class."
)


def main(trained: Trained[Params]) -> None:
    explain_images(trained, own_colour, NOTE if trained.config["views"] > 1 else "")


if __name__ == "__main__":
    trained_stage(main, load_model, Params, __file__, alone=True)
