"""A trained model on new images, from the shell and from Python.

    python -m projects.mnist_cnn.predict photo.jpg folder/    # files, and all images inside folders
    python -m projects.mnist_cnn.predict folder/ --top 3      # the three most probable classes of each
    python -m projects.mnist_cnn.predict folder/ --json       # a JSON object a line, for programs

    from projects.mnist_cnn.predict import load_predictor
    for prediction in load_predictor().predict(["photo.jpg"]):
        print(prediction.label, prediction.probability)

Images that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from collections.abc import Sequence
from pathlib import Path

from shared.core.cli import errors_for_people
from shared.core.paths import Project
from shared.image import predict as predict_images
from shared.image.predict import ImagePredictor

PROJECT = Project.of(__file__)


def load_predictor(folder: Path | None = None) -> ImagePredictor:
    """The trained model with the preprocessing it was evaluated with.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import torch  # takes seconds: --help must not wait for it
    from shared.image.batches import to_float

    from .model import load_model

    model, config = load_model(folder or PROJECT.folder / "results" / "train", f"dvc repro projects/{PROJECT.name}")
    return ImagePredictor(torch.inference_mode()(lambda pixels: model(to_float(pixels))), config)


def main(words: Sequence[str] | None = None) -> None:
    predict_images.main(load_predictor, f"projects.{PROJECT.name}.predict", __doc__ or "", words)


if __name__ == "__main__":
    with errors_for_people():
        main()
