"""Sentences a second that multi30k_translation translates with beam search, beside itself without the cache, Hugging
Face's `generate` on a Marian model of the same sizes, and CTranslate2 with the same weights.

The weights are random, and END is held back until a translation is as long as its source: all have the same work to do,
whatever the weights. The four take turns. The share of best translations that are the same without the cache, and in
CTranslate2, is a check.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.table import report
from projects.multi30k_translation.decoding import Search, Uncached, translate
from projects.multi30k_translation.model import MANY_PLACES, Layer, TransformerTranslator
from projects.multi30k_translation.params import Model
from projects.multi30k_translation.pieces import END, SPECIALS

PIECES, WIDTH, HEADS, LAYERS, INNER = 5000, 192, 6, 3, 512
SENTENCES, BEAM, ROUNDS = 64, 5, 5
LEAST = {17: {"without the cache": 2.5, "transformers, generate": 1.5},  # the pieces of Multi30k's sentences
         60: {"without the cache": 6.0, "transformers, generate": 1.5}}  # fmt: skip
OWN = "multi30k_translation"


class Forced:
    """A model whose translations all have `length` pieces: END comes then and not before."""

    longest = None

    def __init__(self, model: Any, length: int) -> None:
        self.model, self.length = model, length

    def begin(self, source: Tensor, mask: Tensor) -> Any:
        self.step = 0
        return self.model.begin(source, mask)

    def advance(self, state: Any, tokens: Tensor) -> Tensor:
        self.step += 1
        scores: Tensor = self.model.advance(state, tokens)
        scores[:, :, END] = 1e4 if self.step == self.length else -torch.inf
        return scores

    def choose(self, *given: Any) -> None:
        self.model.choose(*given)


Run = Callable[[], list[list[int]]]  # one pass over all sentences -> the best translation of each, without END


def by_project(model: Any, source: Tensor) -> list[list[int]]:
    mask = torch.ones_like(source, dtype=torch.bool)
    return [best.ids[:-1] for best, *_ in translate(Forced(model, source.shape[1]), source, mask, Search(BEAM, 1.0))]


def by_generate(source: Tensor) -> Run:
    """Hugging Face's generate."""
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        vocab_size=PIECES, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=INNER, decoder_ffn_dim=INNER, pad_token_id=0, eos_token_id=END,
        bos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=END, max_position_embeddings=MANY_PLACES,
    )  # fmt: skip
    network, length = MarianMTModel(config).eval(), source.shape[1]
    asked: dict[str, Any] = {"attention_mask": torch.ones_like(source), "num_beams": BEAM, "do_sample": False}
    asked |= {"min_new_tokens": length, "max_new_tokens": length}

    def run() -> list[list[int]]:
        found: list[list[int]] = network.generate(source, **asked)[:, 1:-1].tolist()  # type: ignore[operator]
        return found

    return run


def by_ctranslate2(model: TransformerTranslator, source: Tensor, folder: Path) -> Run:
    """CTranslate2 with the model's own weights."""
    import ctranslate2

    names = [*SPECIALS, *map(str, range(len(SPECIALS), PIECES))]
    spec = ctranslate2.specs.TransformerSpec.from_config((LAYERS, LAYERS), HEADS, pre_norm=True)
    for side, layers, norm in ((spec.encoder, model.encoder, 0), (spec.decoder, model.decoder, 1)):
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = model.embedding.weight.detach()
        side.scale_embeddings = True
        side.position_encodings.encodings = model.places
        set_norm(side.layer_norm, model.norms[norm])
        for one, layer in zip(side.layer, layers, strict=True):
            assert isinstance(layer, Layer)
            set_layer(one, layer)
    spec.decoder.projection.weight = model.embedding.weight.detach()
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.decoder_start_token = "<s>"
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    translator = ctranslate2.Translator(str(folder), intra_threads=torch.get_num_threads())
    texts, longest = [[names[one] for one in row] for row in source.tolist()], source.shape[1] - 1
    asked: dict[str, Any] = {"beam_size": BEAM, "max_batch_size": SENTENCES, "disable_unk": True}
    asked |= {
        "min_decoding_length": longest,
        "max_decoding_length": longest,
        "suppress_sequences": [["<pad>"], ["<s>"]],
    }

    def run() -> list[list[int]]:
        return [[int(piece) for piece in one.hypotheses[0]] for one in translator.translate_batch(texts, **asked)]

    return run


