"""Checkpoints by name, in fp32 whatever they keep, with a head for the classes asked for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaModel

from shared.core.errors import UserError
from shared.text.pretrained import (
    check_checkpoint,
    checkpoint_files,
    find_checkpoint,
    from_config,
    load_pretrained,
    num_positions,
)
from shared.text.tokens import PieceEncoder

TINY = {
    "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "max_position_embeddings": 16,
}  # fmt: skip
WEIGHT = "classifier.weight"


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A classifier of three classes that is kept in fp16."""
    torch.manual_seed(0)
    folder = tmp_path / "half"
    BertForSequenceClassification(BertConfig(**TINY, num_labels=3)).half().save_pretrained(folder)
    return folder


def test_weights_of_halves_are_trained_in_fp32(half):
    """The fault: fp16 weights with fused AdamW stand still at small rates, while run.json says fp32."""
    for kind in ("body", "classifier"):
        network, config = load_pretrained(str(half), kind, 16, **({"num_labels": 3} if kind == "classifier" else {}))
        assert {weight.dtype for weight in network.parameters()} == {torch.float32}
        assert {weight.dtype for weight in from_config(kind, config).parameters()} == {torch.float32}
    kept = BertForSequenceClassification.from_pretrained(half).state_dict()
    assert torch.equal(network.state_dict()[WEIGHT], kept[WEIGHT].float())


def test_a_config_is_plain_values_that_build_the_same_network_on_any_machine(half):
    network, config = load_pretrained(str(half), "classifier", 16, num_labels=3)
    assert str(half) not in str(config)
    other = from_config("classifier", config)
    other.load_state_dict(network.state_dict())
    tokens = torch.arange(10)[None]
    assert torch.equal(other.eval()(tokens).logits, network.eval()(tokens).logits)


def test_a_head_for_other_classes_is_replaced_and_named(half, capsys):
    torch.manual_seed(1)
    network, config = load_pretrained(str(half), "classifier", 16, num_labels=2)
    assert "which is initialised anew: classifier.bias, classifier.weight" in capsys.readouterr().out
    assert network.state_dict()[WEIGHT].shape == (2, 8)
    assert network.state_dict()[WEIGHT].std() > 0.001
    assert from_config("classifier", config).state_dict()[WEIGHT].shape == (2, 8)
    load_pretrained(str(half), "classifier", 16, num_labels=3)
    assert capsys.readouterr().out == ""


def test_too_few_positions_are_named_before_training(half):
    with pytest.raises(UserError, match="sequences of up to 17 tokens") as caught:
        load_pretrained(str(half), "body", 17)
    assert "reads 16 at most" in caught.value.expected
    assert num_positions(RobertaModel(RobertaConfig(**TINY, pad_token_id=1))) == 14
    assert num_positions(SimpleNamespace(config=object(), named_modules=list)) is None


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        load_pretrained(str(tmp_path), "body", 16)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="no checkpoint"):
        load_pretrained(str(tmp_path), "body", 16)


def test_a_network_is_whole_or_no_checkpoint(half):
    weights = load_file(half / "model.safetensors")
    save_file({key: part for key, part in weights.items() if "layer.0" not in key}, half / "model.safetensors")
    for kind in ("body", "classifier"):
        with pytest.raises(UserError, match="weights of the network are not in its files"):
            load_pretrained(str(half), kind, 16)


def test_the_files_are_those_that_are_read(half):
    (half / ".gitattributes").touch()
    assert [path.name for path in checkpoint_files(str(half))] == ["config.json", "model.safetensors"]


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
    with pytest.raises(UserError, match="some_weights/other: no checkpoint in that folder"):
        find_checkpoint("package:some_weights/other")
    with pytest.raises(UserError, match="not_there is not installed") as caught:
        find_checkpoint("package:not_there/model")
    assert caught.value.fix == "make pretrained"


class Pooled(nn.Module):
    """(B, L) -> (B, 3): what is wrong with it is told by `fault`."""

    embedding_layer = "embedding"

    def __init__(self, fault: str, num_tokens: int) -> None:
        super().__init__()
        self.fault, self.embedding = fault, nn.Embedding(num_tokens, 3)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.fault == "one at a time" and len(tokens) > 1:
            raise ValueError("Cannot handle batch sizes > 1 if no padding token is defined.")
        if self.fault == "one length" and not mask.all():
            raise RuntimeError()
        kept = torch.ones_like(mask) if self.fault == "padding" else mask
        return (self.embedding(tokens) * kept[..., None]).sum(1)


@pytest.mark.parametrize(
    ("fault", "num_tokens", "message"),
    [
        ("", 9, None),
        ("", 8, "its tokenizer has 9 tokens, its network vectors for 8"),
        ("padding", 9, "padding changes what it says"),
        ("one at a time", 9, "cannot read texts of several lengths at once: Cannot handle batch sizes > 1"),
        ("one length", 9, "cannot read texts of several lengths at once: RuntimeError"),
    ],
)
def test_a_network_is_tried_before_it_is_trained(fault, num_tokens, message):
    names = ["[MASK]", "[UNK]", "One", ".", "text", ",", "and", "a", "second"]
    tokenizer = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    model, encoder = Pooled(fault, num_tokens).train(), PieceEncoder(tokenizer, "[MASK]")
    if message is None:
        check_checkpoint("some", model, encoder)
    else:
        with pytest.raises(UserError, match=message):
            check_checkpoint("some", model, encoder)
    assert model.training
