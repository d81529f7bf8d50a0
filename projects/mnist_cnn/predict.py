"""A trained model on new images, from the shell and from Python.

    python -m projects.mnist_cnn.predict photo.jpg folder/    # files, and all images inside folders
    python -m projects.mnist_cnn.predict folder/ --top 3      # the three most probable classes of each
    python -m projects.mnist_cnn.predict folder/ --json       # one JSON object a line, for programs

    from projects.mnist_cnn.predict import load_predictor
    for found in load_predictor()(["photo.jpg"]):
        print(found["label"], found["probability"])

Images that cannot be read are named at the end; the others are predicted, and the exit code is 2.
"""

from pathlib import Path

from shared.core.paths import Project
from shared.core.predict import Predict, predict_main
from shared.image.read import IMAGES, image_predictor


def load_predictor(folder: Path | None = None) -> Predict:
    """A function from paths of images to dicts: label, probability, top (all classes); or error.

    Predicts as evaluate measured it.

    Args:
        folder: of model.safetensors and model.json; by default what the train stage left.

    Raises:
        UserError: there are no weights, with the command that makes them.
    """
    import torch  # takes seconds: --help must not wait for it

    from shared.image.augment import to_float

    from .model import load_model

    model, config = load_model(folder or Project.of(__file__).folder / "results" / "train")
    return image_predictor(torch.inference_mode()(lambda pixels: model(to_float(pixels))), config)


if __name__ == "__main__":
    predict_main(load_predictor, IMAGES, __file__, __doc__)