def set_layer(spec: Any, layer: Layer) -> None:
    spec.self_attention.linear[0].weight, spec.self_attention.linear[0].bias = of(layer.own.into)
    spec.self_attention.linear[1].weight, spec.self_attention.linear[1].bias = of(layer.own.out)
    set_norm(spec.self_attention.layer_norm, layer.norms[0])
    if layer.cross is not None:
        weight, bias = of(layer.cross.into)
        for place, part in enumerate((slice(None, WIDTH), slice(WIDTH, None))):
            spec.attention.linear[place].weight, spec.attention.linear[place].bias = weight[part], bias[part]
        spec.attention.linear[2].weight, spec.attention.linear[2].bias = of(layer.cross.out)
        set_norm(spec.attention.layer_norm, layer.norms[1])
    spec.ffn.linear_0.weight, spec.ffn.linear_0.bias = of(layer.inner[0])
    spec.ffn.linear_1.weight, spec.ffn.linear_1.bias = of(layer.inner[2])
    set_norm(spec.ffn.layer_norm, layer.norms[-1])


def set_norm(spec: Any, norm: nn.Module) -> None:
    spec.gamma, spec.beta = of(norm)


def of(module: Any) -> tuple[Tensor, Tensor]:
    return module.weight.detach(), module.bias.detach()


@torch.inference_mode()
def measure(length: int) -> list[dict[str, Any]]:
    """All four, in turn."""
    torch.manual_seed(0)
    params = Model(
        name="transformer", width=WIDTH, num_heads=HEADS, num_encoder_layers=LAYERS, num_decoder_layers=LAYERS,
        feedforward=INNER, dropout=0.0,
    )  # fmt: skip
    model, source = TransformerTranslator(params, PIECES).eval(), torch.randint(4, PIECES, (SENTENCES, length))
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Run] = {
            OWN: partial(by_project, model, source),
            "without the cache": partial(by_project, Uncached(model), source),
            "transformers, generate": by_generate(source),
            "CTranslate2": by_ctranslate2(model, source, Path(folder)),
        }
        first = {name: run() for name, run in runs.items()}  # warm
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(ROUNDS):
            for name in list(runs)[:: 1 if turn % 2 else -1]:
                start = time.perf_counter()
                runs[name]()
                seconds[name].append(time.perf_counter() - start)
    own = statistics.median(seconds[OWN])
    return [
        {
            "decoder": name,
            "pieces": length,
            "sentences/s": round(SENTENCES / statistics.median(of), 1),
            f"{OWN} over this": round(statistics.median(of) / own, 2),
            "same translations": "other weights" if "generate" in name else agreement(first[name], first[OWN]),
        }
        for name, of in seconds.items()
    ]


def agreement(one: list[list[int]], other: list[list[int]]) -> float:
    """Share of the sentences."""
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def main() -> bool:
    """Measures and reports. Returns whether the project is as fast as it should be, and translates alike."""
    rows = [row for length in LEAST for row in measure(length)]
    setup = {"sentences": SENTENCES, "beam": BEAM, "vocabulary": PIECES, "width": WIDTH, "layers": LAYERS}
    packages = "torch", "transformers", "ctranslate2"
    report("decoding", rows, packages, **setup, rounds=ROUNDS, threads=torch.get_num_threads())
    return all(
        row[f"{OWN} over this"] >= LEAST[row["pieces"]].get(row["decoder"], 0.0)
        and (row["decoder"] != "without the cache" or row["same translations"] == 1.0)
        for row in rows
    )
