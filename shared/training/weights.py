"""Weights to keep: model.safetensors beside model.json (config, classes, preprocessing).

Evaluate, explain and predict need only these two files. Reading them never runs code.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from shared.core.errors import UserError
from shared.core.files import write_atomic, write_json
from shared.core.params import Section
from shared.core.paths import show


def save_model(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Writes model.safetensors and model.json.

    Args:
        folder: an existing folder.
        model: its state dict is kept, contiguous and on the CPU.
        config: plain values from which the project builds the same model again.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomic(folder / "model.safetensors", save(state))
    write_json(folder / "model.json", config)


def read_config(folder: Path, model: type[Section]) -> dict[str, Any]:
    """model.json. Raises UserError where there is none or another project's.

    Args:
        folder: results/train of a project.
        model: what its key "model" must fit.
    """
    command = "train first: dvc repro of the project"
    path = folder / "model.json"
    if not path.exists() or not (folder / "model.safetensors").exists():
        raise UserError(f"{show(folder)}: no trained model here", fix=command)
    try:
        config: dict[str, Any] = json.loads(path.read_text())
        model.model_validate(config["model"])
    except (ValueError, KeyError, TypeError):  # of json and of pydantic
        raise UserError(f"{show(path)}: describes no model of this project", fix=command) from None
    return config


def load_weights(folder: Path, model: nn.Module) -> None:
    """model.safetensors into a model built from the same config. Raises UserError on weights of another model."""
    path = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{show(path)}: not the weights of this model: {reason}", fix="train again") from None
