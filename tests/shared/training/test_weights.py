"""Weights come back into the same model, and others are refused."""

import pytest
from torch import nn

from shared.core.errors import UserError
from shared.core.params import Section
from shared.training.weights import load_weights, read_config, save_model


def test_weights_come_back_into_the_same_model(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_model(tmp_path, model, {"classes": ["a", "ß"]})
    load_weights(tmp_path, other)
    assert (other.weight == model.weight).all()
    assert read_config(tmp_path)["classes"] == ["a", "ß"]


def test_weights_of_another_model_are_named(tmp_path):
    save_model(tmp_path, nn.Linear(3, 2), {})
    with pytest.raises(UserError, match=r"model\.safetensors: not the weights of this model"):
        load_weights(tmp_path, nn.Linear(4, 2))


def test_a_cut_off_file_is_named(tmp_path):
    save_model(tmp_path, nn.Linear(3, 2), {})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_weights(tmp_path, nn.Linear(3, 2))


class Model(Section):
    width: int


@pytest.mark.parametrize("config", [{"model": {"width": "wide"}}, {"model": {"height": 2}}, {"classes": ["a"]}])
def test_the_description_of_another_projects_model_is_named(tmp_path, config):
    save_model(tmp_path, nn.Linear(3, 2), config)
    with pytest.raises(UserError, match=r"model\.json: describes no model"):
        read_config(tmp_path, Model)


def test_a_damaged_description_is_named(tmp_path):
    save_model(tmp_path, nn.Linear(3, 2), {"model": {"width": 3}})
    assert read_config(tmp_path, Model)["model"] == {"width": 3}
    (tmp_path / "model.json").write_text('{"model": ')
    with pytest.raises(UserError, match=r"model\.json: describes no model"):
        read_config(tmp_path, Model)


def test_without_weights_the_command_that_makes_them_is_told(tmp_path):
    with pytest.raises(UserError, match="no trained model here") as error:
        read_config(tmp_path)
    assert "dvc repro" in str(error.value)
