"""Weights come back into the same model, and others are refused."""

import pytest
from torch import nn

from shared.core.errors import UserError
from shared.core.params import Section
from shared.training.weights import load_weights, read_config, save_model


class Model(Section):
    width: int


def test_weights_come_back_into_the_same_model(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_model(tmp_path, model, {"model": {"width": 3}, "classes": ["a", "ß"]})
    load_weights(tmp_path, other)
    assert (other.weight == model.weight).all()
    assert read_config(tmp_path, Model)["classes"] == ["a", "ß"]


@pytest.mark.parametrize(("inputs", "end"), [(4, None), (3, -3)])
def test_weights_of_another_model_and_a_cut_off_file_are_named(tmp_path, inputs, end):
    save_model(tmp_path, nn.Linear(3, 2), {})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(UserError, match=r"model\.safetensors: not the weights of this model"):
        load_weights(tmp_path, nn.Linear(inputs, 2))


@pytest.mark.parametrize("text", ['{"model": {"width": "wide"}}', '{"model": {"height": 2}}', "{}", '{"model": '])
def test_a_damaged_description_and_that_of_another_projects_model_are_named(tmp_path, text):
    save_model(tmp_path, nn.Linear(3, 2), {"model": {"width": 3}})
    assert read_config(tmp_path, Model)["model"] == {"width": 3}
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.json: describes no model"):
        read_config(tmp_path, Model)


def test_without_weights_the_command_that_makes_them_is_told(tmp_path):
    with pytest.raises(UserError, match="no trained model here") as error:
        read_config(tmp_path, Model)
    assert "dvc repro" in str(error.value)
