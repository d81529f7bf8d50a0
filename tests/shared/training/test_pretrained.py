from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shared.core.errors import UserError
from shared.text.pretrained import find_checkpoint, start_from_vectors
from shared.text.tokens import VECTORS


def test_a_folder_and_an_id_of_the_hub_stay_as_they_are(tmp_path):
    assert find_checkpoint(str(tmp_path)) == str(tmp_path)
    assert find_checkpoint("distilbert-base-uncased") == "distilbert-base-uncased"


def test_a_checkpoint_inside_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    model = tmp_path / "some_weights" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise ImportError('imported')")
    (model / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    assert Path(find_checkpoint("package:some_weights/model")) == model
    with pytest.raises(UserError, match="no checkpoint in some_weights/other"):
        find_checkpoint("package:some_weights/other")


def test_a_missing_package_is_named_with_what_installs_it():
    with pytest.raises(UserError, match="not_there is not installed") as caught:
        find_checkpoint("package:not_there/model")
    assert caught.value.fix == "make pretrained"


def test_an_embedding_starts_from_the_vectors_that_are_known(tmp_path):
    embedding = nn.Embedding(4, 3)
    before = embedding.weight.detach().clone()
    start_from_vectors(embedding, tmp_path, "train.model.width")
    assert torch.equal(embedding.weight, before)
    np.save(tmp_path / VECTORS, np.array([[0, 0, 0], [0, 0, 0], [1, 2, 3], [0, 0, 4]], dtype=np.float32))
    start_from_vectors(embedding, tmp_path, "train.model.width")
    assert embedding.weight[2:].tolist() == [[1, 2, 3], [0, 0, 4]]
    assert torch.equal(embedding.weight[:2], before[:2])
    with pytest.raises(UserError, match=r"train\.model\.width: 5, but a vector of prepare\.vectors has 3 numbers"):
        start_from_vectors(nn.Embedding(4, 5), tmp_path, "train.model.width")
