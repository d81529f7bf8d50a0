"""Three networks to compare: two convolutions, one hidden layer, and none.

N images, C channels, S side in pixels, K classes. All take float images in [0, 1] and have under 30,000 weights at
28 px and 10 classes.
"""

from pathlib import Path
from typing import Any

from torch import nn

from shared.training.weights import load_weights, read_config

from .params import Model

HIDDEN = 32  # units of the MLP: about as many weights as the CNN has


def cnn(channels: int, side: int, num_classes: int) -> nn.Sequential:
    """Two 5x5 convolutions, each followed by pooling, batch norm and ReLU; then one linear layer.

    Pooling comes first: batch norm and ReLU then have a quarter of the work.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, padding=2, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (side // 4) ** 2, num_classes),
    )


def mlp(channels: int, side: int, num_classes: int) -> nn.Sequential:
    """One hidden layer: it sees pixels, and not that some of them are neighbours."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes))


def linear(channels: int, side: int, num_classes: int) -> nn.Sequential:
    """A weighted sum of pixels a class."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, num_classes))


NETWORKS = {"cnn": cnn, "mlp": mlp, "linear": linear}


def build_model(config: dict[str, Any]) -> nn.Sequential:
    """(N, C, S, S) float in [0, 1] -> (N, K) logits.

    Args:
        config: model (see params.py), classes, channels, image_size: what model.json holds.
    """
    return NETWORKS[config["model"]["name"]](config["channels"], config["image_size"], len(config["classes"]))


def load_model(folder: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    """The trained model in eval mode and its config, from results/train."""
    config = read_config(folder, Model)
    model = build_model(config)
    load_weights(folder, model)
    return model.eval(), config
