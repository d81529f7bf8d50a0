"""Pretrained encoder-decoders of the `transformers` library, such as Marian and T5: their pieces, and their network as
a `model.Translator`.

B batch, S source tokens, T target tokens, D width, V pieces, K beams, R = B K rows.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.core.errors import UserError
from shared.text.pretrained import find_checkpoint, from_config, load_pretrained, num_positions
from shared.text.tokens import checkpoint_errors, checkpoint_pieces

from .pieces import Marks, Pieces, SentencePieces

State = dict[str, Any]


def pieces_of(name: str, languages: tuple[str, str]) -> Pieces:
    """How a checkpoint cuts texts.

    Args:
        name: a folder, package:<folder>, or a hub id (see `find_checkpoint`).
        languages: of source and target; what T5 was told to translate depends on them.

    Raises:
        UserError: there is no such checkpoint, it is no encoder-decoder, its tokenizer is not supported, or the sides
            have vocabularies of their own.
    """
    from transformers import AutoConfig  # seconds to import: pieces that are learned must not wait for it

    place = find_checkpoint(name)
    with checkpoint_errors(f"{name}: no checkpoint", expected="bpe, unigram, a folder, package:<folder>, or a hub id"):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    begin = getattr(config, "decoder_start_token_id", None)
    if not config.is_encoder_decoder or begin is None:
        raise UserError(f"{name}: {config.model_type} is no encoder-decoder", expected="such as Marian or T5")
    tasks = getattr(config, "task_specific_params", None) or {}
    prefix = tasks.get(f"translation_{languages[0]}_to_{languages[1]}", {}).get("prefix", "")
    source, target = _marian(name, place) if config.model_type == "marian" else 2 * (checkpoint_pieces(place),)
    never = {config.pad_token_id, source.blank, begin} - {config.eos_token_id, None}
    return Pieces(source, target, Marks(begin, config.eos_token_id, source.blank, tuple(sorted(never))), prefix)


def _marian(name: str, place: str) -> tuple[SentencePieces, SentencePieces]:
    """Encoders of both sides."""
    from transformers import MarianTokenizer

    with warnings.catch_warnings(), checkpoint_errors(f"{name}: no tokenizer there"):
        warnings.simplefilter("ignore")  # of sacremoses, which would change quotation marks
        found = MarianTokenizer.from_pretrained(place)
    if found.separate_vocabs:
        raise UserError(f"{name}: a vocabulary for each side", expected="one for both")
    source, target = (SentencePieces(Path(path).read_bytes(), found.encoder) for path in found.spm_files)
    return source, target


class CheckpointTranslator(nn.Module):
    """A pretrained encoder-decoder as a `model.Translator`. One table of vectors for both sides."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        table = network.get_input_embeddings()
        self.embedding_layer = next(name for name, module in self.named_modules() if module is table)
        self.longest = num_positions(network)
        config = network.config
        # Marian's encoder scales the vectors that it looks up and not those it is given; T5 scales what it scores
        marian, t5 = config.model_type == "marian", getattr(config, "scale_decoder_outputs", False)
        self.source_scale = network.get_encoder().embed_scale if marian else 1.0
        self.state_scale = config.d_model**-0.5 if t5 else 1.0

    @property
    def embedding(self) -> nn.Module:
        """Tokens -> (..., D)."""
        return self.get_submodule(self.embedding_layer)

    def read_source(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (B, S, D), mask (B, S) -> what the decoder attends to (B, S, D)."""
        read = self.network.get_encoder()(inputs_embeds=vectors * self.source_scale, attention_mask=mask.long())
        memory: Tensor = read.last_hidden_state
        return memory

    def states(self, source: Tensor, mask: Tensor, inputs: Tensor, attention: list[Tensor] | None = None) -> Tensor:
        """As `model.TransformerTranslator.states`."""
        before = self.network.config._attn_implementation
        if attention is not None:
            self.network.set_attn_implementation("eager")  # fused kernels return no attention weights
        found = self.network.get_decoder()(
            inputs_embeds=inputs,
            encoder_hidden_states=self.read_source(source, mask),
            encoder_attention_mask=mask.long(),
            use_cache=False,
            output_attentions=attention is not None,
        )
        if attention is not None:
            self.network.set_attn_implementation(before)
            attention += [layer.mean(1) for layer in found.cross_attentions]
        states: Tensor = found.last_hidden_state
        return states

    def score(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., V) logits."""
        logits: Tensor = self.network.get_output_embeddings()(states * self.state_scale)
        bias = getattr(self.network, "final_logits_bias", None)
        return logits if bias is None else logits + bias[0]

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor, inputs_mask: Tensor) -> Tensor:
        """As `model.TransformerTranslator.forward`."""
        return self.states(self.embedding(source), mask, self.embedding(inputs))[inputs_mask]

    def begin(self, source: Tensor, mask: Tensor) -> State:
        memory = self.read_source(self.embedding(source), mask)
        return {"memory": memory, "mask": mask.long(), "cache": None, "beams": 1}

    def advance(self, state: State, tokens: Tensor) -> Tensor:
        found = self.network.get_decoder()(
            inputs_embeds=self.embedding(tokens.flatten()[:, None]),
            encoder_hidden_states=state["memory"],
            encoder_attention_mask=state["mask"],
            past_key_values=state["cache"],
            use_cache=True,
        )
        state["cache"] = found.past_key_values
        return self.score(found.last_hidden_state[:, -1]).view(*tokens.shape, -1)

    def choose(self, state: State, beams: Tensor, sentences: Tensor) -> None:
        rows = (sentences[:, None] * state["beams"] + beams).flatten()
        state["cache"].batch_select_indices(rows)
        state |= {name: state[name][rows] for name in ("memory", "mask")} | {"beams": beams.shape[1]}


def load_checkpoint(name: str, pieces: Pieces, max_tokens: int) -> tuple[CheckpointTranslator, dict[str, Any]]:
    """A pretrained network and its config, from which `empty_checkpoint` builds an untrained one.

    Raises:
        UserError: it cannot be loaded, has too few positions or vectors, or computes scores in a way of its own.
    """
    network, config = load_pretrained(name, "seq2seq", max_tokens)
    model = CheckpointTranslator(network).eval()
    if len(pieces) > model.embedding.num_embeddings:  # type: ignore[operator]
        raise UserError(f"{name}: its tokenizer has {len(pieces)} pieces, its network {model.embedding.num_embeddings}")
    ids = torch.tensor([pieces.encode(["One."], max_tokens)[0].ids])
    mask, inputs = torch.ones_like(ids, dtype=torch.bool), torch.full_like(ids, pieces.marks.begin)
    unsupported, known = f"{name}: {config['model_type']} is not supported", "such as Marian or T5"
    with torch.no_grad(), checkpoint_errors(unsupported, expected=known):
        own = network(input_ids=ids, attention_mask=mask.long(), decoder_input_ids=inputs).logits[mask]
        same = torch.allclose(own, model.score(model(ids, mask, inputs, mask)), rtol=1e-3, atol=1e-3)
    if not same:
        raise UserError(unsupported, expected=known)
    return model, config


def empty_checkpoint(config: dict[str, Any]) -> CheckpointTranslator:
    """The same untrained."""
    return CheckpointTranslator(from_config("seq2seq", config))
